//! Directories that the kernel lists from its own pages.
//!
//! The kernel compares such pages with the directory only where a listing begins. A program that removes or adds names while it has the
//! directory open, and goes on from a remembered position, would be shown names that are gone. So while such a directory is
//! open, its pages go before a change in it is answered.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use fuser::{INodeNo, Notifier};

use super::parked::lock;
use crate::model::Ino;

/// The number of every handle the kernel lists by itself; no other handle has it.
pub(super) const KEPT: u64 = u64::MAX;

/// The open ones, and who tells the kernel.
#[derive(Default)]
pub(super) struct Listings {
    notifier: OnceLock<Notifier>,
    open: Mutex<HashMap<Ino, usize>>,
}

impl Listings {
    /// Who tells the kernel, known once it is mounted.
    pub(super) fn tell_by(&self, notifier: Notifier) {
        // Set once, by whoever mounts.
        let _ = self.notifier.set(notifier);
    }

    /// A directory was opened that the kernel lists by itself.
    pub(super) fn opened(&self, dir: Ino) {
        *lock(&self.open).entry(dir).or_insert(0) += 1;
    }

    /// One such handle is gone.
    pub(super) fn released(&self, dir: Ino) {
        let mut open = lock(&self.open);
        if let Some(count) = open.get_mut(&dir) {
            *count -= 1;
            if *count == 0 {
                open.remove(&dir);
            }
        }
    }

    /// Names in a directory changed: to be called before the kernel is answered. It holds that directory's lock meanwhile, which
    /// dropping pages does not need (dropping a name would).
    pub(super) fn changed(&self, dir: Ino) {
        if !lock(&self.open).contains_key(&dir) {
            return;
        }
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
    fn a_directory_counts_until_its_last_handle_is_gone() {
        let listings = Listings::default();
        let is_open = || lock(&listings.open).contains_key(&Ino(7));
        listings.opened(Ino(7));
        listings.opened(Ino(7));
        listings.released(Ino(7));
        assert!(is_open());
        listings.released(Ino(7));
        assert!(!is_open());
        listings.released(Ino(7));
        listings.changed(Ino(7));
    }
}
