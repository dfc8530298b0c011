//! Other bytes for a node that has some: what the server has now, or a merge result. All or nothing: the new live file is
//! complete before the rows say so, the rows say so (with an intent) before it takes its place, and a start finishes that.

use std::sync::Arc;

use super::commit::Core;
use super::live::{Held, OpenNode, Pin};
use super::seal::{Needs, keep_as, needs};
use super::{Result, Tree, TreeError, io};
use crate::meta::{Intent, Node, WriteTxn};
use crate::model::{Bytes, Ino, IntentId, Kind, LiveStat, ObjectId};
use crate::objects::Draft;
use crate::sys;

/// Kind of the intent: the body is the number of the node, the object its new bytes.
pub(super) const REPLACE: &str = "tree.replace";

/// What a caller does in the transaction of a replacement.
type Also<'a> = dyn FnMut(&WriteTxn<'_>, &mut Node) -> Result<()> + 'a;

impl Tree {
    /// Puts server bytes (sealed) into a clean node; readers that have it open see them from then on. Keeps what
    /// snapshots need. `Busy` when a writer or a writable mapping is there, or when it is not clean (`rev: None`) or changed since `rev`
    /// (a merge result put into an edited file; its old bytes are kept for the last snapshot). `also` runs in the same
    /// transaction, before the node is stored, and may change its attributes, `bid` and dirty set.
    pub fn replace_bytes(
        &self,
        ino: Ino,
        object: ObjectId,
        rev: Option<u64>,
        also: &mut dyn FnMut(&WriteTxn<'_>, &mut Node) -> Result<()>,
    ) -> Result<()> {
        let core = &self.core;
        let _gate = core.gate();
        let pin = core.table.pin(ino);
        let _alone = pin.alone();
        core.check_replaceable(&pin, rev)?;
        let sealed = core.objects.open_sealed(object);
        let sealed = sealed.map_err(io("opening the new contents"))?;
        let draft = core.copy_of(&sealed)?;
        let old = core.old_copy(&pin)?;
        core.next_generation();
        let (intent, node) = core.begin_replace(&pin, object, &draft, old, also)?;
        core.barrier.unknown_objects();
        pin.not_ready();
        let done = core.finish_replace(&pin, intent, draft, &node);
        core.next_generation();
        done
    }
}

impl Core {
    fn check_replaceable(&self, pin: &Pin<'_>, rev: Option<u64>) -> Result<()> {
        let node = self.row(pin.ino)?;
        super::bytes::check_file(&node)?;
        self.keep_promise(pin, &node)?;
        let same = match rev {
            None => self.is_clean_alone(pin)?,
            Some(rev) => self.same_since(pin, rev)?,
        };
        if pin.has_writer() || !same || node.bytes != Bytes::Here || !self.is_unwritten(pin)? {
            return Err(TreeError::Busy);
        }
        if pin.is_passthrough() && !self.objects.can().reflink {
            // The kernel goes on with the old live file until the last close.
            return Err(TreeError::Busy);
        }
        Ok(())
    }

    /// A copy of the bytes that go, if a snapshot shows them. Base needs none: the caller moves base in the same step.
    fn old_copy(&self, pin: &Pin<'_>) -> Result<Option<Draft>> {
        let file = self.live_file(pin, false)?;
        let stat = super::live::live_stat(&file)?;
        let past = self.meta.read(|rows| {
            let node = rows.node(pin.ino)?.ok_or(TreeError::NotFound)?;
            Ok::<_, TreeError>(needs(rows, &node, stat)?.past)
        })?;
        if past {
            self.copy_of(&file).map(Some)
        } else {
            Ok(None)
        }
    }

    fn begin_replace(
        &self,
        open: &OpenNode,
        object: ObjectId,
        draft: &Draft,
        old: Option<Draft>,
        also: &mut Also<'_>,
    ) -> Result<(IntentId, Node)> {
        let size = sys::stat_of(draft.file())
            .map_err(io("looking at the new contents"))?
            .size;
        self.write_told(|txn| {
            let mut node = txn.node(open.ino)?.ok_or(TreeError::NotFound)?;
            if let Some(old) = old {
                let needs = Needs {
                    base: None,
                    past: true,
                };
                let id = self.add_sealed(txn, old)?;
                keep_as(txn, &node, needs, id)?;
            }
            node.attrs.size = size;
            node.bytes = Bytes::Here;
            node.bytes_since = txn.epoch()?;
            node.rev += 1;
            node.durable = false;
            also(txn, &mut node)?;
            node.attrs.size = size;
            // Until the new live file is in place its stat is unknown, and the row holds.
            node.live_stat = None;
            txn.put_node(&node)?;
            let intent = txn.add_intent(REPLACE, &open.ino.to_string(), &[object])?;
            Ok::<_, TreeError>((intent, node))
        })
    }

