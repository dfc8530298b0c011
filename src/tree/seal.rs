//! What must be kept before the first write, and bringing a row up to date with its live file.
//!
//! The first write of a file after base was agreed, or after a snapshot, first keeps the bytes as a sealed object and
//! says so in the rows, in one transaction; only then it writes. Later writes go straight to the live file: their size
//! and times are seen by looking at it (see [`crate::model::LiveStat`]), so a killed daemon loses none.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::commit::Core;
use super::live::{OpenNode, live_stat};
use super::record::At;
use super::{Result, TreeError, io};
use crate::meta::{BaseNode, Node, Rows, WriteTxn};
use crate::model::{Bytes, Dirty, Epoch, Kind, LiveStat, Who};
use crate::objects::Draft;

/// Extended attribute that a write takes away, as the set-id bits.
pub(super) const CAPABILITY: &[u8] = b"security.capability";
pub(super) const SUID: u32 = 0o4000;
pub(super) const SGID: u32 = 0o2000;
const GROUP_EXEC: u32 = 0o010;

/// Who still needs the bytes as they are in the live file.
#[derive(Default)]
pub(super) struct Needs {
    /// Base: its row, so far without an object.
    pub(super) base: Option<BaseNode>,
    /// Snapshots that show these bytes.
    pub(super) past: bool,
}

impl Needs {
    pub(super) fn any(&self) -> bool {
        self.base.is_some() || self.past
    }
}

/// What needs the live bytes of `node`, whose live file has this stat now.
pub(super) fn needs(rows: &Rows<'_>, node: &Node, stat: LiveStat) -> Result<Needs> {
    if node.bytes != Bytes::Here {
        return Ok(Needs::default());
    }
    let base = match node.bid {
        Some(bid) if has_base_bytes(node, stat) => rows.base(bid)?,
        _ => None,
    };
    Ok(Needs {
        base: base.filter(|base| base.object.is_none() && base.attrs.kind == Kind::File),
        past: needed_by_snapshot(rows, node, rows.epoch()?)?,
    })
}

/// True when a snapshot shows the bytes the live file has now.
fn needed_by_snapshot(rows: &Rows<'_>, node: &Node, now: Epoch) -> Result<bool> {
    if node.bytes_since >= now {
        return Ok(false);
    }
    let shows = |epoch: Epoch| epoch >= node.bytes_since && epoch < now;
    Ok(rows.views()?.iter().any(|view| shows(view.epoch)))
}

/// True when the live bytes of a node with a `bid` are those of base. The mark comes before the first write, so an
/// unmarked live file was never written. ctime may have moved for reasons of our own (a second name, a mode).
pub(super) fn has_base_bytes(node: &Node, stat: LiveStat) -> bool {
    let same = |known: LiveStat| known.size == stat.size && known.mtime == stat.mtime;
    node.bytes == Bytes::Here && !node.dirty.has(Dirty::BYTES) && node.live_stat.is_none_or(same)
}

/// Brings size, times and revision of a row up to date with its live file. True when that changed it.
pub(super) fn settle(node: &mut Node, stat: LiveStat) -> bool {
    if node.live_stat == Some(stat) {
        return false;
    }
    if has_base_bytes(node, stat) {
        node.live_stat = Some(stat);
        return true;
    }
    node.attrs.size = stat.size;
    node.attrs.mtime = stat.mtime;
    node.attrs.ctime = node.attrs.ctime.max(stat.ctime);
    node.live_stat = Some(stat);
    node.rev += 1;
    node.durable = false;
    // Without a name there is nobody to push to.
    if node.nlink > 0 {
        node.dirty = node.dirty.with(Dirty::BYTES);
    }
    true
}

/// Clears what a change of the bytes takes away from a file: set-user-id, set-group-id where the group may execute.
pub(super) fn kill_set_ids(mode: u32) -> u32 {
    let mode = mode & !SUID;
    if mode & GROUP_EXEC != 0 {
        mode & !SGID
    } else {
        mode
    }
}

/// What keeping found out inside its transaction.
enum Kept {
    /// Done; the row as stored.
    Ready(Box<Node>),
    /// A copy is needed and must be made before the transaction.
    CopyFirst,
}

impl Core {
    /// Makes the live file ready for a change of its bytes. The caller holds the node's lock alone, and the gate.
    pub(super) fn make_ready(&self, open: &OpenNode, file: &File, who: Who) -> Result<()> {
        let generation = self.generation();
        let (node, epoch) = self.meta.read(|rows| {
            let node = rows.node(open.ino)?.ok_or(TreeError::NotFound)?;
            Ok::<_, TreeError>((node, rows.epoch()?))
        })?;
        if !is_ready(&node, epoch) {
            self.keep(open, file, who)?;
        } else if open.settled.load(Ordering::SeqCst)
            && let Some(stat) = node.live_stat
        {
            open.is_settled_at(stat);
        }
        open.last_writer.store(who.uid, Ordering::SeqCst);
        open.ready.store(generation, Ordering::SeqCst);
        Ok(())
    }

    /// Keeps for base and snapshots what the live file has, and marks the node, in one transaction.
    fn keep(&self, open: &OpenNode, file: &File, who: Who) -> Result<()> {
        let stat = live_stat(file)?;
        let mut draft = None;
        loop {
            let kept = self
                .meta
                .write(|txn| self.keep_in(txn, open, stat, &mut draft, who))?;
            match kept {
                Kept::Ready(node) => {
                    open.is_settled_at(node.live_stat.unwrap_or(stat));
                    return Ok(());
                }
                Kept::CopyFirst => draft = Some(self.copy_of(file)?),
            }
        }
    }

