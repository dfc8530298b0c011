//! Bytes that come from the server into a node that has none, and giving bytes back to the server's keeping.

use super::commit::Core;
use super::live::Pin;
use super::seal::{Needs, keep_as, needs};
use super::{Result, Tree, TreeError, io};
use crate::meta::BaseNode;
use crate::model::{Bytes, Dirty, Ino, LiveStat};
use crate::objects::Draft;
use crate::sys;

impl Tree {
    /// Places fetched bytes as the live file of a node that has none, and records the object read as its base bytes
    /// (`base`: the base row with the stamp read). `Busy` if the node got bytes or was written meanwhile.
    pub fn place_bytes(&self, ino: Ino, draft: Draft, base: &BaseNode) -> Result<()> {
        let core = &self.core;
        let _gate = core.gate();
        let pin = core.table.pin(ino);
        let _alone = pin.alone();
        let node = core.row(ino)?;
        super::bytes::check_file(&node)?;
        if node.bytes != Bytes::Absent || node.dirty.has(Dirty::BYTES) || pin.is_open() {
            return Err(TreeError::Busy);
        }
        // The file first: a live file whose row says that nothing is here is removed at the next start.
        sys::set_mtime(draft.file(), base.attrs.mtime).map_err(io("setting the time of a file"))?;
        core.barrier.spare(ino);
        let placed = core.objects.place_live(draft, ino);
        let stat = placed.map_err(io("placing a fetched file"))?;
        let stored = core.record_placed(ino, stat, base);
        if stored.is_err() {
            core.remove_stray(ino);
        }
        pin.not_ready();
        stored
    }

    /// Drops the bytes of a clean, closed file (they can be fetched again).
    pub fn drop_bytes(&self, ino: Ino) -> Result<()> {
        let core = &self.core;
        let _gate = core.gate();
        let pin = core.table.pin(ino);
        let _alone = pin.alone();
        let node = core.row(ino)?;
        super::bytes::check_file(&node)?;
        if node.bytes == Bytes::Absent {
            return Ok(());
        }
        if node.bid.is_none() || pin.is_open() || !core.is_clean_alone(&pin)? {
            return Err(TreeError::Busy);
        }
        core.record_dropped(&pin)?;
        // After the next flush: an older database may still name the file.
        core.barrier.doomed(ino);
        core.flush_if_crowded();
        Ok(())
    }
}

impl Core {
    fn record_placed(&self, ino: Ino, stat: LiveStat, base: &BaseNode) -> Result<()> {
        self.write_told(|txn| {
            let mut node = txn.node(ino)?.ok_or(TreeError::NotFound)?;
            if node.bytes != Bytes::Absent || node.dirty.has(Dirty::BYTES) {
                return Err(TreeError::Busy);
            }
            txn.put_base(base)?;
            node.bid = Some(base.bid);
            if node.dirty.has(Dirty::ATTRS) {
                // The person's mode and times stay; only the size belongs to the bytes.
                node.attrs.size = stat.size;
            } else {
                node.attrs = base.attrs;
                node.attrs.size = stat.size;
            }
            node.bytes = Bytes::Here;
            node.fetched = Some(txn.epoch()?);
            node.bytes_since = txn.epoch()?;
            node.live_stat = Some(stat);
            node.durable = false;
            txn.put_node(&node).map_err(TreeError::from)
        })
    }

    fn record_dropped(&self, pin: &Pin<'_>) -> Result<()> {
        let stat = self.stat_alone(pin)?.ok_or(TreeError::NoBytes(pin.ino))?;
        self.meta.write(|txn| {
            let mut node = txn.node(pin.ino)?.ok_or(TreeError::NotFound)?;
            // Base needs no copy: the server has these bytes, and the stamp tells whether they are still the same.
            let needs = Needs {
                base: None,
                past: needs(txn, &node, stat)?.past,
            };
            if needs.any() {
                let id = self.seal_live(txn, pin.ino, stat.size)?;
                keep_as(txn, &node, needs, id)?;
            }
            node.bytes = Bytes::Absent;
            node.live_stat = None;
            node.fetched = None;
            // Equal to base by hash: the mark has done its work.
            node.dirty = node.dirty.without(Dirty::BYTES);
            txn.put_node(&node).map_err(TreeError::from)
        })?;
        pin.not_ready();
        Ok(())
    }
}
