//! Order to disk. Flushing the database happens here only, and first syncs every object that rows name since the last
//! flush; files that rows no longer name are removed only after the flush that makes this durable.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::commit::{Core, locked};
use super::live::{Handle, live_stat};
use super::quiet::Looked;
use super::{Result, Tree, TreeError, io};
use crate::model::{Ino, ObjectId};
use crate::sys;

/// What waits for the next flush.
#[derive(Default)]
pub(super) struct Barrier {
    waiting: Mutex<Waiting>,
    /// Sealed rows may have been added by others: ask the database.
    ask: AtomicBool,
    /// One flush at a time.
    flushing: Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    /// Sealed objects not synced yet.
    sealed: HashSet<ObjectId>,
    /// Live files that took a replaced file's name and were not synced yet.
    renamed: HashSet<Ino>,
    /// Live files whose rows are gone.
    doomed: HashSet<Ino>,
    /// Nodes that got a new live file since the flush that is under way took its list.
    spared: HashSet<Ino>,
}

/// So many files may wait for removal before a flush is made for their sake.
const MOST_DOOMED: usize = 4096;

impl Barrier {
    pub(super) fn sealed(&self, id: ObjectId) {
        locked(&self.waiting).sealed.insert(id);
    }

    pub(super) fn renamed(&self, ino: Ino) {
        locked(&self.waiting).renamed.insert(ino);
    }

    pub(super) fn doomed(&self, ino: Ino) {
        let mut waiting = locked(&self.waiting);
        waiting.renamed.remove(&ino);
        waiting.doomed.insert(ino);
    }

    /// A node gets a live file again: to be called before it is placed.
    pub(super) fn spare(&self, ino: Ino) {
        let mut waiting = locked(&self.waiting);
        waiting.doomed.remove(&ino);
        waiting.spared.insert(ino);
    }

    pub(super) fn unknown_objects(&self) {
        self.ask.store(true, Ordering::SeqCst);
    }

    fn is_crowded(&self) -> bool {
        locked(&self.waiting).doomed.len() > MOST_DOOMED
    }
}

impl Core {
    /// Syncs a live file and, unless they are on disk as they are, its rows: side by side, as each waits for the disk.
    fn sync_beside(&self, ino: Ino) -> Result<()> {
        let bytes = || present(self.objects.sync_live(ino)).map_err(io("syncing a file"));
        if self.meta.is_flushed(ino) {
            return bytes();
        }
        std::thread::scope(|scope| {
            let rows = std::thread::Builder::new().spawn_scoped(scope, || self.flush());
            match rows {
                Ok(rows) => {
                    let synced = bytes();
                    let flushed = rows
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                    synced.and(flushed)
                }
                Err(_) => bytes().and_then(|()| self.flush()),
            }
        })
    }

    /// Makes everything committed before this call survive power loss.
    pub(super) fn flush(&self) -> Result<()> {
        let _one = locked(&self.barrier.flushing);
        let mut waiting = std::mem::take(&mut *locked(&self.barrier.waiting));
        let done = self.flush_waiting(&mut waiting);
        if done.is_err() {
            let mut back = locked(&self.barrier.waiting);
            back.sealed.extend(waiting.sealed);
            back.renamed.extend(waiting.renamed);
            back.doomed.extend(waiting.doomed);
        }
        done
    }

    fn flush_waiting(&self, waiting: &mut Waiting) -> Result<()> {
        if self.barrier.ask.swap(false, Ordering::SeqCst) {
            let loose = self.meta.read(|rows| rows.volatile())?;
            waiting.sealed.extend(loose);
        }
        for ino in waiting.renamed.drain() {
            present(self.objects.sync_live(ino)).map_err(io("syncing a file"))?;
        }
        for id in &waiting.sealed {
            // Swept meanwhile, or of a transaction that failed.
            present(self.objects.sync_sealed(*id)).map_err(io("syncing a sealed file"))?;
        }
        if !waiting.sealed.is_empty() {
            let ids: Vec<ObjectId> = waiting.sealed.drain().collect();
            self.meta.write(|txn| txn.set_durable(&ids))?;
        }
        self.meta.flush()?;
        for ino in waiting.doomed.drain() {
            // Under the lock: a new live file of that number is placed only after it was spared.
            let now = locked(&self.barrier.waiting);
            if !now.spared.contains(&ino) {
                let removed = self.objects.remove_live(ino);
                removed.map_err(io("removing a file"))?;
            }
        }
        Ok(())
    }

