//! Maps by number, for what is looked up millions of times: a quicker hash than the library's, with a secret of its own all
//! the same, as numbers and names come from a server.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

/// A map with the quick hash.
pub(super) type Map<K, V> = HashMap<K, V, Quick>;

/// Makes [`Mix`]es, all with one secret.
#[derive(Clone, Copy, Default)]
pub(super) struct Quick;

impl BuildHasher for Quick {
    type Hasher = Mix;

    fn build_hasher(&self) -> Mix {
        static SECRET: OnceLock<u64> = OnceLock::new();
        Mix(*SECRET.get_or_init(|| RandomState::new().build_hasher().finish()))
    }
}

/// Folds each word into the state by a long multiplication.
pub(super) struct Mix(u64);

impl Mix {
    fn word(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        // High and low half: neither alone depends on all bits.
        self.0 = (wide >> 64) as u64 ^ wide as u64;
    }
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        self.word(bytes.len() as u64);
    }

    fn write_u8(&mut self, number: u8) {
        self.word(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.word(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.word(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn neighbours_part_in_all_bits() {
        let hash = |what: &[u8]| {
            let mut mix = Quick.build_hasher();
            mix.write(what);
            mix.finish()
        };
        let all: Vec<u64> = (0..20_000u32)
            .map(|n| hash(n.to_string().as_bytes()))
            .collect();
        let of = |bits: fn(u64) -> u64| all.iter().map(|h| bits(*h)).collect::<HashSet<u64>>();
        assert_eq!(of(|h| h).len(), all.len());
        assert!(
            of(|h| h & 0xffff).len() > 15_000,
            "the low bits choose the place"
        );
        assert!(
            of(|h| h >> 57).len() == 128,
            "the high bits tell neighbours apart"
        );
        assert_ne!(hash(b"a"), hash(b"a\0"));
    }
}
