//! Removing nodes nobody can reach any more. Their live files wait for the next flush: after power loss the database may
//! be an older one that still names them.

use super::commit::{Core, locked};
use super::live::{OpenNode, Pin};
use super::seal::{keep_as, needs};
use super::{Result, Tree, TreeError, io};
use crate::meta::WriteTxn;
use crate::model::{Bytes, Ino};

impl Core {
    /// Removes a node that is known to have lost its last name, unless somebody still holds it.
    pub(super) fn purge_if_nameless(&self, ino: Ino) {
        if !locked(&self.nameless).contains(&ino) {
            return;
        }
        // Whoever still holds it comes here again.
        if self.is_held(ino) || self.clearing.take(ino) {
            return;
        }
        if let Err(error) = self.purge(ino) {
            // It stays an orphan row, and the next start removes it.
            tracing::warn!(%ino, %error, "a removed file could not be purged yet");
        }
    }

    fn is_held(&self, ino: Ino) -> bool {
        self.table.is_referenced(ino) || self.table.is(ino, OpenNode::is_open)
    }

    /// Removes a nameless node. When handles or the kernel hold it, the last of them does it.
    pub(super) fn purge(&self, ino: Ino) -> Result<()> {
        let pin = self.table.pin(ino);
        let _alone = pin.alone();
        if !self.is_purgeable(&pin)? {
            return Ok(());
        }
        let had_file = self.meta.write(|txn| self.purge_in(txn, &pin))?;
        self.purged(ino, had_file);
        Ok(())
    }

    /// True for a nameless node nobody holds. The caller holds the node's lock alone.
    pub(super) fn is_purgeable(&self, pin: &Pin<'_>) -> Result<bool> {
        let ino = pin.ino;
        // Before the look at holders: one that lets go after it finds the number here.
        locked(&self.nameless).insert(ino);
        let node = self.meta.quick(|rows| rows.node(ino))?;
        if node.is_none_or(|node| node.nlink > 0) {
            locked(&self.nameless).remove(&ino);
            return Ok(false);
        }
        Ok(!pin.is_open() && !self.table.is_referenced(ino))
    }

    /// Removes the row of a purgeable node, and keeps what base and snapshots need of its bytes. True when it had a file.
    pub(super) fn purge_in(&self, txn: &WriteTxn<'_>, pin: &Pin<'_>) -> Result<bool> {
        let ino = pin.ino;
        let node = txn.node(ino)?.ok_or(TreeError::NotFound)?;
        let found = self.objects.live_stat(ino);
        let found = found.map_err(io("looking at a file"))?;
        if let (Bytes::Here, Some((stat, _))) = (node.bytes, found) {
            let mut needs = needs(txn, &node, stat)?;
            // Another node of that base object has a name: it stands for base now.
            if let Some(bid) = node.bid
                && self.another_holds(txn, bid, ino)?
            {
                needs.base = None;
            }
            if needs.any() {
                let id = if self.may_be_written(pin) && !self.is_unwritten(pin)? {
                    // What is sealed must not change any more, and a mapping outlives its handle.
                    self.add_sealed(txn, self.copy_of(&*self.live_file(pin, false)?)?)?
                } else {
                    self.seal_live(txn, ino, stat.size)?
                };
                keep_as(txn, &node, needs, id)?;
            }
        }
        txn.drop_node(ino)?;
        Ok(node.bytes == Bytes::Here)
    }

    /// After the commit that removed a node's row.
    pub(super) fn purged(&self, ino: Ino, had_file: bool) {
        locked(&self.nameless).remove(&ino);
        if had_file {
            self.barrier.doomed(ino);
        }
    }

    fn another_holds(
        &self,
        rows: &crate::meta::Rows<'_>,
        bid: crate::model::Bid,
        ino: Ino,
    ) -> Result<bool> {
        for other in rows.nodes_of(bid)? {
            if other != ino && rows.node(other)?.is_some_and(|node| node.nlink > 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes a live file whose row was not stored.
    pub(super) fn remove_stray(&self, ino: Ino) {
        if let Err(error) = self.objects.remove_live(ino) {
            tracing::warn!(%ino, %error, "a file without a row stays until the next start");
        }
    }
}

impl Tree {
    /// Removes a node that lost its last name in a commit of the caller, or leaves it to its handles.
    pub fn purge_if_unused(&self, ino: Ino) -> Result<()> {
        self.core.purge(ino)
    }
}
