//! Snapshots.

use std::sync::PoisonError;

use super::commit::Core;
use super::live::{Pin, live_stat};
use super::quiet::Looked;
use super::seal::{Needs, keep_as};
use super::{Result, Tree, io};
use crate::meta::{View, WriteTxn};
use crate::model::{Bytes, Ino, LiveStat};
use crate::objects::Draft;
use crate::sys;

impl Tree {
    /// Freezes the live tree under a name: one instant for names and for the bytes the daemon writes. Nothing is copied
    /// now: the first change of each row and file afterwards keeps what it replaces. Only files that may be written
    /// without asking are copied here, each in an instant of its own, since their next write will not come by. A name that
    /// is taken gets a number: see the view's.
    pub fn snapshot(&self, name: &str, reason: &str) -> Result<View> {
        let core = &self.core;
        let _names = core.names();
        // No change of bytes is on its way while this is held, so rows and live files are of one instant.
        let _alone = core.gate.write().unwrap_or_else(PoisonError::into_inner);
        let pins = |all: Vec<Ino>| -> Vec<Pin<'_>> {
            let pins = all.into_iter().map(|ino| core.table.pin(ino));
            pins.collect()
        };
        let served = pins(
            core.table
                .which(|node| node.has_writer() && !node.is_passthrough()),
        );
        let silent = pins(core.written_unasked());
        let _locks: Vec<_> = silent.iter().map(|pin| pin.alone()).collect();
        let mut written = Vec::new();
        for pin in &served {
            if let Some(file) = pin.held_file(false) {
                let stat = live_stat(&file)?;
                written.push((pin, stat, Looked::plain(stat)));
            }
        }
        let mut copied = Vec::new();
        for pin in &silent {
            if let Some((before, looked, draft)) = core.copy_with_look(pin)? {
                written.push((pin, before, looked));
                copied.push((pin.ino, draft));
            }
        }
        let taken = core.meta.write(|txn| {
            for (pin, before, looked) in &written {
                if let Some(mut node) = txn.node(pin.ino)?
                    && core.settle_looked(txn, pin, &mut node, *before, *looked)?
                {
                    txn.put_node(&node)?;
                }
            }
            let taken = txn.views()?.into_iter().map(|view| view.name);
            let name = free_name(name, &taken.collect::<Vec<_>>());
            let view = txn.put_view(&name, reason, sys::now())?;
            for (ino, draft) in copied {
                core.keep_for_view(txn, ino, draft)?;
            }
            Ok(view)
        });
        core.next_generation();
        taken
    }
}

impl Core {
    /// A copy of a file that somebody may be writing, and the look that belongs to it. `None`: nothing is here.
    fn copy_with_look(&self, pin: &Pin<'_>) -> Result<Option<(LiveStat, Looked, Draft)>> {
        let row = self.meta.quick(|rows| rows.node(pin.ino))?;
        if !row.is_some_and(|node| node.bytes == Bytes::Here) {
            return Ok(None);
        }
        let file = self.live_file(pin, false)?;
        let before = live_stat(&file)?;
        let mut looked = self.look(pin, &file)?;
        let mut draft = self.copy_unasked(pin, &file)?;
        for _ in 0..2 {
            if live_stat(&file)? == looked.kept {
                break;
            }
            looked = self.look(pin, &file)?;
            draft = self.copy_unasked(pin, &file)?;
        }
        // Written all the time: size and bytes of the snapshot are those of the copy at least.
        let copy = sys::stat_of(draft.file()).map_err(io("looking at a copy"))?;
        looked.written.size = copy.size;
        Ok(Some((before, looked, draft)))
    }

    /// The new snapshot gets a copy of a file whose next write will not come by.
    fn keep_for_view(&self, txn: &WriteTxn<'_>, ino: Ino, draft: Draft) -> Result<()> {
        let Some(mut node) = txn.node(ino)? else {
            return Ok(());
        };
        let past = txn.past_needed(node.bytes_since)?;
        let needs = Needs { base: None, past };
        if past {
            let id = self.add_sealed(txn, draft)?;
            keep_as(txn, &node, needs, id)?;
        }
        node.bytes_since = txn.epoch()?;
        Ok(txn.put_node(&node)?)
    }
}

/// The name, or the first of `NAME.2`, `NAME.3`, … that is free: an older snapshot is never replaced.
fn free_name(wanted: &str, taken: &[String]) -> String {
    let free = |name: &String| !taken.contains(name);
    let numbered = (2..).map(|n: u64| format!("{wanted}.{n}"));
    let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
    names.find(free).unwrap_or_else(|| wanted.to_owned())
}
