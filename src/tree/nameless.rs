//! A node loses its last name. What base and snapshots need of its bytes is kept in the same transaction; afterwards it
//! descends from nothing, and is purged when nobody holds it.

use super::commit::{Core, locked};
use super::inherit::find_heir;
use super::live::{Pin, live_stat};
use super::seal::{keep_as, needs};
use super::{Result, TreeError, io};
use crate::meta::{Node, WriteTxn};
use crate::model::{Bytes, Dirty, Ino, Kind};
use crate::objects::Draft;

/// A node that is about to lose a name, held so that its bytes cannot change meanwhile, with a copy where one is needed.
pub(super) struct Leaving {
    pub(super) ino: Ino,
    draft: Option<Draft>,
    /// The live file became a sealed one: its live name goes once that is committed.
    became_sealed: bool,
}

impl Core {
    /// Looks at a node that may lose its last name. The caller holds `names`, and the lock of `pin` alone.
    pub(super) fn prepare_leaving(&self, pin: &Pin<'_>) -> Result<Leaving> {
        let mut leaving = Leaving {
            ino: pin.ino,
            draft: None,
            became_sealed: false,
        };
        // Only handles and mappings can go on writing: without them the live file itself is kept.
        if !pin.is_open() && !self.may_be_written(pin) {
            return Ok(leaving);
        }
        let file = self.live_file(pin, false)?;
        let stat = live_stat(&file)?;
        let needed = self.meta.quick(|rows| {
            let Some(node) = rows.node(pin.ino)? else {
                return Ok(false);
            };
            let last = node.nlink == 1 && node.attrs.kind == Kind::File;
            Ok::<_, TreeError>(last && needs(rows, &node, stat)?.base.is_some())
        })?;
        if needed {
            leaving.draft = Some(self.copy_of(&file)?);
        }
        Ok(leaving)
    }

    /// Takes one name from a non-directory whose entry is gone already, and stores its row.
    pub(super) fn take_name(
        &self,
        txn: &WriteTxn<'_>,
        leaving: &mut Leaving,
        now: crate::model::Time,
    ) -> Result<()> {
        let mut node = txn.node(leaving.ino)?.ok_or(TreeError::NotFound)?;
        node.nlink = node.nlink.saturating_sub(1);
        node.attrs.ctime = now;
        if node.nlink > 0 {
            node.dirty = node.dirty.with(Dirty::NAMES);
            return Ok(txn.put_node(&node)?);
        }
        self.become_nameless(txn, node, leaving)
    }

    /// Stores the row of a node without names.
    pub(super) fn become_nameless(
        &self,
        txn: &WriteTxn<'_>,
        mut node: Node,
        leaving: &mut Leaving,
    ) -> Result<()> {
        if node.attrs.kind == Kind::File && node.bytes == Bytes::Here {
            self.keep_for_base(txn, &mut node, leaving)?;
        }
        let bid = node.bid.take();
        node.nlink = 0;
        node.dirty = Dirty::CLEAN;
        txn.put_node(&node)?;
        bid.map_or(Ok(()), |bid| find_heir(txn, bid))
    }

    fn keep_for_base(
        &self,
        txn: &WriteTxn<'_>,
        node: &mut Node,
        leaving: &mut Leaving,
    ) -> Result<()> {
        let found = self.objects.live_stat(node.ino);
        let Some((stat, _)) = found.map_err(io("looking at a file"))? else {
            return Ok(());
        };
        let mut needs = needs(txn, node, stat)?;
        if needs.base.is_none() {
            return Ok(());
        }
        if let Some(draft) = leaving.draft.take() {
            // Handles stay: what snapshots need is kept before the next write, or at the end.
            needs.past = false;
            let id = self.add_sealed(txn, draft)?;
            return keep_as(txn, node, needs, id);
        }
        let id = self.seal_live(txn, node.ino, stat.size)?;
        keep_as(txn, node, needs, id)?;
        // The live file is the sealed one now, and nobody may write it.
        node.bytes = Bytes::Absent;
        node.live_stat = None;
        leaving.became_sealed = true;
        Ok(())
    }

    /// After the commit in which a node may have lost its last name. The caller holds no node's lock any more.
    pub(super) fn left(&self, leaving: &Leaving) {
        if leaving.became_sealed {
            self.barrier.doomed(leaving.ino);
        }
        locked(&self.nameless).insert(leaving.ino);
        self.purge_if_nameless(leaving.ino);
        self.flush_if_crowded();
    }
}