    fn finish_replace(
        &self,
        open: &OpenNode,
        intent: IntentId,
        draft: Draft,
        node: &Node,
    ) -> Result<()> {
        let set = sys::set_mtime(draft.file(), node.attrs.mtime);
        set.map_err(io("setting the time of a file"))?;
        // Not lost by a power cut between the old file's going and the new one's being written.
        sys::sync_data(draft.file()).map_err(io("syncing the new contents"))?;
        let stat = if open.is_passthrough() {
            self.clone_into_live(open.ino, &draft, node)?
        } else {
            self.place_new(open, draft)?
        };
        self.end_replace(open.ino, intent, stat)?;
        open.is_settled_at(stat);
        Ok(())
    }

    /// The new live file takes the old one's place.
    fn place_new(&self, open: &OpenNode, draft: Draft) -> Result<LiveStat> {
        let placed = self.objects.place_live(draft, open.ino);
        let stat = placed.map_err(io("placing the new contents"))?;
        let file = self.objects.open_live(open.ino, false);
        open.hold_instead(Held {
            file: Arc::new(file.map_err(io("opening a live file"))?),
            write: false,
        });
        Ok(stat)
    }

    /// The new bytes go into the live file that the kernel reads for open handles: in its place they would be seen by
    /// nobody before the last close. Sharing all of them is one step of the file system; a longer old file is cut before
    /// it. Whatever a kill leaves, the rows already promise the new bytes and remember no stat, so the next start puts
    /// them in place once more, and nothing of it looks like an edit.
    fn clone_into_live(&self, ino: Ino, draft: &Draft, node: &Node) -> Result<LiveStat> {
        let failed = io("putting the new contents in place");
        let live = self.objects.open_live(ino, true).map_err(&failed)?;
        let size = sys::stat_of(draft.file()).map_err(&failed)?.size;
        if super::live::live_stat(&live)?.size > size {
            // A last part of a block can only be shared as the last one.
            sys::set_len(&live, size).map_err(&failed)?;
        }
        sys::reflink(draft.file(), &live).map_err(&failed)?;
        sys::set_mtime(&live, node.attrs.mtime).map_err(&failed)?;
        super::live::live_stat(&live)
    }

    fn end_replace(&self, ino: Ino, intent: IntentId, stat: LiveStat) -> Result<()> {
        self.meta.write(|txn| {
            if let Some(mut node) = txn.node(ino)? {
                node.live_stat = Some(stat);
                txn.put_node(&node)?;
            }
            txn.drop_intent(intent).map_err(TreeError::from)
        })
    }

    /// Finishes the replacements that an unclean end left: the rows say they happened.
    pub(super) fn resume_replacements(&self) -> Result<()> {
        for intent in self.meta.read(|rows| rows.intents())? {
            if intent.kind != REPLACE {
                continue;
            }
            let node = match intent.body.parse().ok().map(Ino) {
                Some(ino) => self.meta.read(|rows| rows.node(ino))?,
                None => None,
            };
            match node.filter(is_promised) {
                Some(node) => {
                    let pin = self.table.pin(node.ino);
                    let _alone = pin.alone();
                    self.resume(&pin, &node, &intent)?;
                }
                None => self.meta.write(|txn| txn.drop_intent(intent.id))?,
            }
        }
        Ok(())
    }

    /// Puts in place what a replacement that failed after its commit promised. The caller holds the node's lock alone.
    /// Before any use of the live file: it still has the old bytes.
    pub(super) fn keep_promise(&self, open: &OpenNode, node: &Node) -> Result<()> {
        if !is_promised(node) {
            return Ok(());
        }
        let body = open.ino.to_string();
        let intents = self.meta.read(|rows| rows.intents())?;
        let mine = |intent: &&Intent| intent.kind == REPLACE && intent.body == body;
        match intents.iter().rfind(mine) {
            Some(intent) => self.resume(open, node, intent),
            None => Ok(()),
        }
    }

    fn resume(&self, open: &OpenNode, node: &Node, intent: &Intent) -> Result<()> {
        let object = intent.objects.first().ok_or(TreeError::Invalid)?;
        let sealed = self.objects.open_sealed(*object);
        let sealed = sealed.map_err(io("opening the new contents"))?;
        let draft = self.copy_of(&sealed)?;
        self.finish_replace(open, intent.id, draft, node)
    }
}

/// True while the live file may still have bytes the row has left behind.
fn is_promised(node: &Node) -> bool {
    node.bytes == Bytes::Here && node.live_stat.is_none() && node.attrs.kind == Kind::File
}
