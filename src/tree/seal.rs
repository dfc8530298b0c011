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
use super::quiet::{Looked, look_quietly};
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

/// Brings size, times and revision of a row up to date with its live file, whose stat was `before` when it was looked at.
/// True when that changed the row.
pub(super) fn settle(node: &mut Node, before: LiveStat, looked: Looked) -> bool {
    if node.live_stat == Some(before) && looked.written == before {
        // Not written since: the times of the row hold.
        let quieted = looked.kept != before;
        node.live_stat = Some(looked.kept);
        return quieted;
    }
    if has_base_bytes(node, before) && looked.written == before {
        node.live_stat = Some(looked.kept);
        return true;
    }
    let stat = looked.written;
    node.attrs.size = stat.size;
    node.attrs.mtime = stat.mtime;
    node.attrs.ctime = node.attrs.ctime.max(stat.ctime);
    node.live_stat = Some(looked.kept);
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

/// Why bytes are kept.
#[derive(Clone, Copy)]
enum Change {
    /// A write comes now.
    Writes(Who),
    /// Somebody may write from now on, and nobody will see it.
    MayWrite,
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
        let (node, epoch) = self.row_now(open.ino)?;
        if !is_ready(&node, epoch) {
            self.keep(open, file, Change::Writes(who))?;
        } else if open.settled.load(Ordering::SeqCst)
            && let Some(stat) = node.live_stat
        {
            open.is_settled_at(stat);
        }
        open.last_writer.store(who.uid, Ordering::SeqCst);
        open.ready.store(generation, Ordering::SeqCst);
        Ok(())
    }

    /// The same for a writer whose writes nobody will see: before its open is answered.
    pub(super) fn make_ready_silently(&self, open: &OpenNode, who: Who) -> Result<()> {
        let (node, epoch) = self.row_now(open.ino)?;
        open.last_writer.store(who.uid, Ordering::SeqCst);
        if is_ready(&node, epoch) {
            return Ok(());
        }
        let clean = !node.dirty.has(Dirty::BYTES);
        self.keep(open, &*self.live_file(open, false)?, Change::MayWrite)?;
        self.note_unsaid(open.ino, who);
        if clean {
            let (node, _) = self.row_now(open.ino)?;
            self.meta.quick(|rows| self.note_agreed(rows, &node))?;
        }
        Ok(())
    }

    fn row_now(&self, ino: crate::model::Ino) -> Result<(Node, Epoch)> {
        self.meta.quick(|rows| {
            let node = rows.node(ino)?.ok_or(TreeError::NotFound)?;
            Ok::<_, TreeError>((node, rows.epoch()?))
        })
    }

    /// True when making the live file ready for a write would copy it.
    pub(super) fn would_copy(&self, open: &OpenNode, node: &Node) -> Result<bool> {
        let Some(stat) = self.stat_alone(open)? else {
            return Ok(false);
        };
        self.meta.quick(|rows| Ok(needs(rows, node, stat)?.any()))
    }

    /// Keeps for base and snapshots what the live file has, and marks the node, in one transaction.
    fn keep(&self, open: &OpenNode, file: &File, change: Change) -> Result<()> {
        let before = live_stat(file)?;
        let looked = match change {
            Change::Writes(_) => self.look(open, file)?,
            Change::MayWrite => look_quietly(file)?,
        };
        let mut draft = None;
        loop {
            let kept = self
                .meta
                .write(|txn| self.keep_in(txn, open, (before, looked), &mut draft, change))?;
            match kept {
                Kept::Ready(node) => {
                    open.is_settled_at(node.live_stat.unwrap_or(looked.kept));
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
        (before, looked): (LiveStat, Looked),
        draft: &mut Option<Draft>,
        change: Change,
    ) -> Result<Kept> {
        let mut node = txn.node(open.ino)?.ok_or(TreeError::NotFound)?;
        let needs = needs(txn, &node, before)?;
        if needs.any() && draft.is_none() {
            return Ok(Kept::CopyFirst);
        }
        settle(&mut node, before, looked);
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
        node.durable = false;
        if let Change::Writes(who) = change {
            node.writer = who.uid;
            self.record_write(txn, node.ino, who)?;
        }
        txn.put_node(&node)?;
        Ok(Kept::Ready(Box::new(node)))
    }

    fn record_write(&self, txn: &WriteTxn<'_>, ino: crate::model::Ino, who: Who) -> Result<()> {
        self.record(txn, "write", ino, At::Node(ino), who, String::new())
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
        let (now, always) = self.meta.quick(|rows| {
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

    /// Brings the row of an open node up to date if it was written. True when it was.
    pub(super) fn settle_open(&self, open: &OpenNode) -> Result<bool> {
        if open.settled.load(Ordering::SeqCst) && !self.may_be_written(open) {
            return Ok(false);
        }
        let _alone = open.alone();
        self.settle_alone(open)
    }

    /// The same when the caller holds the node's lock alone.
    pub(super) fn settle_alone(&self, open: &OpenNode) -> Result<bool> {
        let silent = self.may_be_written(open);
        if !silent && (open.settled.load(Ordering::SeqCst) || open.held_file(false).is_none()) {
            return Ok(false);
        }
        let file = self.live_file(open, false)?;
        let before = live_stat(&file)?;
        if silent && self.row(open.ino)?.live_stat == Some(before) {
            return Ok(false);
        }
        let looked = self.look(open, &file)?;
        let settled = self.meta.write(|txn| {
            let Some(mut node) = txn.node(open.ino)? else {
                return Ok(false);
            };
            self.settle_looked(txn, open, &mut node, before, looked)?;
            txn.put_node(&node)?;
            Ok::<_, TreeError>(true)
        })?;
        if settled {
            open.is_settled_at(looked.kept);
        }
        Ok(settled)
    }

    /// Settles the row of a node that may have been written through its handles, and lets the journal tell of a write
    /// that nobody saw. True when the row changed.
    pub(super) fn settle_looked(
        &self,
        txn: &WriteTxn<'_>,
        open: &OpenNode,
        node: &mut Node,
        before: LiveStat,
        looked: Looked,
    ) -> Result<bool> {
        let rev = node.rev;
        let changed = settle(node, before, looked);
        if node.rev != rev {
            node.writer = open.last_writer.load(Ordering::SeqCst);
            if self.may_be_written(open) {
                // Set after its open, or that write would have come by.
                strip_row(node, node.writer != 0);
            }
            if let Some(who) = self.take_unsaid(open.ino) {
                self.record_write(txn, node.ino, who)?;
            }
        }
        Ok(changed)
    }

    /// The live file: that of the open handles, else opened for this once.
    pub(super) fn live_file(&self, open: &OpenNode, write: bool) -> Result<Arc<File>> {
        if let Some(file) = open.held_file(write) {
            return Ok(file);
        }
        let opened = self.objects.open_live(open.ino, write);
        opened.map(Arc::new).map_err(io("opening a live file"))
    }
}

/// True when the bytes may change in place: marked in this epoch, or nobody can ask for the old ones.
fn is_ready(node: &Node, epoch: Epoch) -> bool {
    let marked = node.dirty.has(Dirty::BYTES) || (node.nlink == 0 && node.bid.is_none());
    marked && node.bytes_since == epoch
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
