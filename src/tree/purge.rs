//! Removing nodes nobody can reach any more. Their live files wait for the next flush: after power loss the database may
//! be an older one that still names them.

use super::commit::{Core, locked};
use super::seal::{keep_as, needs};
use super::{Result, Tree, TreeError, io};
use crate::model::{Bytes, Ino};

impl Core {
    /// Removes a node that is known to have lost its last name, unless somebody still holds it.
    pub(super) fn purge_if_nameless(&self, ino: Ino) {
        if !locked(&self.nameless).contains(&ino) {
            return;
        }
        if let Err(error) = self.purge(ino) {
            // It stays an orphan row, and the next start removes it.
            tracing::warn!(%ino, %error, "a removed file could not be purged yet");
        }
    }

    /// Removes a nameless node. When handles or the kernel hold it, the last of them does it.
    pub(super) fn purge(&self, ino: Ino) -> Result<()> {
        let pin = self.table.pin(ino);
        let _alone = pin.alone();
        // Before the look at holders: one that lets go after it finds the number here.
        locked(&self.nameless).insert(ino);
        let Some(node) = self.meta.read(|rows| rows.node(ino))? else {
            locked(&self.nameless).remove(&ino);
            return Ok(());
        };
        if node.nlink > 0 {
            locked(&self.nameless).remove(&ino);
            return Ok(());
        }
        if pin.is_open() || self.table.is_referenced(ino) {
            return Ok(());
        }
        let mapped = self.may_be_written(&pin) && !self.is_unwritten(&pin)?;
        self.meta.write(|txn| {
            let node = txn.node(ino)?.ok_or(TreeError::NotFound)?;
            let found = self
                .objects
                .live_stat(ino)
                .map_err(io("looking at a file"))?;
            if let (Bytes::Here, Some((stat, _))) = (node.bytes, found) {
                let mut needs = needs(txn, &node, stat)?;
                // Another node of that base object has a name: it stands for base now.
                if let Some(bid) = node.bid
                    && self.another_holds(txn, bid, ino)?
                {
                    needs.base = None;
                }
                if needs.any() {
                    let id = match mapped {
                        // What is sealed must not change any more.
                        true => {
                            self.add_sealed(txn, self.copy_of(&*self.live_file(&pin, false)?)?)?
                        }
                        false => self.seal_live(txn, ino, stat.size)?,
                    };
                    keep_as(txn, &node, needs, id)?;
                }
            }
            txn.drop_node(ino).map_err(TreeError::from)
        })?;
        locked(&self.nameless).remove(&ino);
        if node.bytes == Bytes::Here {
            self.barrier.doomed(ino);
        }
        Ok(())
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
