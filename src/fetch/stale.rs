//! What the kernel must forget: a queue the notify thread waits at.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::lock;
use crate::model::{Ino, Name};

/// Something whose kernel caches must go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stale {
    /// Attributes of a node.
    Attributes(Ino),
    /// Attributes and bytes of a node.
    Node(Ino),
    /// A name whose object changed, appeared or vanished.
    Name(Ino, Name),
    /// All that was kept for as long as the server cannot be asked: names that are not there, and all attributes.
    Everything,
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<HashSet<Stale>>,
    more: Condvar,
}

impl Queue {
    /// Adds; what is there already is not added twice.
    pub(super) fn push(&self, stale: Vec<Stale>) {
        if !stale.is_empty() {
            lock(&self.waiting).extend(stale);
            self.more.notify_all();
        }
    }

    /// Takes everything, waiting up to `wait` for the first.
    pub(super) fn take(&self, wait: Duration) -> Vec<Stale> {
        let deadline = Instant::now() + wait;
        let mut waiting = lock(&self.waiting);
        while waiting.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Vec::new();
            }
            waiting = self
                .more
                .wait_timeout(waiting, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        waiting.drain().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_node_is_told_once() {
        let queue = Queue::default();
        queue.push(vec![Stale::Node(Ino(5)), Stale::Node(Ino(5))]);
        queue.push(vec![Stale::Node(Ino(5))]);
        assert_eq!(queue.take(Duration::ZERO), [Stale::Node(Ino(5))]);
        assert!(queue.take(Duration::ZERO).is_empty());
    }
}
