//! The write transaction from beginning to end, in one of two ways.
//!
//! *Light*: as long as all it asks is in memory and all it does are [`Change`]s, the database is not touched. At its end
//! the changes are appended to the redo journal, taken over in memory, and queued for the database ([`super::settle`]).
//!
//! *Heavy*: the first question or statement that needs the database itself begins a transaction there. What is queued, and
//! what this one changed so far, is stored in it first; it ends with a COMMIT.
//!
//! Locks, in this order: front (one transaction at a time), back (the connection that writes), moment.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use rusqlite::Connection;

use super::cache::{Changed, Pending};
use super::change::{Change, Tables, touched};
use super::open::{Meta, MetaError};
use super::redo::Redo;
use super::settle::{Back, run};
use super::txn::{State, WriteTxn};
use crate::model::Ino;

/// What the next transaction begins with.
pub(super) struct Front {
    pub(super) state: State,
    /// Commits still allowed; `None`: no limit.
    pub(super) allowed: Option<u64>,
    /// Number of the last transaction.
    pub(super) number: u64,
    /// What light transactions changed since the database was last brought up to date.
    pub(super) queue: Vec<Change>,
    pub(super) redo: Redo,
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Says that this thread is inside a write transaction, where another transaction would wait for itself.
struct Inside;

impl Inside {
    fn enter() -> Inside {
        not_inside();
        INSIDE.set(true);
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}

/// In debug builds: stops a program that would wait for itself.
pub(super) fn not_inside() {
    debug_assert!(!INSIDE.get(), "a transaction inside a write transaction");
}

impl Meta {
    /// Runs `work` in the one write transaction; an error takes all of it back. Not to be called from inside another
    /// [`Meta::write`] of the same thread, nor may [`Meta::read`] be.
    pub fn write<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&WriteTxn<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.write_then(work, |_| ())
    }

    /// As [`Meta::write`]; `tell` is told what is shown differently afterwards, once that is so.
    pub fn write_and_tell<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&WriteTxn<'_>) -> Result<T, E>,
        tell: impl FnOnce(Changed),
    ) -> Result<T, E> {
        let mut changed = Changed::default();
        let done = self.write_then(work, |pending| changed = self.cache.compare(pending))?;
        if !changed.is_empty() {
            tell(changed);
        }
        Ok(done)
    }

    fn write_then<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&WriteTxn<'_>) -> Result<T, E>,
        look: impl FnOnce(&Pending),
    ) -> Result<T, E> {
        let _inside = Inside::enter();
        let mut front = self.front();
        let front = &mut *front;
        if front.allowed == Some(0) {
            return Err(MetaError::Stopped.into());
        }
        let was_empty = front.queue.is_empty();
        let pending = RefCell::new(Pending::default());
        let writing = Writing::new(self, &mut front.queue, front.number);
        let txn = WriteTxn::new(&writing, &front.state, &self.cache, &pending);
        let done = work(&txn).and_then(|value| {
            let pending = pending.take();
            look(&pending);
            writing.commit(&mut front.redo, pending)?;
            Ok(value)
        });
        drop(txn);
        let number = writing.number.get();
        drop(writing);
        match done {
            Ok(value) => {
                front.allowed = front.allowed.map(|left| left - 1);
                front.number = number;
                // Numbers of transactions on the lower must not come again, not even after a power cut.
                if front.state.committed() {
                    self.flush()?;
                }
                self.settle_when_much(front, was_empty);
                Ok(value)
            }
            Err(error) => {
                front.state.taken_back();
                Err(error)
            }
        }
    }
}

/// The database as a write transaction has it.
pub(super) trait Store {
    /// Makes one change.
    fn change(&self, change: Change) -> Result<(), MetaError>;
    /// The connection that writes: from now on the transaction is heavy.
    fn db(&self) -> Result<&Connection, MetaError>;
    /// A connection that answers `query` as this transaction has it.
    fn reader(&self, query: &str) -> Result<&Connection, MetaError>;
    /// True when the database has all that was changed so far.
    fn has_all(&self) -> bool;
}

struct Writing<'a> {
    meta: &'a Meta,
    queue: RefCell<&'a mut Vec<Change>>,
    number: Cell<u64>,
    /// What this transaction changed, while it is light.
    own: RefCell<Vec<Change>>,
    /// The nodes of all changes.
    about: RefCell<Vec<Ino>>,
    heavy: OnceCell<Heavy<'a>>,
    /// For what no light transaction changes.
    reader: OnceCell<Connection>,
}

