//! Directories of which the kernel may have a listing.
//!
//! Opening a directory is no request (`opendir` is answered ENOSYS once): the kernel lists from its own pages, and asks us for what it does not have.
//! It looks at its pages anew only where a listing begins: they go when the directory's mtime is another, for which it asks
//! when its time for the attributes is over. What that leaves open is closed here:
//!
//! - A program that removes or adds names while it lists, and goes on from a remembered position, would be shown names that
//!   are gone. So a directory's pages go before a change in it is answered.
//! - Where nobody tells us of changes, a listing counts as long as what we know of the directory. So its pages go whenever the kernel is given
//!   a new time for such a directory's attributes, and the next listing asks us.
//! - News of a directory are news of its pages ([`Listings::widen`]).

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock};

use fuser::{INodeNo, Notifier};

use super::parked::lock;
use crate::model::{Ino, Kind};
use crate::overlay::{News, Overlay, Stat};

/// The directories, and who tells the kernel.
#[derive(Default)]
pub(super) struct Listings {
    notifier: OnceLock<Notifier>,
    given: Mutex<HashSet<Ino>>,
}

impl Listings {
    /// Who tells the kernel, known once it is mounted.
    pub(super) fn tell_by(&self, notifier: Notifier) {
        // Set once, by whoever mounts.
        let _ = self.notifier.set(notifier);
    }

    /// Some of a listing is about to be given to the kernel.
    pub(super) fn given(&self, dir: Ino) {
        lock(&self.given).insert(dir);
    }

    /// Names in a directory changed: to be called before the kernel is answered. It holds that directory's lock meanwhile, which
    /// dropping pages does not need (dropping a name would), and which no listing in progress has: what was given is dropped.
    pub(super) fn changed(&self, dir: Ino) {
        if lock(&self.given).remove(&dir) {
            self.drop_pages(dir);
        }
    }

    /// Attributes are about to be given with a new time. It stays noted: a listing may be on its way into the kernel's pages.
    pub(super) fn renewed(&self, overlay: &Overlay, stat: &Stat) {
        if stat.attrs.kind == Kind::Dir
            && lock(&self.given).contains(&stat.ino)
            && !overlay.keeps_listing(stat.ino)
        {
            self.drop_pages(stat.ino);
        }
    }

    /// News of the attributes of such a directory become news of all of it.
    pub(super) fn widen(&self, news: News) -> News {
        match news {
            News::Attributes(ino) if lock(&self.given).contains(&ino) => News::Node(ino),
            news => news,
        }
    }

    /// The kernel gives back references; `forget` counts them and says whether it has none left.
    pub(super) fn forgotten(&self, ino: Ino, forget: impl FnOnce() -> bool) {
        let mut given = lock(&self.given);
        if !given.contains(&ino) {
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

    #[test]
    fn a_directory_counts_until_it_changes_or_the_kernel_forgets_it() {
        let listings = Listings::default();
        let counts = || matches!(listings.widen(News::Attributes(Ino(7))), News::Node(Ino(7)));
        assert!(!counts());
        listings.given(Ino(7));
        assert!(counts());
        listings.changed(Ino(8));
        listings.forgotten(Ino(7), || false);
        assert!(counts());
        listings.forgotten(Ino(7), || true);
        assert!(!counts());
        listings.given(Ino(7));
        listings.changed(Ino(7));
        assert!(!counts());
        assert!(matches!(listings.widen(News::Node(Ino(7))), News::Node(_)));
    }
}
