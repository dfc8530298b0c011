//! What survives power loss, and of which nodes that is known.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use super::open::{Meta, MetaError, io};
use crate::model::Ino;
use crate::sys;

impl Meta {
    /// Everything committed before this call survives power loss afterwards.
    ///
    /// The log file itself is synced. A passive checkpoint would not do (it syncs nothing while a reader holds an old
    /// moment), nor an empty commit with `synchronous=FULL` (it writes no frame, so it syncs none). What is no longer in
    /// the log was synced into the database file by the checkpoint that let the log restart. No writer waits for this.
    pub fn flush(&self) -> Result<(), MetaError> {
        let _one = self.flushing();
        let changed = std::mem::take(&mut *self.changed());
        let flushed = self.flush_logs();
        if flushed.is_err() {
            self.changed().take_back(changed);
        }
        flushed
    }

    fn flush_logs(&self) -> Result<(), MetaError> {
        // Both, in any order: a step of one that comes after a lost step of the other is not carried out.
        if self.log_is_new.swap(false, Ordering::SeqCst)
            && let Err(error) = sys::sync(&self.log)
        {
            self.log_is_new.store(true, Ordering::SeqCst);
            return Err(io("sync")(error));
        }
        self.redo.sync()
    }

    /// True when the row and the names of a node surely survive power loss as they are.
    pub fn is_flushed(&self, ino: Ino) -> bool {
        // Behind a flush that is under way.
        let _one = self.flushing();
        self.changed().lacks(ino)
    }

    fn flushing(&self) -> MutexGuard<'_, ()> {
        self.flushing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changed(&self) -> MutexGuard<'_, Unflushed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nodes whose rows or names changed since the last flush.
#[derive(Default)]
pub(super) struct Unflushed {
    nodes: HashSet<Ino>,
    /// More than are noted one by one.
    many: bool,
}

impl Unflushed {
    const MOST: usize = 16_384;

    pub(super) fn note(&mut self, ino: Ino) {
        if self.nodes.len() < Self::MOST {
            self.nodes.insert(ino);
        } else {
            self.many = true;
        }
    }

    fn lacks(&self, ino: Ino) -> bool {
        !self.many && !self.nodes.contains(&ino)
    }

    fn take_back(&mut self, other: Unflushed) {
        self.many |= other.many;
        for ino in other.nodes {
            self.note(ino);
        }
    }
}
