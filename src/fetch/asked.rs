//! When a whole sync is wanted. A difference that a sync leaves standing (a conflict, a busy file) is met again by every
//! refresh, so the same difference asks only once in a while.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::lock;
use crate::model::{Bid, Name, Stamp};

/// The same difference asks again after this long: what stood in the way may be gone.
const AGAIN: Duration = Duration::from_secs(30);
/// More differences than this are not remembered one by one.
const MANY: usize = 10_000;

/// A difference: what the server has (or `None`) at a name of a base directory.
type Difference = (Bid, Name);

/// Who asked for a sync, and whether one is wanted.
#[derive(Default)]
pub(super) struct Asked {
    wanted: AtomicBool,
    seen: Mutex<HashMap<Difference, (Option<Stamp>, Instant)>>,
}

impl Asked {
    /// Asks for a sync.
    pub(super) fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Asks for a sync because of a difference, unless that very one asked a short time ago.
    pub(super) fn differs(&self, dir: Bid, name: &Name, server: Option<Stamp>) {
        let now = Instant::now();
        let mut seen = lock(&self.seen);
        if seen.len() >= MANY {
            seen.clear();
        }
        let before = seen.get(&(dir, name.clone()));
        let told = before.is_some_and(|(stamp, at)| {
            *stamp == server && now.saturating_duration_since(*at) < AGAIN
        });
        if !told {
            seen.insert((dir, name.clone()), (server, now));
            self.want();
        }
    }

    /// True when a sync is wanted; resets it.
    pub(super) fn take(&self) -> bool {
        self.wanted.swap(false, Ordering::Relaxed)
    }

    /// Lets every difference ask again.
    pub(super) fn clear(&self) {
        lock(&self.seen).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_difference_asks_once_and_a_new_one_again() {
        let asked = Asked::default();
        let name = Name::try_from("f").unwrap();
        asked.differs(Bid(2), &name, None);
        assert!(asked.take());
        asked.differs(Bid(2), &name, None);
        assert!(!asked.take());
        let other = Name::try_from("g").unwrap();
        asked.differs(Bid(2), &other, None);
        assert!(asked.take());
        asked.clear();
        asked.differs(Bid(2), &name, None);
        assert!(asked.take());
    }
}
