//! Places in a list, found by hash: four bytes for each, and nothing allocated for one alone.

/// A place that holds nothing.
const FREE: u32 = u32::MAX;

/// Open addressing with linear probing; what is removed leaves no mark. It holds places only: the caller says what lies
/// at a place, and what its hash is.
#[derive(Default)]
pub(super) struct Index {
    slots: Vec<u32>,
    used: usize,
}

impl Index {
    /// The place with that hash for which `is` holds.
    pub(super) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.home(hash);
        loop {
            match self.slots[at] {
                FREE => return None,
                place if is(place) => return Some(place),
                _ => at = self.after(at),
            }
        }
    }

    /// Adds a place that is not in it.
    pub(super) fn insert(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.grow(&hash_of);
        }
        self.used += 1;
        self.set(hash, place);
    }

    /// Takes a place out.
    pub(super) fn remove(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        if self.slots.is_empty() {
            return;
        }
        let mut at = self.home(hash);
        while self.slots[at] != place {
            if self.slots[at] == FREE {
                return;
            }
            at = self.after(at);
        }
        self.used -= 1;
        self.close_gap(at, hash_of);
    }

    /// Moves back what was pushed along by what lay at `gap`, so that every search still ends at the first free slot.
    fn close_gap(&mut self, mut gap: usize, hash_of: impl Fn(u32) -> u64) {
        let mut at = gap;
        loop {
            at = self.after(at);
            let place = self.slots[at];
            if place == FREE {
                self.slots[gap] = FREE;
                return;
            }
            let mask = self.slots.len() - 1;
            let pushed = at.wrapping_sub(self.home(hash_of(place))) & mask;
            if pushed >= at.wrapping_sub(gap) & mask {
                self.slots[gap] = place;
                gap = at;
            }
        }
    }

    fn grow(&mut self, hash_of: &impl Fn(u32) -> u64) {
        let size = (self.slots.len() * 2).max(8);
        let old = std::mem::replace(&mut self.slots, vec![FREE; size]);
        for place in old.into_iter().filter(|place| *place != FREE) {
            self.set(hash_of(place), place);
        }
    }

    fn set(&mut self, hash: u64, place: u32) {
        let mut at = self.home(hash);
        while self.slots[at] != FREE {
            at = self.after(at);
        }
        self.slots[at] = place;
    }

    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_a_set_would_whatever_collides() {
        let mut dice = fastrand::Rng::with_seed(7);
        let (mut index, mut set) = (Index::default(), std::collections::BTreeSet::new());
        // Few hashes, so that runs of collisions form and gaps in them are closed.
        let hash = |place: u32| u64::from(place) % 13 * 5;
        for _ in 0..20_000 {
            let place = dice.u32(..60);
            if set.insert(place) {
                index.insert(hash(place), place, hash);
            } else if dice.bool() {
                set.remove(&place);
                index.remove(hash(place), place, hash);
            }
            let asked = dice.u32(..60);
            let found = index.find(hash(asked), |place| place == asked);
            assert_eq!(found.is_some(), set.contains(&asked));
        }
    }
}
