//! The door: one transaction at a time, and what every part of the tree shares.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use super::barrier::Barrier;
use super::clearing::Clearing;
use super::live::Table;
use super::record::Programs;
use super::room::Room;
use super::silent::Silence;
use super::{Result, Tree, TreeError, io};
use crate::meta::{Changed, Meta, MetaError, WriteTxn};
use crate::model::{Ino, ObjectId, Who};
use crate::objects::{Draft, Objects};
use crate::sys;

/// What every part of the tree shares; handles keep it alive.
pub(super) struct Core {
    pub(super) meta: Arc<Meta>,
    pub(super) objects: Arc<Objects>,
    /// One namespace change at a time: what was looked at before a transaction still holds in it.
    pub(super) names: Mutex<()>,
    /// Shared by everything that changes bytes; a snapshot takes it alone, so that it is one instant.
    pub(super) gate: RwLock<()>,
    /// Grows with every change of rows from outside and with every snapshot. A node made ready for writing under an
    /// older number looks at its rows again before the next write.
    generation: AtomicU64,
    pub(super) table: Table,
    /// Nodes without a name that handles or the kernel still hold.
    pub(super) nameless: Mutex<HashSet<Ino>>,
    pub(super) silence: Silence,
    /// Sealed objects given to callers that no row names yet.
    pub(super) held: Mutex<HashSet<ObjectId>>,
    /// Sealed objects that nothing named at the last sweep.
    pub(super) suspects: Mutex<HashSet<ObjectId>>,
    pub(super) barrier: Barrier,
    pub(super) clearing: Arc<Clearing>,
    pub(super) room: Room,
    pub(super) programs: Programs,
    /// Who wants to know what is shown differently by changes nobody asked for through the mount.
    told: OnceLock<Told>,
}

type Told = Box<dyn Fn(Changed) + Send + Sync>;

/// A lock whose holder panicked protects nothing but its own data, which every use leaves whole.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(super) fn new(meta: Arc<Meta>, objects: Arc<Objects>) -> Core {
        Core {
            meta,
            objects,
            names: Mutex::default(),
            gate: RwLock::default(),
            generation: AtomicU64::new(1),
            table: Table::default(),
            nameless: Mutex::default(),
            silence: Silence::default(),
            held: Mutex::default(),
            suspects: Mutex::default(),
            barrier: Barrier::default(),
            clearing: Arc::default(),
            room: Room::default(),
            programs: Programs::default(),
            told: OnceLock::new(),
        }
    }

    pub(super) fn names(&self) -> MutexGuard<'_, ()> {
        locked(&self.names)
    }

    pub(super) fn gate(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    pub(super) fn next_generation(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// A transaction that no operation of the kernel asked for: whoever keeps what he was shown must hear of it.
    pub(super) fn write_told<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&WriteTxn<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        match self.told.get() {
            Some(told) => self.meta.write_and_tell(work, told),
            None => self.meta.write(work),
        }
    }

    /// A transaction on behalf of `who`. The kernel knows what it asked for, and is told of the rest.
    pub(super) fn write_for<T, E: From<MetaError>>(
        &self,
        who: Who,
        work: impl FnOnce(&WriteTxn<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        if who == Who::DRIFTFS {
            self.write_told(work)
        } else {
            self.meta.write(work)
        }
    }

    /// Places a draft as a new sealed object and adds its row. If the transaction fails, the file has no row and the
    /// number is given again: placing replaces, and the next start sweeps.
    pub(super) fn add_sealed(&self, txn: &WriteTxn<'_>, draft: Draft) -> Result<ObjectId> {
        let id = txn.new_object()?;
        let size = sys::stat_of(draft.file())
            .map_err(io("looking at a sealed copy"))?
            .size;
        self.objects.seal(draft, id).map_err(io("sealing a copy"))?;
        self.put_sealed(txn, id, size)?;
        Ok(id)
    }

    /// Gives the live file of `ino` a second name as a new sealed object: no copy. Nothing may write it any more.
    pub(super) fn seal_live(&self, txn: &WriteTxn<'_>, ino: Ino, size: u64) -> Result<ObjectId> {
        let id = txn.new_object()?;
        let linked = self.objects.live_becomes_sealed(ino, id);
        linked.map_err(io("sealing a file"))?;
        self.put_sealed(txn, id, size)?;
        Ok(id)
    }

    fn put_sealed(&self, txn: &WriteTxn<'_>, id: ObjectId, size: u64) -> Result<()> {
        txn.put_sealed(&crate::meta::Sealed {
            id,
            size,
            hash: None,
            durable: false,
        })?;
        self.barrier.sealed(id);
        Ok(())
    }
}

impl Tree {
    /// The database, for reading.
    pub fn meta(&self) -> &Meta {
        &self.core.meta
    }

    /// The files.
    pub fn objects(&self) -> &Objects {
        &self.core.objects
    }

    /// From now on `told` hears of every change of what is shown that the kernel did not ask for itself. It is called
    /// with locks of the tree held: it must only take note. One listener; later ones are not heard.
    pub fn tell(&self, told: impl Fn(Changed) + Send + Sync + 'static) {
        let _ = self.core.told.set(Box::new(told));
    }

    /// The door: one transaction. `work` may run again from the start if it must. For what no operation below covers.
    ///
    /// It must not clear [`crate::model::Dirty::BYTES`] or move a base object whose bytes lie in a live file: a write
    /// may be on its way. [`Tree::commit_with_bytes`] is for that.
    pub fn commit<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&WriteTxn<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let core = &self.core;
        let _names = core.names();
        // Before and after: a node made ready while `work` ran has read rows of either side.
        core.next_generation();
        let done = core.write_told(work);
        core.barrier.unknown_objects();
        core.next_generation();
        done
    }

    /// One transaction while no write can reach the bytes of `ino`. `work` is told whether they surely are still those
    /// of revision `rev`: what a finished push needs to advance base and clear dirty marks.
    pub fn commit_with_bytes<T, E: From<MetaError> + From<TreeError>>(
        &self,
        ino: Ino,
        rev: u64,
        work: impl FnOnce(&WriteTxn<'_>, bool) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.commit_with_all(&[(ino, rev)], |txn, same| {
            work(txn, same.first().is_some_and(|same| *same))
        })
    }
}
