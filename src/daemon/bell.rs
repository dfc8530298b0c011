//! What the worker shall do next: rung from everywhere, answered by one thread.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Changes are sent when nothing changed for so long …
const QUIET: Duration = Duration::from_secs(1);
/// … but not much later than this when changes never stop.
const LATEST: Duration = Duration::from_secs(30);

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Merge both sides.
    Sync,
    /// Only send what was changed here.
    Send,
    /// Nothing was wanted; look around.
    Look,
    /// The daemon ends.
    End,
}

/// Where wishes are left.
#[derive(Default)]
pub(super) struct Bell {
    wishes: Mutex<Wishes>,
    rung: Condvar,
}

#[derive(Default)]
struct Wishes {
    sync: bool,
    end: bool,
    /// First and last change that was not sent yet.
    changed: Option<(Instant, Instant)>,
    /// Something waits that may go by itself later.
    again: Option<Instant>,
    /// Nothing starts before this: a run that takes long leaves the server time for others.
    not_before: Option<Instant>,
}

impl Bell {
    /// Something was changed here.
    pub(super) fn changed(&self) {
        let now = Instant::now();
        let mut wishes = self.lock();
        let first = wishes.changed.map_or(now, |(first, _)| first);
        let fresh = wishes.changed.is_none();
        wishes.changed = Some((first, now));
        if fresh {
            self.rung.notify_all();
        }
    }

    /// A sync is wanted.
    pub(super) fn sync(&self) {
        self.lock().sync = true;
        self.rung.notify_all();
    }

    /// Something could not be done now: another sync is wanted after `time`.
    pub(super) fn again_in(&self, time: Duration) {
        self.lock().again = Some(Instant::now() + time);
        self.rung.notify_all();
    }

    /// The daemon ends.
    pub(super) fn end(&self) {
        self.lock().end = true;
        self.rung.notify_all();
    }

    /// True once the daemon ends.
    pub(super) fn is_ended(&self) -> bool {
        self.lock().end
    }

    /// No work is given out for so long.
    pub(super) fn pause(&self, time: Duration) {
        self.lock().not_before = Some(Instant::now() + time);
    }

    /// Waits for something to do, at most `idle`.
    pub(super) fn next(&self, idle: Duration) -> Work {
        let until = Instant::now() + idle;
        let mut wishes = self.lock();
        loop {
            let now = Instant::now();
            if wishes.end {
                return Work::End;
            }
            let due = wishes.due(now);
            if due.is_some_and(|due| due <= now) {
                let whole = wishes.sync || wishes.again.is_some_and(|again| again <= now);
                wishes.sync = false;
                wishes.changed = None;
                if whole {
                    wishes.again = None;
                }
                return if whole { Work::Sync } else { Work::Send };
            }
            if now >= until {
                return Work::Look;
            }
            let wake = due.map_or(until, |due| due.min(until));
            let left = wake.saturating_duration_since(now);
            wishes = match self.rung.wait_timeout(wishes, left) {
                Ok((wishes, _)) => wishes,
                Err(broken) => broken.into_inner().0,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wishes {
    /// When the next run is due, if one is wanted.
    fn due(&self, now: Instant) -> Option<Instant> {
        let wanted = if self.sync {
            Some(now)
        } else {
            let quiet = |(first, last): (Instant, Instant)| (last + QUIET).min(first + LATEST);
            self.changed.map(quiet).into_iter().chain(self.again).min()
        };
        let earliest = self.not_before;
        wanted.map(|due| earliest.map_or(due, |earliest| due.max(earliest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    #[test]
    fn a_change_waits_for_quiet_and_a_wish_does_not() {
        let bell = Bell::default();
        bell.changed();
        assert_eq!(bell.next(SOON), Work::Look, "a second is not over yet");
        bell.sync();
        assert_eq!(bell.next(SOON), Work::Sync);
        assert_eq!(bell.next(SOON), Work::Look, "the change went with it");
    }

    #[test]
    fn changes_that_never_stop_are_sent_all_the_same() {
        let now = Instant::now();
        let wishes = Wishes {
            changed: Some((now, now + Duration::from_secs(100))),
            ..Wishes::default()
        };
        assert_eq!(wishes.due(now), Some(now + LATEST));
    }

    #[test]
    fn changes_alone_are_only_sent() {
        let bell = Bell::default();
        bell.changed();
        assert_eq!(bell.next(Duration::from_secs(20)), Work::Send);
        assert_eq!(bell.next(SOON), Work::Look);
    }

    #[test]
    fn what_could_not_be_done_is_tried_again() {
        let bell = Bell::default();
        bell.again_in(Duration::from_millis(5));
        assert_eq!(bell.next(Duration::from_secs(20)), Work::Sync);
        assert_eq!(bell.next(SOON), Work::Look);
    }

    #[test]
    fn the_end_comes_first() {
        let bell = Bell::default();
        bell.sync();
        bell.end();
        assert_eq!(bell.next(SOON), Work::End);
        assert!(bell.is_ended());
    }
}