    fn keep_in(
        &self,
        txn: &WriteTxn<'_>,
        open: &OpenNode,
        stat: LiveStat,
        draft: &mut Option<Draft>,
        who: Who,
    ) -> Result<Kept> {
        let mut node = txn.node(open.ino)?.ok_or(TreeError::NotFound)?;
        let needs = needs(txn, &node, stat)?;
        if needs.any() && draft.is_none() {
            return Ok(Kept::CopyFirst);
        }
        settle(&mut node, stat);
        if needs.any()
            && let Some(draft) = draft.take()
        {
            let id = self.add_sealed(txn, draft)?;
            keep_as(txn, &node, needs, id)?;
        }
        if node.nlink > 0 {
            node.dirty = node.dirty.with(Dirty::BYTES);
        }
        node.bytes_since = txn.epoch()?;
        node.rev += 1;
        node.writer = who.uid;
        node.durable = false;
        txn.put_node(&node)?;
        self.record(
            txn,
            "write",
            node.ino,
            At::Node(node.ino),
            who,
            String::new(),
        )?;
        Ok(Kept::Ready(Box::new(node)))
    }

    /// A draft with the bytes of a file. When the disk is full, what only waits for removal goes first.
    pub(super) fn copy_of(&self, file: &File) -> Result<Draft> {
        match self
            .objects
            .clone_of(file)
            .map_err(io("keeping the old contents"))
        {
            Err(TreeError::NoSpace) if self.make_room() => {
                let again = self.objects.clone_of(file);
                again.map_err(io("keeping the old contents"))
            }
            other => other,
        }
    }

    /// Set-id bits and capabilities go with a write. The caller holds the node's lock alone.
    pub(super) fn strip(&self, open: &OpenNode, kill_suid: bool) -> Result<()> {
        let generation = self.generation();
        let plain = |node: &Node, kill: bool| {
            !node.xattrs.contains_key(CAPABILITY)
                && (!kill || kill_set_ids(node.attrs.mode) == node.attrs.mode)
        };
        let (now, always) = self.meta.read(|rows| {
            let node = rows.node(open.ino)?.ok_or(TreeError::NotFound)?;
            Ok::<_, TreeError>((plain(&node, kill_suid), plain(&node, true)))
        })?;
        if !now {
            self.meta.write(|txn| {
                let mut node = txn.node(open.ino)?.ok_or(TreeError::NotFound)?;
                strip_row(&mut node, kill_suid);
                txn.put_node(&node).map_err(TreeError::from)
            })?;
        }
        if always || kill_suid {
            open.plain.store(generation, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Brings the row of an open node up to date if it was written.
    pub(super) fn settle_open(&self, open: &OpenNode) -> Result<()> {
        if open.settled.load(Ordering::SeqCst) {
            return Ok(());
        }
        let _alone = open.alone();
        self.settle_alone(open)
    }

    /// The same when the caller holds the node's lock alone.
    pub(super) fn settle_alone(&self, open: &OpenNode) -> Result<()> {
        let Some(file) = open.open_file() else {
            return Ok(());
        };
        if open.settled.load(Ordering::SeqCst) {
            return Ok(());
        }
        let stat = live_stat(&file)?;
        let settled = self.meta.write(|txn| {
            let Some(mut node) = txn.node(open.ino)? else {
                return Ok(false);
            };
            settle_written(open, &mut node, stat);
            txn.put_node(&node)?;
            Ok::<_, TreeError>(true)
        })?;
        if settled {
            open.is_settled_at(stat);
        }
        Ok(())
    }

    /// The live file: that of the open handles, else opened for this once.
    pub(super) fn live_file(&self, open: &OpenNode) -> Result<Arc<File>> {
        if let Some(file) = open.open_file() {
            return Ok(file);
        }
        let opened = self.objects.open_live(open.ino, true);
        opened.map(Arc::new).map_err(io("opening a live file"))
    }
}

/// True when the bytes may change in place: marked in this epoch, or nobody can ask for the old ones.
fn is_ready(node: &Node, epoch: Epoch) -> bool {
    let marked = node.dirty.has(Dirty::BYTES) || (node.nlink == 0 && node.bid.is_none());
    marked && node.bytes_since == epoch
}

/// Settles the row of a node that was written through its handles.
pub(super) fn settle_written(open: &OpenNode, node: &mut Node, stat: LiveStat) {
    if settle(node, stat) {
        node.writer = open.last_writer.load(Ordering::SeqCst);
    }
}

/// Names sealed object `id` as the bytes of base and of the snapshots that need them.
pub(super) fn keep_as(
    txn: &WriteTxn<'_>,
    node: &Node,
    needs: Needs,
    id: crate::model::ObjectId,
) -> Result<()> {
    if let Some(mut base) = needs.base {
        base.object = Some(id);
        txn.put_base(&base)?;
    }
    if needs.past {
        txn.put_past_bytes(node.ino, node.bytes_since, id)?;
    }
    Ok(())
}

/// Takes set-id bits (if asked) and capabilities from a row.
pub(super) fn strip_row(node: &mut Node, kill_suid: bool) {
    let mode = node.attrs.mode;
    if kill_suid && kill_set_ids(mode) != mode {
        node.attrs.mode = kill_set_ids(mode);
        node.dirty = node.dirty.with(Dirty::ATTRS);
        node.rev += 1;
    }
    if node.xattrs.remove(CAPABILITY).is_some() {
        node.dirty = node.dirty.with(Dirty::XATTRS);
        node.rev += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_takes_set_user_id_and_set_group_id_of_executables() {
        assert_eq!(kill_set_ids(0o6755), 0o755);
        assert_eq!(kill_set_ids(0o6745), 0o2745);
        assert_eq!(kill_set_ids(0o1644), 0o1644);
    }
}