    /// The disk is full: removes what only waits for a flush. False when there was nothing.
    pub(super) fn make_room(&self) -> bool {
        if locked(&self.barrier.waiting).doomed.is_empty() {
            return false;
        }
        self.flush().is_ok()
    }

    pub(super) fn flush_if_crowded(&self) {
        if self.barrier.is_crowded() && !self.clearing.take_flush() {
            self.flush_crowded();
        }
    }

    /// Removes the files that wait for a flush.
    pub(super) fn flush_crowded(&self) {
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "removed files could not be cleared away yet");
        }
    }
}

fn present(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl Tree {
    /// At close(2) of a descriptor: brings the row up to date with the live file. True when it was written since the row
    /// was last.
    pub fn flush(&self, handle: &Handle) -> Result<bool> {
        if !handle.inner.write {
            return Ok(false);
        }
        self.core.settle_open(handle.inner.node())
    }

    /// The same when nothing can come through the handle any more.
    pub fn flush_last(&self, handle: &Handle) -> Result<bool> {
        let moved = self.flush(handle)?;
        handle.inner.is_last_settled.store(true, Ordering::SeqCst);
        Ok(moved)
    }

    /// fsync: bytes, then rows, on disk. True when bytes were written that the row does not tell of yet.
    pub fn sync(&self, handle: &Handle) -> Result<bool> {
        let core = &self.core;
        let open = handle.inner.node();
        let file = handle.inner.file(false)?;
        let before = live_stat(&file)?;
        let known = core.meta.quick(|rows| rows.node(open.ino))?;
        let moved = known
            .as_ref()
            .is_some_and(|node| node.live_stat != Some(before));
        if core.may_be_written(open) {
            // The row need not follow: it is marked, and a start finds its size and times in the live file. Its `durable`
            // would say nothing, as the next write is not seen.
            core.sync_beside(open.ino)?;
            return Ok(moved);
        } else if !known.is_some_and(|node| node.durable && node.live_stat == Some(before)) {
            present(core.objects.sync_live(open.ino)).map_err(io("syncing a file"))?;
            sys::sync(&file).map_err(io("syncing a file"))?;
            let _alone = open.alone();
            let stat = live_stat(&file)?;
            core.meta.write(|txn| {
                let Some(mut node) = txn.node(open.ino)? else {
                    return Ok(());
                };
                core.settle_looked(txn, open, &mut node, stat, Looked::plain(stat))?;
                node.durable = stat == before;
                txn.put_node(&node).map_err(TreeError::from)
            })?;
            open.is_settled_at(stat);
        }
        core.flush()?;
        Ok(moved)
    }

    /// fsyncdir: all rows on disk, after the objects they name.
    pub fn sync_names(&self) -> Result<()> {
        self.core.flush()
    }

    /// Removes files and rows nobody needs any more.
    pub fn sweep(&self) -> Result<usize> {
        let core = &self.core;
        let held = locked(&core.held).clone();
        let garbage: HashSet<ObjectId> =
            core.meta.read(|rows| rows.garbage())?.into_iter().collect();
        // A held object that a row names now is held by the row.
        locked(&core.held).retain(|id| garbage.contains(id) || !held.contains(id));
        let before = std::mem::replace(&mut *locked(&core.suspects), garbage.clone());
        // Somebody may have made an object and be about to name it: only what nobody named for a whole round goes.
        let unnamed = |id: &ObjectId| before.contains(id) && !held.contains(id);
        let gone: Vec<ObjectId> = garbage.into_iter().filter(unnamed).collect();
        core.discard(gone)
    }
}

impl Core {
    /// Forgets sealed objects that still nothing names, then removes their files.
    pub(super) fn discard(&self, mut gone: Vec<ObjectId>) -> Result<usize> {
        if !gone.is_empty() {
            gone = self.meta.write(|txn| {
                let still: HashSet<ObjectId> = txn.garbage()?.into_iter().collect();
                gone.retain(|id| still.contains(id));
                txn.drop_sealed(&gone)?;
                Ok::<_, TreeError>(gone)
            })?;
            let mut waiting = locked(&self.barrier.waiting);
            for id in &gone {
                waiting.sealed.remove(id);
            }
        }
        self.flush()?;
        for id in &gone {
            let removed = self.objects.remove_sealed(*id);
            removed.map_err(io("removing a sealed file"))?;
        }
        Ok(gone.len())
    }
}

impl Tree {
    /// Gives back an object that [`Tree::seal_now`] or [`Tree::base_bytes`] gave and no row came to name.
    pub fn release(&self, id: ObjectId) {
        locked(&self.core.held).remove(&id);
    }
}
