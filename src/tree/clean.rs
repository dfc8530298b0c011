//! Is it clean? A comparison with the live file, not a flag that a close clears.

use super::commit::{Core, locked};
use super::live::{Pin, live_stat};
use super::seal::has_base_bytes;
use super::{Result, Tree, TreeError, io};
use crate::meta::{BaseNode, Node, WriteTxn};
use crate::model::{Bid, Bytes, Dirty, Hash, Ino, Kind, ObjectId};
use crate::objects::Draft;

impl Core {
    /// True when the live bytes are those of revision `rev` at this moment. The caller holds the node's lock alone.
    pub(super) fn same_since(&self, pin: &Pin<'_>, rev: u64) -> Result<bool> {
        let Some(node) = self.meta.quick(|rows| rows.node(pin.ino))? else {
            return Ok(false);
        };
        if node.rev != rev || node.attrs.kind != Kind::File || node.bytes != Bytes::Here {
            return Ok(node.rev == rev);
        }
        Ok(self.stat_alone(pin)? == node.live_stat)
    }

    /// True when the live bytes surely equal base. The caller holds the node's lock alone.
    pub(super) fn is_clean_alone(&self, pin: &Pin<'_>) -> Result<bool> {
        let node = self.row(pin.ino)?;
        if node.attrs.kind != Kind::File || node.bytes != Bytes::Here {
            return Ok(!node.dirty.has(Dirty::BYTES));
        }
        let Some(stat) = self.stat_alone(pin)? else {
            return Ok(false);
        };
        if pin.has_writer() {
            // Marked because somebody may write it, and not written so far.
            return self.is_agreed(&node, stat);
        }
        if !self.is_unwritten(pin)? {
            return Ok(false);
        }
        if !node.dirty.has(Dirty::BYTES) {
            return Ok(has_base_bytes(&node, stat));
        }
        let Some(base) = self.base_of(&node)? else {
            return Ok(false);
        };
        if base.attrs.size != stat.size {
            return Ok(false);
        }
        match self.base_hash(&base)? {
            Some(hash) => Ok(hash == self.live_hash(pin)?),
            None => Ok(false),
        }
    }

    fn base_of(&self, node: &Node) -> Result<Option<BaseNode>> {
        let Some(bid) = node.bid else { return Ok(None) };
        Ok(self.meta.quick(|rows| rows.base(bid))?)
    }

    fn base_hash(&self, base: &BaseNode) -> Result<Option<Hash>> {
        if base.hash.is_some() {
            return Ok(base.hash);
        }
        let Some(object) = base.object else {
            return Ok(None);
        };
        let file = self.objects.open_sealed(object);
        let file = file.map_err(io("opening the base contents"))?;
        let hash = self.objects.hash(&file);
        Ok(Some(hash.map_err(io("reading the base contents"))?))
    }

    pub(super) fn live_hash(&self, pin: &Pin<'_>) -> Result<Hash> {
        let file = self.live_file(pin, false)?;
        self.objects.hash(&file).map_err(io("reading a live file"))
    }

    /// A sealed copy of the live bytes with its row, held until a row of somebody names it or it is released.
    fn seal_copy(&self, pin: &Pin<'_>) -> Result<(ObjectId, u64)> {
        let file = self.live_file(pin, false)?;
        let before = live_stat(&file)?;
        // Quiet before the copy: what is written after it must make a difference.
        let looked = self.look(pin, &file)?;
        let draft = self.copy_unasked(pin, &file)?;
        let (id, rev) = self.meta.write(|txn| {
            let mut node = txn.node(pin.ino)?.ok_or(TreeError::NotFound)?;
            if self.settle_looked(txn, pin, &mut node, before, looked)? {
                txn.put_node(&node)?;
            }
            Ok::<_, TreeError>((self.add_sealed(txn, draft)?, node.rev))
        })?;
        pin.is_settled_at(looked.kept);
        locked(&self.held).insert(id);
        Ok((id, rev))
    }

