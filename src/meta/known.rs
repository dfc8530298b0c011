//! What is known without asking the database, and what is kept of its answers.

use super::cache::{Cache, Known, Pending, Read, fits};
use super::open::MetaError;
use super::rows::{Entry, Node, Rows};
use crate::model::{Cookie, Epoch, Ino, Name};

type Result<T> = std::result::Result<T, MetaError>;

impl Rows<'_> {
    /// Asks memory, unless these rows are of a moment of their own or the transaction lost track of what it changed.
    /// `ours` looks at what this transaction changed: `None` when that has no say, and what is committed holds.
    fn known<T>(
        &self,
        ours: impl FnOnce(&Pending) -> Option<Known<T>>,
        theirs: impl FnOnce(&Cache) -> Known<T>,
    ) -> Known<T> {
        let Some(cache) = self.cache else {
            return Known::Unknown;
        };
        if let Some(pending) = self.pending {
            let pending = pending.borrow();
            if pending.lost {
                return Known::Unknown;
            }
            if let Some(known) = ours(&pending) {
                return known;
            }
        }
        theirs(cache)
    }

    pub(super) fn known_node(&self, ino: Ino) -> Known<Option<Node>> {
        let ours = |pending: &Pending| pending.node(ino);
        let known = self.known(ours, |cache| cache.node(ino));
        match (known, self.pending) {
            (Known::Is(Some(mut node)), Some(pending)) => {
                if pending.borrow().is_orphaned(ino) {
                    node.bid = None;
                }
                Known::Is(Some(node))
            }
            (known, _) => known,
        }
    }

    pub(super) fn known_entry(&self, parent: Ino, name: &Name) -> Result<Known<Option<Entry>>> {
        let ask = || {
            let ours = |pending: &Pending| pending.entry(parent, name);
            self.known(ours, |cache| cache.entry(parent, name))
        };
        match (ask(), self.cache) {
            (Known::Unknown, Some(cache)) if self.may_keep_dirs() => {
                if let Read::UpTo(most) = cache.wanted(parent)
                    && self.read_dir(parent, most)?
                {
                    return Ok(ask());
                }
                Ok(Known::Unknown)
            }
            (known, _) => Ok(known),
        }
    }

    pub(super) fn known_entries(
        &self,
        parent: Ino,
        after: Cookie,
        limit: usize,
    ) -> Result<Known<Vec<Entry>>> {
        let ask = || {
            let ours = |pending: &Pending| pending.changed_names_in(parent);
            self.known(ours, |cache| cache.entries(parent, after, limit))
        };
        match (ask(), self.cache) {
            // From the start: the rest will be asked for too.
            (Known::Unknown, Some(cache)) if after.0 < 3 && self.may_keep_dirs() => {
                let all = self.read_dir(parent, cache.largest())?;
                Ok(if all { ask() } else { Known::Unknown })
            }
            (known, _) => Ok(known),
        }
    }

    pub(super) fn known_empty(&self, parent: Ino) -> Known<bool> {
        let ours = |pending: &Pending| pending.changed_names_in(parent);
        self.known(ours, |cache| cache.is_empty(parent))
    }

    pub(super) fn known_name(&self, ino: Ino) -> Known<(Ino, Name)> {
        let ours = |pending: &Pending| pending.changed_names_of(ino);
        self.known(ours, |cache| cache.only_name(ino))
    }

    pub(super) fn known_home(&self, ino: Ino) -> Known<Ino> {
        let ours = |pending: &Pending| pending.changed_names_of(ino);
        self.known(ours, |cache| cache.home(ino))
    }

    /// For who reads; a transaction remembers it by itself.
    pub(super) fn known_epoch(&self) -> Known<Epoch> {
        match (self.cache, self.pending) {
            (Some(cache), None) => cache.epoch(),
            _ => Known::Unknown,
        }
    }

    /// Keeps the epoch as the database has it.
    pub(super) fn keep_epoch(&self, epoch: Epoch) {
        if let (Some(cache), None) = (self.cache, self.pending) {
            cache.keep_epoch(epoch);
        }
    }

    /// Keeps a node as the database has it.
    pub(super) fn keep_node(&self, node: &Node) {
        let ours = |pending: &Pending| pending.changed_node(node.ino).then_some(Known::Is(()));
        self.known(ours, |cache| {
            cache.keep(node);
            Known::Is(())
        });
    }

    /// Keeps where the oldest name of a node is.
    pub(super) fn keep_name(&self, ino: Ino, parent: Ino, cookie: Cookie) {
        let ours = |pending: &Pending| pending.changed_names_of(ino);
        self.known(ours, |cache| {
            cache.keep_name(ino, parent, cookie);
            Known::Is(())
        });
    }

    /// What a transaction that changed something reads of a directory may be its own.
    fn may_keep_dirs(&self) -> bool {
        self.pending
            .is_none_or(|pending| pending.borrow().is_untouched())
    }

    /// Reads a directory as a whole, with its nodes, and keeps it; false when it has more than `most` names.
    fn read_dir(&self, parent: Ino, most: usize) -> Result<bool> {
        let Some(cache) = self.cache else {
            return Ok(false);
        };
        let (mut names, mut nodes) = (Vec::new(), Vec::new());
        for (entry, node) in self.children(parent, most + 1)? {
            names.push(entry);
            nodes.extend(node);
        }
        if names.len() > most || !names.iter().all(fits) {
            return Ok(false);
        }
        cache.keep_dir(parent, names, &nodes);
        Ok(true)
    }

    /// In debug builds: what memory answers is what the database says, once that has everything.
    pub(super) fn check<T: PartialEq + std::fmt::Debug>(
        &self,
        both: impl FnOnce() -> Result<(T, T)>,
    ) -> Result<()> {
        if cfg!(debug_assertions) && self.db.has_all() {
            let (known, stored) = both()?;
            assert_eq!(
                known, stored,
                "the rows in memory are not those of the database"
            );
        }
        Ok(())
    }
}
