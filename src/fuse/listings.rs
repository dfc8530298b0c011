//! Directories of which the kernel may have a listing.
//!
//! Opening a directory is no request (`opendir` is answered ENOSYS once): the kernel lists from its own pages, and asks us for what it does not have.
//! It looks at its pages anew only where a listing begins, and drops them then when it knows of another mtime. What that leaves open is closed here:
//!
//! - A program that removes or adds names while it lists, and goes on from a remembered position, would be shown names that
//!   are gone. So a directory's pages go before a change in it is answered.
//! - Where nobody tells us of changes, a listing counts as long as our look at the directory did. So its pages go when that time is
//!   over ([`Listings::due`]), and the next listing asks us.
//! - News of a directory are news of its pages ([`Listings::widen`]).
//!
//! A reply to that very directory's own request is otherwise no place to drop its pages: the kernel would take the attributes in it
//! for older than the dropping, and not keep them.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use fuser::{INodeNo, Notifier};

use super::parked::lock;
use crate::model::Ino;
use crate::overlay::{News, Overlay};

/// Pages that are dropped are dropped once more after this time: a listing may be on its way into them.
const AGAIN: Duration = Duration::from_secs(1);

/// What the kernel was given of one directory.
#[derive(Clone, Copy)]
struct Given {
    until: Instant,
    dropped: bool,
}

/// The directories, and who tells the kernel.
#[derive(Default)]
pub(super) struct Listings {
    notifier: OnceLock<Notifier>,
    given: Mutex<HashMap<Ino, Given>>,
}

impl Listings {
    /// Who tells the kernel, known once it is mounted.
    pub(super) fn tell_by(&self, notifier: Notifier) {
        // Set once, by whoever mounts.
        let _ = self.notifier.set(notifier);
    }

    /// Some of a listing is about to be given to the kernel, and counts for this time.
    pub(super) fn given(&self, dir: Ino, counts: Duration) {
        let until = Instant::now() + counts;
        let dropped = false;
        lock(&self.given).insert(dir, Given { until, dropped });
    }

    /// Names in a directory changed: to be called before the kernel is answered. It holds that directory's lock meanwhile, which
    /// dropping pages does not need (dropping a name would), and which no listing in progress has: what was given is dropped.
    pub(super) fn changed(&self, dir: Ino) {
        if lock(&self.given).remove(&dir).is_some() {
            self.drop_pages(dir);
        }
    }

    /// Attributes are asked for, as before a listing from the kernel's pages. Nobody tells of changes in what `.drift` shows, so
    /// those go each time. (The reply's attributes are not kept then; they never are.)
    pub(super) fn asked(&self, ino: Ino) {
        if ino.0 >= Ino::VIEWS && lock(&self.given).contains_key(&ino) {
            self.drop_pages(ino);
        }
    }

    /// News of listings whose time is over.
    pub(super) fn due(&self, overlay: &Overlay) -> Vec<News> {
        self.due_at(Instant::now(), |dir| overlay.listing_goes_on(dir))
    }

    /// The same; `goes_on` tells of those in which nothing happened unheard for how long they go on counting.
    fn due_at(&self, now: Instant, goes_on: impl Fn(Ino) -> Option<Duration>) -> Vec<News> {
        let over = |given: &Given| given.until <= now;
        let due = |(dir, given): (&Ino, &Given)| over(given).then_some((*dir, given.dropped));
        let due: Vec<(Ino, bool)> = lock(&self.given).iter().filter_map(due).collect();
        let mut news = Vec::new();
        for (dir, dropped) in due {
            // Rows may have to be read for this: not while requests wait for the lock.
            let time = goes_on(dir).filter(|_| !dropped);
            let mut given = lock(&self.given);
            // Given anew meanwhile, its time has begun anew.
            let Some(one) = given.get_mut(&dir).filter(|one| over(one)) else {
                continue;
            };
            if let Some(time) = time {
                one.until = now + time;
                continue;
            }
            news.push(News::Node(dir));
            if dropped {
                given.remove(&dir);
            } else {
                (one.until, one.dropped) = (now + AGAIN, true);
            }
        }
        news
    }

    /// News of the attributes of such a directory become news of all of it.
    pub(super) fn widen(&self, news: News) -> News {
        match news {
            News::Attributes(ino) if lock(&self.given).contains_key(&ino) => News::Node(ino),
            news => news,
        }
    }

    /// The kernel gives back references; `forget` counts them and says whether it has none left.
    pub(super) fn forgotten(&self, ino: Ino, forget: impl FnOnce() -> bool) {
        let mut given = lock(&self.given);
        if !given.contains_key(&ino) {
            drop(given);
            forget();
        } else if forget() {
            // Still locked: if the kernel meets the directory again in this moment, what it is given then stays noted.
            given.remove(&ino);
        }
    }

    fn drop_pages(&self, dir: Ino) {
        if let Some(notifier) = self.notifier.get()
            && let Err(error) = notifier.inval_inode(INodeNo(dir.0), 0, 0)
        {
            tracing::debug!(%dir, %error, "the kernel was not told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_directory_counts_until_it_changes_or_the_kernel_forgets_it() {
        let listings = Listings::default();
        let counts = || matches!(listings.widen(News::Attributes(Ino(7))), News::Node(Ino(7)));
        assert!(!counts());
        listings.given(Ino(7), LONG);
        assert!(counts());
        listings.changed(Ino(8));
        listings.forgotten(Ino(7), || false);
        assert!(counts());
        listings.forgotten(Ino(7), || true);
        assert!(!counts());
        listings.given(Ino(7), LONG);
        listings.changed(Ino(7));
        assert!(!counts());
        assert!(matches!(listings.widen(News::Node(Ino(7))), News::Node(_)));
    }

    #[test]
    fn what_nobody_tells_of_is_dropped_twice_when_its_time_is_over() {
        let (listings, start) = (Listings::default(), Instant::now());
        listings.given(Ino(7), LONG);
        listings.given(Ino(8), LONG);
        let later = |hours: u32| start + hours * LONG + Duration::from_secs(9);
        let vouched = |dir: Ino| (dir == Ino(8)).then_some(LONG);
        assert_eq!(listings.due_at(start, vouched), []);
        assert_eq!(listings.due_at(later(1), vouched), [News::Node(Ino(7))]);
        assert_eq!(listings.due_at(later(1), vouched), []);
        assert_eq!(listings.due_at(later(2), vouched), [News::Node(Ino(7))]);
        assert_eq!(listings.due_at(later(4), vouched), []);
        assert_eq!(listings.due_at(later(6), |_| None), [News::Node(Ino(8))]);
        // A new listing begins anew, whatever was dropped.
        listings.given(Ino(8), LONG);
        assert_eq!(listings.due_at(later(6), vouched), []);
    }
}