    /// A copy of the live bytes of revision `rev` for base, while somebody may go on writing. Not the same any more: no
    /// copy.
    pub(super) fn copy_if_same(&self, pin: &Pin<'_>, rev: u64) -> Result<(bool, Option<Draft>)> {
        let Some(node) = self.meta.quick(|rows| rows.node(pin.ino))? else {
            return Ok((false, None));
        };
        if node.attrs.kind != Kind::File || node.bytes != Bytes::Here {
            return Ok((true, None));
        }
        let file = self.live_file(pin, false)?;
        let draft = self.copy_unasked(pin, &file)?;
        // The stat of the revision is a quiet one, so a write before or during the copy shows.
        let same = self.same_since(pin, rev)?;
        Ok((same, same.then_some(draft)))
    }

    /// The bytes of a node became base's while somebody may write it: base gets a copy of its own, and the mark stays.
    pub(super) fn keep_marked(
        &self,
        txn: &WriteTxn<'_>,
        pin: &Pin<'_>,
        draft: Draft,
    ) -> Result<()> {
        let Some(mut node) = txn.node(pin.ino)? else {
            return Ok(());
        };
        if node.bytes != Bytes::Here || node.dirty.has(Dirty::BYTES) || node.nlink == 0 {
            return Ok(());
        }
        if let Some(bid) = node.bid
            && let Some(mut base) = txn.base(bid)?
            && base.object.is_none()
            && base.attrs.kind == Kind::File
        {
            base.object = Some(self.add_sealed(txn, draft)?);
            txn.put_base(&base)?;
        }
        node.dirty = node.dirty.with(Dirty::BYTES);
        txn.put_node(&node)?;
        self.note_agreed(txn, &node)
    }
}

impl Tree {
    /// True when the live bytes surely equal those of revision `rev` (stat unchanged since it was recorded). To act on
    /// the answer use [`Tree::commit_with_bytes`]: a write may follow at once.
    pub fn unchanged_since(&self, ino: Ino, rev: u64) -> Result<bool> {
        let pin = self.core.table.pin(ino);
        let _alone = pin.alone();
        Ok(self.core.same_since(&pin, rev)? && self.core.sees_writes(&pin)?)
    }

    /// True when the live bytes surely equal base.
    pub fn is_clean(&self, ino: Ino) -> Result<bool> {
        let pin = self.core.table.pin(ino);
        let _alone = pin.alone();
        self.core.is_clean_alone(&pin)
    }

    /// A sealed clone of the live bytes, with the revision it has: what a push uploads. Not swept before a row names
    /// it, or [`Tree::release`].
    pub fn seal_now(&self, ino: Ino) -> Result<(ObjectId, u64)> {
        let pin = self.core.table.pin(ino);
        let _alone = pin.alone();
        let node = self.core.row(ino)?;
        super::bytes::check_file(&node)?;
        if node.bytes != Bytes::Here {
            return Err(TreeError::NoBytes(ino));
        }
        self.core.keep_promise(&pin, &node)?;
        self.core.seal_copy(&pin)
    }

    /// Base bytes of a node or base object, sealed: the base object, or a fresh clone of the clean live file. `None`: not here.
    pub fn base_bytes(&self, bid: Bid) -> Result<Option<ObjectId>> {
        let core = &self.core;
        let (base, nodes) = core.meta.read(|rows| {
            let base = rows.base(bid)?.ok_or(TreeError::NotFound)?;
            Ok::<_, TreeError>((base, rows.nodes_of(bid)?))
        })?;
        if base.object.is_some() || base.attrs.kind != Kind::File {
            return Ok(base.object);
        }
        for ino in nodes {
            let pin = core.table.pin(ino);
            let _alone = pin.alone();
            let Some(node) = core.meta.read(|rows| rows.node(ino))? else {
                continue;
            };
            core.keep_promise(&pin, &node)?;
            let stat = core.stat_alone(&pin)?;
            // Asked again under the lock: a write may have sealed it, or a push moved base, since the first look.
            let still = core.meta.read(|rows| rows.base(bid))?;
            if let Some(object) = still.and_then(|base| base.object) {
                return Ok(Some(object));
            }
            if node.bid == Some(bid) && stat.is_some_and(|stat| has_base_bytes(&node, stat)) {
                return core.seal_copy(&pin).map(|(id, _)| Some(id));
            }
        }
        Ok(None)
    }
}
