//! Bringing the database up to date with what light transactions changed.
//!
//! Those changes are in memory and in the redo journal when they are answered. They are stored many at a time: some
//! moments later by whoever calls [`Meta::settle_soon`], at once when somebody reads the database itself, or together
//! with the next transaction that needs it. A row that changed often is stored once.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, params};

use super::change::{Change, Tables, store_all};
use super::codec::sql;
use super::open::{Meta, MetaError, io};
use super::write::Front;
use crate::sys;

type Result<T> = std::result::Result<T, MetaError>;

/// With so many changes waiting, they are stored without waiting for more.
const MANY: usize = 1024;
/// With so many, whoever changes something stores them first.
const TOO_MANY: usize = 16 * MANY;
/// Otherwise changes wait so long for more.
const REST: Duration = Duration::from_millis(100);

/// The connection that writes, and what it is to store next.
pub(super) struct Back {
    pub(super) db: Connection,
    /// Kept until a COMMIT had them.
    pub(super) todo: RefCell<Vec<Change>>,
}

/// Tables of which the database does not have every row yet.
#[derive(Default)]
pub(super) struct Unsettled {
    queued: AtomicU32,
    handed_over: AtomicU32,
}

impl Unsettled {
    pub(super) fn tables(&self) -> Tables {
        // In this order: what is handed over between the two is seen by the second.
        let queued = self.queued.load(Ordering::SeqCst);
        Tables(queued | self.handed_over.load(Ordering::SeqCst))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tables() == Tables::default()
    }

    /// The caller holds the front, and the moment alone.
    pub(super) fn queue(&self, tables: Tables) {
        self.queued.fetch_or(tables.0, Ordering::SeqCst);
    }

    /// The caller holds front and back.
    pub(super) fn hand_over(&self) {
        let queued = self.queued.load(Ordering::SeqCst);
        self.handed_over.fetch_or(queued, Ordering::SeqCst);
        self.queued.store(0, Ordering::SeqCst);
    }
}

impl Back {
    /// Begins a transaction with what is to be stored.
    pub(super) fn begin(&self) -> Result<()> {
        run(&self.db, "BEGIN IMMEDIATE")?;
        store_all(&self.db, &self.todo.borrow())
    }

    /// In the transaction: the database has everything up to this number.
    pub(super) fn say_stored(&self, number: u64) -> Result<()> {
        let what = "note what it has";
        let command = "UPDATE counter SET next = ?1 WHERE name = 'stored'";
        let mut statement = self.db.prepare_cached(command).map_err(sql(what))?;
        let changed = statement.execute(params![number as i64]);
        match changed.map_err(sql(what))? {
            1 => Ok(()),
            _ => Err(MetaError::Damaged {
                table: "counter",
                why: "the row of what is stored is missing".to_owned(),
            }),
        }
    }

    /// After the COMMIT.
    pub(super) fn is_stored(&self, unsettled: &Unsettled) {
        self.todo.borrow_mut().clear();
        unsettled.handed_over.store(0, Ordering::SeqCst);
    }

    /// Ends a transaction without effect, if one is open.
    pub(super) fn take_back(&self) {
        if !self.db.is_autocommit()
            && let Err(error) = run(&self.db, "ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be taken back");
        }
    }
}

impl Meta {
    pub(super) fn back(&self) -> MutexGuard<'_, Back> {
        self.back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the database up to date with everything answered before this call.
    pub fn settle(&self) -> Result<()> {
        if self.unsettled.is_empty() {
            return Ok(());
        }
        let mut front = self.front();
        let (back, number) = self.hand_over(&mut front);
        // Others go on changing meanwhile.
        drop(front);
        self.store(&back, number)
    }

    /// The same for a caller that keeps others from changing anything.
    pub(super) fn settle_held(&self, front: &mut Front) -> Result<()> {
        let (back, number) = self.hand_over(front);
        self.store(&back, number)
    }

    fn hand_over(&self, front: &mut Front) -> (MutexGuard<'_, Back>, u64) {
        // Whoever holds the back without the front never waits for the front.
        let back = self.back();
        back.todo.borrow_mut().append(&mut front.queue);
        self.unsettled.hand_over();
        front.redo.turn(&self.redo);
        (back, front.number)
    }

    fn store(&self, back: &Back, number: u64) -> Result<()> {
        if !back.todo.borrow().is_empty() {
            let stored = back
                .begin()
                .and_then(|()| back.say_stored(number))
                .and_then(|()| run(&back.db, "COMMIT"));
            back.take_back();
            stored?;
            back.is_stored(&self.unsettled);
        }
        if self.redo.waits() {
            sys::sync(&self.log).map_err(io("sync"))?;
            self.redo.other_is_stored();
        }
        Ok(())
    }

    /// Waits, at most `longest`, until there is something to store that rested for a moment, or much, and stores it.
    pub fn settle_soon(&self, longest: Duration) -> Result<()> {
        let front = self.front();
        let idle = |front: &mut Front| front.queue.is_empty() && !self.is_much(front);
        let (mut front, _) = wait(&self.wake, front, longest, idle);
        if idle(&mut front) {
            return Ok(());
        }
        let few = |front: &mut Front| !self.is_much(front);
        let (mut front, _) = wait(&self.wake, front, REST, few);
        let (back, number) = self.hand_over(&mut front);
        drop(front);
        self.store(&back, number)
    }

    fn is_much(&self, front: &Front) -> bool {
        front.queue.len() >= MANY || front.redo.is_long(&self.redo)
    }

    /// After each transaction: wakes who stores, or stores if that one does not keep up.
    pub(super) fn settle_when_much(&self, front: &mut Front, was_empty: bool) {
        if front.queue.len() >= TOO_MANY {
            if let Err(error) = self.settle_held(front) {
                // They stay in the redo journal and in memory, and are tried again.
                tracing::warn!(%error, "changes could not be stored yet");
            }
        } else if self.is_much(front) || (was_empty && !front.queue.is_empty()) {
            self.wake.notify_one();
        }
    }
}

fn wait<'a>(
    wake: &Condvar,
    front: MutexGuard<'a, Front>,
    longest: Duration,
    idle: impl FnMut(&mut Front) -> bool,
) -> (MutexGuard<'a, Front>, std::sync::WaitTimeoutResult) {
    wake.wait_timeout_while(front, longest, idle)
        .unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn run(db: &Connection, command: &str) -> Result<()> {
    let what = "begin or end a transaction";
    let mut statement = db.prepare_cached(command).map_err(sql(what))?;
    statement.execute([]).map(|_| ()).map_err(sql(what))
}