impl<'a> Writing<'a> {
    fn new(meta: &'a Meta, queue: &'a mut Vec<Change>, number: u64) -> Writing<'a> {
        Writing {
            meta,
            queue: RefCell::new(queue),
            number: Cell::new(number),
            own: RefCell::default(),
            about: RefCell::default(),
            heavy: OnceCell::new(),
            reader: OnceCell::new(),
        }
    }

    /// Tables of which the database does not have everything.
    fn lacking(&self) -> Tables {
        touched(&self.own.borrow()).and(self.meta.unsettled.tables())
    }

    /// Ends it. Being kept and its rows in memory are one step for whoever reads from memory.
    fn commit(&self, redo: &mut Redo, pending: Pending) -> Result<(), MetaError> {
        let number = self.number.get() + 1;
        if let Some(heavy) = self.heavy.get() {
            if !heavy.commit(self.meta, number, pending)? {
                return Ok(());
            }
        } else {
            let mut own = self.own.take();
            if own.is_empty() {
                return Ok(());
            }
            redo.append(&self.meta.redo, number, &own)?;
            let _moment = self.meta.cache.moment_alone();
            self.meta.unsettled.queue(touched(&own));
            self.meta.cache.apply(pending);
            self.queue.borrow_mut().append(&mut own);
        }
        self.number.set(number);
        // Only now: a flush before this would not have covered them.
        let mut changed = self.meta.changed();
        self.about
            .take()
            .into_iter()
            .for_each(|ino| changed.note(ino));
        Ok(())
    }
}

impl Store for Writing<'_> {
    fn change(&self, change: Change) -> Result<(), MetaError> {
        self.about.borrow_mut().extend(change.node());
        match self.heavy.get() {
            Some(heavy) => change.store(heavy.db()),
            None => {
                self.own.borrow_mut().push(change);
                Ok(())
            }
        }
    }

    fn db(&self) -> Result<&Connection, MetaError> {
        if let Some(heavy) = self.heavy.get() {
            return Ok(heavy.db());
        }
        self.meta.heavy.fetch_add(1, Ordering::SeqCst);
        let back = self.meta.back();
        back.todo.borrow_mut().append(&mut self.queue.borrow_mut());
        self.meta.unsettled.hand_over();
        let heavy = Heavy::begin(back)?;
        for change in self.own.take() {
            change.store(heavy.db())?;
        }
        Ok(self.heavy.get_or_init(|| heavy).db())
    }

    fn reader(&self, query: &str) -> Result<&Connection, MetaError> {
        if self.heavy.get().is_some() || self.lacking().are_in(query) {
            return self.db();
        }
        self.meta.reader_in(&self.reader)
    }

    fn has_all(&self) -> bool {
        self.heavy.get().is_some()
            || (self.meta.unsettled.is_empty() && self.own.borrow().is_empty())
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some(db) = self.reader.take() {
            self.meta.put_back(db);
        }
    }
}

/// A transaction of the database; taken back when dropped uncommitted, also by a panic in between.
struct Heavy<'a> {
    back: MutexGuard<'a, Back>,
    /// Rows changed by this connection before.
    before: u64,
}

impl<'a> Heavy<'a> {
    fn begin(back: MutexGuard<'a, Back>) -> Result<Heavy<'a>, MetaError> {
        let before = back.db.total_changes();
        let heavy = Heavy { back, before };
        heavy.back.begin()?;
        Ok(heavy)
    }

    fn db(&self) -> &Connection {
        &self.back.db
    }

    /// True unless nothing was changed.
    fn commit(&self, meta: &Meta, number: u64, pending: Pending) -> Result<bool, MetaError> {
        let changed = self.db().total_changes() != self.before;
        if changed {
            self.back.say_stored(number)?;
        }
        let _moment = meta.cache.moment_alone();
        let committed = run(self.db(), "COMMIT");
        match &committed {
            Ok(()) => {
                if changed {
                    meta.log_is_new.store(true, Ordering::SeqCst);
                }
                self.back.is_stored(&meta.unsettled);
                meta.cache.apply(pending);
            }
            // Whatever the database made of it is read anew.
            Err(_) => meta.cache.clear(),
        }
        committed.map(|()| changed)
    }
}

impl Drop for Heavy<'_> {
    fn drop(&mut self) {
        self.back.take_back();
    }
}
