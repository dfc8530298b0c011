//! Numbers of view nodes: what `.drift` shows has a number only while the kernel knows it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use crate::model::Ino;

/// Numbers from 2^62 upward for keys, dropped when the kernel forgets them. A number is never given twice.
pub(super) struct Views<K> {
    inner: Mutex<Table<K>>,
}

struct Table<K> {
    next: u64,
    by_key: HashMap<K, u64>,
    by_number: HashMap<u64, Known<K>>,
}

struct Known<K> {
    key: K,
    references: u64,
}

impl<K> Default for Views<K> {
    fn default() -> Views<K> {
        Views {
            inner: Mutex::new(Table {
                next: Ino::VIEWS,
                by_key: HashMap::new(),
                by_number: HashMap::new(),
            }),
        }
    }
}

impl<K: Clone + Eq + Hash> Views<K> {
    /// The number of `key`, new if it has none; `references` more are then held on it.
    pub(super) fn number(&self, key: &K, references: u64) -> Ino {
        let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let table = &mut *guard;
        let number = match table.by_key.get(key) {
            Some(number) => *number,
            None if references == 0 => return Ino(table.next),
            None => {
                let number = table.next;
                table.next += 1;
                table.by_key.insert(key.clone(), number);
                let known = Known {
                    key: key.clone(),
                    references: 0,
                };
                table.by_number.insert(number, known);
                number
            }
        };
        if let Some(known) = table.by_number.get_mut(&number) {
            known.references += references;
        }
        Ino(number)
    }

    /// The key of a number that is known.
    pub(super) fn key(&self, number: Ino) -> Option<K> {
        let table = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        table
            .by_number
            .get(&number.0)
            .map(|known| known.key.clone())
    }

    /// Drops references; the last one takes the number with it (true).
    pub(super) fn forget(&self, number: Ino, count: u64) -> bool {
        let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let table = &mut *guard;
        let Some(known) = table.by_number.get_mut(&number.0) else {
            return true;
        };
        known.references = known.references.saturating_sub(count);
        if known.references == 0
            && let Some(known) = table.by_number.remove(&number.0)
        {
            table.by_key.remove(&known.key);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_lives_as_long_as_its_references_and_is_not_given_again() {
        let views: Views<&str> = Views::default();
        let one = views.number(&"a", 1);
        assert!(one.0 >= Ino::VIEWS);
        assert_eq!(views.number(&"a", 1), one);
        views.forget(one, 1);
        assert_eq!(views.key(one), Some("a"));
        views.forget(one, 1);
        assert_eq!(views.key(one), None);
        assert_ne!(views.number(&"a", 1), one);
    }

    #[test]
    fn asking_without_a_reference_keeps_nothing() {
        let views: Views<&str> = Views::default();
        let shown = views.number(&"b", 0);
        assert_eq!(views.key(shown), None);
    }
}
