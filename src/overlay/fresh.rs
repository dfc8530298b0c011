//! When each directory was last looked at on the server.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::Ino;

/// Entries above this number are thinned out: those no longer fresh go first.
const MANY: usize = 32_768;
/// Entries older than this are of no use to anyone.
const OLD: Duration = Duration::from_secs(60);

/// When each directory was last looked at.
#[derive(Default)]
pub(super) struct Fresh {
    looked: Mutex<HashMap<Ino, Instant>>,
}

impl Fresh {
    /// Notes a look at `dir`.
    pub(super) fn mark(&self, dir: Ino) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.len() >= MANY {
            looked.retain(|_, when| when.elapsed() < OLD);
        }
        if looked.len() >= MANY {
            looked.clear();
        }
        looked.insert(dir, Instant::now());
    }

    /// True when `dir` was looked at less than `fresh_for` ago.
    pub(super) fn is_fresh(&self, dir: Ino, fresh_for: Duration) -> bool {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked
            .get(&dir)
            .is_some_and(|when| when.elapsed() < fresh_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_counts_for_its_time_and_only_for_its_directory() {
        let fresh = Fresh::default();
        fresh.mark(Ino(5));
        assert!(fresh.is_fresh(Ino(5), Duration::from_secs(3600)));
        assert!(!fresh.is_fresh(Ino(5), Duration::ZERO));
        assert!(!fresh.is_fresh(Ino(6), Duration::from_secs(3600)));
    }

    #[test]
    fn memory_stays_bounded() {
        let fresh = Fresh::default();
        for n in 0..100_000 {
            fresh.mark(Ino(n));
        }
        assert!(fresh.looked.lock().unwrap().len() <= MANY);
    }
}
