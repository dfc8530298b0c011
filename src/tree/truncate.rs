//! Setting the size of a file.

use super::bytes::check_file;
use super::commit::Core;
use super::live::{OpenNode, live_stat};
use super::seal::strip_row;
use super::{Result, TreeError, io};
use crate::meta::Node;
use crate::model::{Bytes, Dirty, Who};
use crate::sys;

impl Core {
    /// The row of a node.
    pub(super) fn row(&self, ino: crate::model::Ino) -> Result<Node> {
        self.meta
            .quick(|rows| rows.node(ino)?.ok_or(TreeError::NotFound))
    }

    /// Sets the size of a file. The caller holds the node's lock alone, and the gate. Times move even when the size
    /// does not.
    pub(super) fn truncate_alone(
        &self,
        open: &OpenNode,
        node: &Node,
        size: u64,
        kill_suid: bool,
        who: Who,
    ) -> Result<()> {
        check_file(node)?;
        if node.bytes != Bytes::Here {
            return self.begin_empty(open, size, kill_suid, who);
        }
        let file = self.live_file(open, true)?;
        self.make_ready(open, &file, who)?;
        let cut = sys::set_len(&file, size).map_err(io("setting the size"));
        open.wrote(&file)?;
        cut?;
        let before = live_stat(&file)?;
        let looked = self.look(open, &file)?;
        self.meta.write(|txn| {
            let mut node = txn.node(open.ino)?.ok_or(TreeError::NotFound)?;
            self.settle_looked(txn, open, &mut node, before, looked)?;
            let now = sys::now();
            (node.attrs.mtime, node.attrs.ctime) = (now, now);
            strip_row(&mut node, kill_suid);
            txn.put_node(&node).map_err(TreeError::from)
        })?;
        open.is_settled_at(looked.kept);
        Ok(())
    }

    /// Truncating a file whose bytes are not here to nothing: base keeps attributes and stamp, and no bytes.
    fn begin_empty(&self, open: &OpenNode, size: u64, kill_suid: bool, who: Who) -> Result<()> {
        if size != 0 {
            return Err(TreeError::NoBytes(open.ino));
        }
        let draft = self.objects.draft().map_err(io("making a file"))?;
        // The file first: a live file whose row says that nothing is here is removed at the next start.
        self.barrier.spare(open.ino);
        let placed = self.objects.place_live(draft, open.ino);
        let stat = placed.map_err(io("making a file"))?;
        let begun = self.meta.write(|txn| {
            let mut node = txn.node(open.ino)?.ok_or(TreeError::NotFound)?;
            node.bytes = Bytes::Here;
            if node.nlink > 0 {
                node.dirty = node.dirty.with(Dirty::BYTES);
            }
            node.bytes_since = txn.epoch()?;
            node.fetched = Some(node.bytes_since);
            node.live_stat = Some(stat);
            node.rev += 1;
            node.durable = false;
            node.writer = who.uid;
            let now = sys::now();
            node.attrs.size = 0;
            (node.attrs.mtime, node.attrs.ctime) = (now, now);
            strip_row(&mut node, kill_suid);
            txn.put_node(&node)?;
            let at = super::record::At::Node(node.ino);
            self.record(txn, "write", node.ino, at, who, String::new())
        });
        if begun.is_err() {
            self.remove_stray(open.ino);
            return begun;
        }
        open.is_settled_at(stat);
        Ok(())
    }
}
