//! Rows in memory over the database: committed nodes, names by directory, and where a node's only name is.
//!
//! The database stays the truth; a row here is a copy of a committed one. What keeps the two equal:
//!
//! - A transaction notes what it puts and drops ([`Pending`]); readers inside it look there first.
//! - COMMIT and the taking over of what was noted happen together, while the *moment* is held alone. Whoever reads with
//!   the cache holds the moment shared, so it sees none or all of a transaction, in memory as in the database, and what
//!   it reads from the database to fill a gap is of the same moment.
//! - A transaction that was taken back notes nothing. After a commit that failed everything here is dropped.
//! - Only nodes and entries change rows of nodes and entries, and one statement in `bases.rs` that is noted too.
//!
//! A directory is kept as a whole or not at all, so a name it lacks is surely not there. Debug builds compare every
//! answer with the database.

mod changed;
mod dir;
mod index;
mod pending;
mod row;
mod table;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use changed::Changed;
pub(super) use dir::fits;
pub(super) use pending::{Known, Pending};
use table::Table;

use super::{Entry, Node};
use crate::model::{Cookie, Epoch, Ino, Name};

/// Nodes kept unless somebody says otherwise.
const NODES: usize = 250_000;
/// Directories up to this size are read as a whole when a name in them is asked for.
const SMALL: usize = 512;

/// The rows in memory.
pub(super) struct Cache {
    moment: RwLock<()>,
    table: RwLock<Table>,
    /// The current epoch; 0 while it is not known.
    epoch: AtomicU64,
}

/// How much of a directory that is not kept here should be read.
pub(super) enum Read {
    /// All of it, unless it has more names than this.
    UpTo(usize),
    /// Only the row that is asked for.
    One,
}

impl Cache {
    pub(super) fn new() -> Cache {
        Cache {
            moment: RwLock::default(),
            table: RwLock::new(Table::new(NODES)),
            epoch: AtomicU64::new(0),
        }
    }

    /// Nothing is committed while this is held.
    pub(super) fn moment(&self) -> RwLockReadGuard<'_, ()> {
        self.moment.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a commit and what follows from it.
    pub(super) fn moment_alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.moment.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        // A panic in the middle of a change may have left rows without their index: begin anew.
        self.table.write().unwrap_or_else(|broken| {
            self.table.clear_poison();
            let mut table = broken.into_inner();
            *table = Table::new(table.limit);
            table
        })
    }

    /// Drops everything.
    pub(super) fn clear(&self) {
        self.epoch.store(0, Ordering::SeqCst);
        let mut table = self.table_mut();
        *table = Table::new(table.limit);
    }

    /// Keeps at most so many nodes.
    pub(super) fn set_limit(&self, nodes: usize) {
        *self.table_mut() = Table::new(nodes);
    }

    /// Nodes and names kept.
    pub(super) fn size(&self) -> (usize, usize) {
        self.table().size()
    }

    /// The current epoch. The caller holds the moment.
    pub(super) fn epoch(&self) -> Known<Epoch> {
        match self.epoch.load(Ordering::SeqCst) {
            0 => Known::Unknown,
            epoch => Known::Is(Epoch(epoch)),
        }
    }

    /// Keeps the epoch as it was read. The caller holds the moment.
    pub(super) fn keep_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::SeqCst);
    }

    /// Takes over a committed transaction. The caller holds the moment alone.
    pub(super) fn apply(&self, pending: Pending) {
        if pending.views {
            self.epoch.store(0, Ordering::SeqCst);
        }
        if pending.lost {
            self.clear();
        } else if !pending.is_untouched() {
            self.table_mut().apply(pending);
        }
    }

    /// What a transaction that is about to be applied changes of what is shown.
    pub(super) fn compare(&self, pending: &Pending) -> Changed {
        changed::compare(&self.table(), pending)
    }

    pub(super) fn node(&self, ino: Ino) -> Known<Option<Node>> {
        match self.table().node(ino.0) {
            Some(node) => Known::Is(Some(node)),
            None => Known::Unknown,
        }
    }

    /// What [`Cache::note_blocks`] noted of the row as it is.
    pub(super) fn blocks(&self, ino: Ino) -> Option<u64> {
        let blocks = self.table().row(ino.0)?.blocks;
        blocks.checked_sub(1).map(u64::from)
    }

    /// Notes how many blocks the live file of a row has; forgotten when the row changes.
    pub(super) fn note_blocks(&self, node: &Node, blocks: u64) {
        self.table_mut().note_blocks(node, blocks);
    }

    pub(super) fn entry(&self, parent: Ino, name: &Name) -> Known<Option<Entry>> {
        let table = self.table();
        match table.dir(parent.0) {
            Some(dir) => Known::Is(table.find(dir, parent, name)),
            None => Known::Unknown,
        }
    }

    pub(super) fn entries(&self, parent: Ino, after: Cookie, limit: usize) -> Known<Vec<Entry>> {
        let table = self.table();
        let Some(dir) = table.dir(parent.0) else {
            return Known::Unknown;
        };
        let found: Option<Vec<Entry>> = dir
            .after(after.0)
            .take(limit)
            .map(|ent| dir.entry(parent, ent))
            .collect();
        found.map_or(Known::Unknown, Known::Is)
    }

    pub(super) fn is_empty(&self, parent: Ino) -> Known<bool> {
        match self.table().dir(parent.0) {
            Some(dir) => Known::Is(dir.len() == 0),
            None => Known::Unknown,
        }
    }

    /// The directory of a node's only name.
    pub(super) fn home(&self, ino: Ino) -> Known<Ino> {
        match self.table().only_name(ino.0) {
            Some((dir, _)) => Known::Is(dir),
            None => Known::Unknown,
        }
    }

    /// The only name of a node, and where.
    pub(super) fn only_name(&self, ino: Ino) -> Known<(Ino, Name)> {
        let table = self.table();
        let found = || {
            let (home, cookie) = table.only_name(ino.0)?;
            let dir = table.dir(home.0)?;
            let entry = dir.entry(home, dir.at(cookie)?)?;
            Some((home, entry.name))
        };
        found().map_or(Known::Unknown, Known::Is)
    }

    /// How much to read of a directory that is not kept here, for a single name.
    pub(super) fn wanted(&self, dir: Ino) -> Read {
        let mut table = self.table_mut();
        match table.ask(dir.0) {
            1 => Read::UpTo(SMALL.min(table.limit / 2)),
            table::PATIENCE => Read::UpTo(table.limit / 2),
            _ => Read::One,
        }
    }

    /// The largest directory kept.
    pub(super) fn largest(&self) -> usize {
        self.table().limit / 2
    }

    /// Keeps a node as it was read.
    pub(super) fn keep(&self, node: &Node) {
        self.table_mut().keep(node);
    }

    /// Notes a node's first name: if it has only one, this is it.
    pub(super) fn keep_name(&self, ino: Ino, parent: Ino, cookie: Cookie) {
        self.table_mut().settle(ino.0, parent, cookie);
    }

    /// Keeps a whole directory as it was read.
    pub(super) fn keep_dir(&self, dir: Ino, names: Vec<Entry>, nodes: &[Node]) {
        self.table_mut().keep_dir(dir, names, nodes);
    }
}
