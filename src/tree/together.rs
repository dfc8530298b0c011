//! Many nodes in one transaction: what a push of many files needs to cost little each.

use std::collections::BTreeMap;

use super::commit::locked;
use super::live::Pin;
use super::{Result, Seen, Tree, TreeError};
use crate::meta::{MetaError, Node, WriteTxn};
use crate::model::{Ino, ObjectId};

impl Tree {
    /// As [`Tree::commit_with_bytes`] for several nodes at once: one transaction while no write can reach the bytes of any
    /// of them. `work` is told for each, in the order given, whether its bytes surely are still those of its revision.
    pub fn commit_with_all<T, E: From<MetaError> + From<TreeError>>(
        &self,
        nodes: &[(Ino, u64)],
        work: impl FnOnce(&WriteTxn<'_>, &[bool]) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let core = &self.core;
        let _names = core.names();
        let _gate = core.gate();
        // Node locks are taken by number, each once.
        let pins: BTreeMap<Ino, Pin<'_>> = nodes
            .iter()
            .map(|(ino, _)| (*ino, core.table.pin(*ino)))
            .collect();
        let _alone: Vec<_> = pins.values().map(|pin| pin.alone()).collect();
        let (mut same, mut kept) = (Vec::with_capacity(nodes.len()), Vec::new());
        for (ino, rev) in nodes {
            let pin = pins.get(ino).ok_or(TreeError::NotFound)?;
            let unchanged = core.same_since(pin, *rev)?;
            // Somebody may write at any moment and would not ask: base gets a copy, and the mark stays.
            let (unchanged, copy) = match unchanged && !core.sees_writes(pin)? {
                true => core.copy_if_same(pin, *rev)?,
                false => (unchanged, None),
            };
            same.push(unchanged);
            kept.extend(copy.map(|draft| (pin, draft)));
        }
        core.next_generation();
        let done = core.write_told(|txn| {
            let done = work(txn, &same)?;
            for (pin, draft) in kept {
                core.keep_marked(txn, pin, draft)?;
            }
            Ok(done)
        });
        core.barrier.unknown_objects();
        core.next_generation();
        done
    }

    /// As [`Tree::stat`], for a row that was just read: what its live file says by now.
    pub fn as_of_now(&self, row: Node) -> Result<Seen> {
        self.core.see(row)
    }

    /// As [`Tree::release`] for many, of which most are not needed by anybody any more: those go at once, before a flush
    /// would sync them for nothing.
    pub fn give_back(&self, ids: Vec<ObjectId>) -> Result<()> {
        {
            let mut held = locked(&self.core.held);
            for id in &ids {
                held.remove(id);
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        self.core.discard(ids).map(drop)
    }
}
