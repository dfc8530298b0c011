//! Is it clean? A comparison with the live file, not a flag that a close clears.

use super::commit::{Core, locked};
use super::live::{Pin, live_stat};
use super::seal::{has_base_bytes, settle};
use super::{Result, Tree, TreeError, io};
use crate::meta::{BaseNode, Node};
use crate::model::{Bid, Bytes, Dirty, Hash, Ino, Kind, ObjectId};

impl Core {
    /// True when the live bytes surely are those of revision `rev`. The caller holds the node's lock alone.
    pub(super) fn same_since(&self, pin: &Pin<'_>, rev: u64) -> Result<bool> {
        let Some(node) = self.meta.read(|rows| rows.node(pin.ino))? else {
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
        if pin.has_writer() {
            return Ok(false);
        }
        let Some(stat) = self.stat_alone(pin)? else {
            return Ok(false);
        };
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
        Ok(self.meta.read(|rows| rows.base(bid))?)
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
        let file = self.live_file(pin)?;
        self.objects.hash(&file).map_err(io("reading a live file"))
    }

    /// A sealed copy of the live bytes with its row, held until a row of somebody names it or it is released.
    fn seal_copy(&self, pin: &Pin<'_>) -> Result<(ObjectId, u64)> {
        let file = self.live_file(pin)?;
        let stat = live_stat(&file)?;
        let draft = self.copy_of(&file)?;
        let (id, rev) = self.meta.write(|txn| {
            let mut node = txn.node(pin.ino)?.ok_or(TreeError::NotFound)?;
            if settle(&mut node, stat) {
                txn.put_node(&node)?;
            }
            Ok::<_, TreeError>((self.add_sealed(txn, draft)?, node.rev))
        })?;
        pin.is_settled_at(stat);
        locked(&self.held).insert(id);
        Ok((id, rev))
    }
}

impl Tree {
    /// True when the live bytes surely equal those of revision `rev` (stat unchanged since it was recorded). To act on
    /// the answer use [`Tree::commit_with_bytes`]: a write may follow at once.
    pub fn unchanged_since(&self, ino: Ino, rev: u64) -> Result<bool> {
        let pin = self.core.table.pin(ino);
        let _alone = pin.alone();
        self.core.same_since(&pin, rev)
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
