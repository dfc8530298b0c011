//! The write transaction, and the numbers it gives.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Deref;

use rusqlite::Params;

use super::cache::{Cache, Pending};
use super::change::Change;
use super::codec::sql;
use super::open::MetaError;
use super::rows::{Db, Rows};
use super::write::Store;
use crate::model::{Bid, Cookie, Epoch, Ino, ObjectId, TxnId};

type Result<T> = std::result::Result<T, MetaError>;

/// The one write transaction.
pub struct WriteTxn<'a> {
    rows: Rows<'a>,
    writing: &'a dyn Store,
    state: &'a State,
    pending: &'a RefCell<Pending>,
}

impl<'a> Deref for WriteTxn<'a> {
    type Target = Rows<'a>;
    fn deref(&self) -> &Rows<'a> {
        &self.rows
    }
}

/// Numbers are reserved in the database this many at a time and given from memory. Those left at the end of a process
/// are skipped, which harms nothing: numbers must be new, not dense.
const BATCH: u64 = 1024;

/// What the writer knows between transactions.
#[derive(Default)]
pub(super) struct State {
    epoch: Cell<Option<Epoch>>,
    views: RefCell<Option<Vec<Epoch>>>,
    counters: RefCell<BTreeMap<&'static str, Counter>>,
    reserved_txns: Cell<bool>,
}

#[derive(Clone, Copy)]
struct Counter {
    next: u64,
    reserved: u64,
}

impl State {
    /// After a commit. True when it must be synced at once.
    pub(super) fn committed(&self) -> bool {
        self.reserved_txns.take()
    }

    /// After a rollback: what the transaction wrote is gone, but numbers it gave are never given again, because files
    /// may already carry them.
    pub(super) fn taken_back(&self) {
        self.reserved_txns.set(false);
        self.epoch.set(None);
        self.views.replace(None);
        for counter in self.counters.borrow_mut().values_mut() {
            counter.reserved = counter.next;
        }
    }
}

impl<'a> WriteTxn<'a> {
    pub(super) fn new(
        writing: &'a dyn Store,
        state: &'a State,
        cache: &'a Cache,
        pending: &'a RefCell<Pending>,
    ) -> WriteTxn<'a> {
        let rows = Rows {
            db: Db::Writing(writing),
            cache: Some(cache),
            pending: Some(pending),
        };
        WriteTxn {
            rows,
            writing,
            state,
            pending,
        }
    }

    /// Notes a change of a row that is kept in memory.
    pub(super) fn note(&self, change: impl FnOnce(&mut Pending)) {
        change(&mut self.pending.borrow_mut());
    }

    /// Makes one change that needs no answer.
    pub(super) fn change(&self, change: Change) -> Result<()> {
        self.writing.change(change)
    }

    /// Runs one statement in the database; gives the rows it changed.
    pub(super) fn run(
        &self,
        what: &'static str,
        command: &str,
        with: impl Params,
    ) -> Result<usize> {
        let db = self.writing.db()?;
        let mut statement = db.prepare_cached(command).map_err(sql(what))?;
        statement.execute(with).map_err(sql(what))
    }

    /// The current epoch, remembered between transactions.
    pub fn epoch(&self) -> Result<Epoch> {
        if let Some(epoch) = self.state.epoch.get() {
            return Ok(epoch);
        }
        let epoch = self.rows.epoch()?;
        self.state.epoch.set(Some(epoch));
        Ok(epoch)
    }

    /// Forgets what is remembered of views and epoch; for the calls that change them.
    pub(super) fn views_changed(&self) {
        self.note(Pending::change_views);
        self.state.epoch.set(None);
        self.state.views.replace(None);
    }

    /// True when a snapshot shows what was true in `[from, to)`.
    pub(super) fn shown(&self, from: Epoch, to: Epoch) -> Result<bool> {
        if self.state.views.borrow().is_none() {
            let epochs = self.views()?.into_iter().map(|view| view.epoch).collect();
            self.state.views.replace(Some(epochs));
        }
        let views = self.state.views.borrow();
        let mut epochs = views.iter().flatten();
        Ok(epochs.any(|epoch| from <= *epoch && *epoch < to))
    }

    /// The next number of a sort, never given before.
    fn next(&self, name: &'static str, first: u64) -> Result<u64> {
        let mut counters = self.state.counters.borrow_mut();
        let mut counter = match counters.get(name) {
            Some(counter) => *counter,
            None => {
                let stored = self.counter(name)?.unwrap_or(first);
                Counter {
                    next: stored,
                    reserved: stored,
                }
            }
        };
        if counter.next == counter.reserved {
            counter.reserved += BATCH;
            self.change(Change::Reserve(name.to_owned(), counter.reserved))?;
            if name == "txn" {
                self.state.reserved_txns.set(true);
            }
        }
        let given = counter.next;
        counter.next += 1;
        counters.insert(name, counter);
        Ok(given)
    }

    /// A number for a new node: `wanted` (the lower's) if `2 <= wanted < 2^52` and it was never given before, else one of ours.
    pub fn new_ino(&self, wanted: Option<u64>) -> Result<Ino> {
        if let Some(number) = wanted.filter(|n| (2..Ino::OURS).contains(n)) {
            let new = self.run(
                "take a number",
                "INSERT OR IGNORE INTO taken(ino) VALUES(?1)",
                [number as i64],
            )?;
            if new == 1 {
                return Ok(Ino(number));
            }
        }
        let ino = Ino(self.next("ino", Ino::OURS)?);
        self.note(|pending| pending.give(ino));
        Ok(ino)
    }

    /// A number for a new base object.
    pub fn new_bid(&self) -> Result<Bid> {
        self.next("bid", Bid::ROOT.0 + 1).map(Bid)
    }

    /// A number for a new sealed object.
    pub fn new_object(&self) -> Result<ObjectId> {
        self.next("object", 1).map(ObjectId)
    }

    /// A number for a transaction on the lower, unique for this client for ever, power cuts included.
    pub fn new_txn(&self) -> Result<TxnId> {
        self.next("txn", 1).map(TxnId)
    }

    /// A position in any directory. One sequence serves all of them: so positions grow within each, are not reused when
    /// its last entry goes, and tell which name of a node is the oldest.
    pub(super) fn new_cookie(&self) -> Result<Cookie> {
        self.next("cookie", 3).map(Cookie)
    }

    /// The next number of any other table.
    pub(super) fn new_row(&self, name: &'static str) -> Result<u64> {
        self.next(name, 1)
    }
}
