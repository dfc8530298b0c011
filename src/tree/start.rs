//! Opening, and repairing what an unclean end left. Rows are the truth about names; live files about their bytes.
//!
//! In this order: replacements the rows promise are finished; rows are compared with their live files; nameless nodes
//! go; files without rows go; sealed objects nothing names go. Nothing is removed before everything was compared.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::commit::Core;
use super::quiet::Looked;
use super::record::At;
use super::seal::{has_base_bytes, settle};
use super::{Result, Tree, TreeError, io};
use crate::meta::{Meta, Node};
use crate::model::{Bytes, Dirty, Ino, Kind, LiveStat, ObjectId, Who};
use crate::objects::Objects;
use crate::rules::Rules;
use crate::sys;

/// Setting with the boot in which the last process ended in order; a start takes it away. Of another boot it proves
/// nothing: the host may have lost what was not synced.
const CLOSED: &str = "tree.closed";

impl Tree {
    /// Opens the tree of a state directory and repairs what an unclean end left: nameless nodes purged, objects
    /// without rows swept, live files compared with their rows.
    pub fn open(meta: Arc<Meta>, objects: Arc<Objects>) -> Result<Tree> {
        let core = Arc::new(Core::new(meta, objects));
        let clean = core.meta.write(|txn| {
            let clean = txn
                .setting(CLOSED)?
                .is_some_and(|boot| !boot.is_empty() && boot == sys::boot_id());
            txn.set_setting(CLOSED, None)?;
            Ok::<_, TreeError>(clean)
        })?;
        // What an earlier process sealed may not be on disk yet.
        core.barrier.unknown_objects();
        core.resume_replacements()?;
        // Before rows are compared: what may still be written is looked at with that in mind.
        core.watch_left_mappings()?;
        if !clean {
            core.repair()?;
        }
        for ino in core.meta.read(|rows| rows.orphans())? {
            core.purge(ino)?;
        }
        if !clean {
            core.remove_files_without_rows()?;
        }
        let garbage = core.meta.read(|rows| rows.garbage())?;
        if !garbage.is_empty() {
            core.discard(garbage)?;
        }
        let clearer = Mutex::new(None);
        Ok(Tree {
            clearer,
            core,
            rules: Rules::default(),
        })
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // The last handle is gone too. Says that rows, live files and sealed files agree: so what waits for removal goes
        // first.
        let mapped = self.has_mappings();
        let ended = self.flush().and_then(|()| {
            if mapped {
                // They go on writing: the next start has to look.
                return Ok(());
            }
            let written = self
                .meta
                .write(|txn| txn.set_setting(CLOSED, Some(&sys::boot_id())));
            written.map_err(TreeError::from)
        });
        if let Err(error) = ended {
            tracing::warn!(%error, "the next start will look at every file");
        }
    }
}

impl Core {
    /// Compares every row with its live file.
    fn repair(&self) -> Result<()> {
        for node in self.meta.read(|rows| rows.all_nodes())? {
            if node.attrs.kind != Kind::File || node.bytes != Bytes::Here || node.nlink == 0 {
                continue;
            }
            let found = self.objects.live_stat(node.ino);
            match found.map_err(io("looking at a live file"))? {
                Some((stat, _)) if node.live_stat == Some(stat) => {}
                Some((stat, _)) => self.repair_written(node, stat)?,
                None => self.repair_missing(node)?,
            }
        }
        Ok(())
    }

    /// The live file differs from its row.
    fn repair_written(&self, mut node: Node, stat: LiveStat) -> Result<()> {
        let marked = node.dirty.has(Dirty::BYTES);
        if marked || has_base_bytes(&node, stat) || self.has_base_hash(&node, stat)? {
            if marked {
                settle(&mut node, stat, Looked::plain(stat));
            }
            node.live_stat = Some(stat);
            return Ok(self.meta.write(|txn| txn.put_node(&node))?);
        }
        // Never written by a program, and yet other bytes: torn by a power cut before they were on disk. Not ours to
        // push, and to be had again from the server.
        self.forget_bytes(
            node,
            "was damaged by an unclean end; it will be fetched again",
        )
    }

    fn has_base_hash(&self, node: &Node, stat: LiveStat) -> Result<bool> {
        let Some(bid) = node.bid else {
            return Ok(false);
        };
        let base = self.meta.read(|rows| rows.base(bid))?;
        let Some(hash) = base.and_then(|base| base.hash) else {
            return Ok(false);
        };
        if stat.size != node.attrs.size {
            return Ok(false);
        }
        let file = self
            .objects
            .open_live(node.ino, false)
            .map_err(io("opening a live file"))?;
        Ok(self
            .objects
            .hash(&file)
            .map_err(io("reading a live file"))?
            == hash)
    }

    /// The row has a live file and the disk has none.
    fn repair_missing(&self, node: Node) -> Result<()> {
        if !node.dirty.has(Dirty::BYTES) {
            return self.forget_bytes(
                node,
                "was not on disk after an unclean end; it will be fetched again",
            );
        }
        self.objects
            .create_live(node.ino)
            .map_err(io("making a file"))?;
        let found = self
            .objects
            .live_stat(node.ino)
            .map_err(io("looking at a live file"))?;
        let lost = node.attrs.size > 0;
        let mut node = node;
        if let Some((stat, _)) = found {
            settle(&mut node, stat, Looked::plain(stat));
        }
        self.meta.write(|txn| {
            txn.put_node(&node)?;
            if lost {
                let detail = "unsynced contents were lost by an unclean end; see `driftfs snap ls` for earlier ones";
                self.record(txn, "lost", node.ino, At::Node(node.ino), Who::DRIFTFS, detail.into())?;
            }
            Ok::<_, TreeError>(())
        })
    }

    fn forget_bytes(&self, mut node: Node, why: &str) -> Result<()> {
        tracing::warn!(ino = %node.ino, "a file kept here {why}");
        node.bytes = Bytes::Absent;
        node.live_stat = None;
        node.fetched = None;
        self.meta.write(|txn| {
            txn.put_node(&node)?;
            self.record(
                txn,
                "lost",
                node.ino,
                At::Node(node.ino),
                Who::DRIFTFS,
                why.to_owned(),
            )
        })?;
        self.remove_stray(node.ino);
        Ok(())
    }

    fn remove_files_without_rows(&self) -> Result<()> {
        let rows: HashSet<Ino> = self.meta.read(|rows| {
            let nodes = rows.all_nodes()?.into_iter();
            Ok::<_, TreeError>(
                nodes
                    .filter(|n| n.bytes == Bytes::Here)
                    .map(|n| n.ino)
                    .collect(),
            )
        })?;
        for ino in self.objects.all_live().map_err(io("listing live files"))? {
            if !rows.contains(&ino) {
                self.remove_stray(ino);
            }
        }
        let sealed: HashSet<ObjectId> = {
            let rows = self.meta.read(|rows| rows.all_sealed())?;
            rows.into_iter().map(|row| row.id).collect()
        };
        for id in self
            .objects
            .all_sealed()
            .map_err(io("listing sealed files"))?
        {
            if !sealed.contains(&id) {
                self.objects
                    .remove_sealed(id)
                    .map_err(io("removing a sealed file"))?;
            }
        }
        Ok(())
    }
}
