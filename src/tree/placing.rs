//! Many small files from the server at once: one transaction for all of them.

use super::commit::Core;
use super::live::Pin;
use super::{Result, Tree, TreeError, io};
use crate::meta::{BaseNode, Rows};
use crate::model::{Bytes, Dirty, Ino, Kind, LiveStat, Stamp};

/// A small file to be placed.
#[derive(Clone, Debug)]
pub struct Small {
    /// The node, which has no bytes here.
    pub ino: Ino,
    /// All of the bytes.
    pub bytes: Vec<u8>,
    /// The base row with the stamp read.
    pub base: BaseNode,
    /// The stamp base had when the server was asked.
    pub before: Stamp,
}

impl Tree {
    /// Places the files whose nodes and base still are what they were when the server was asked, clean and without
    /// bytes. The others are left as they are: nobody waits for them. Gives the numbers of those placed.
    pub fn place_small(&self, mut files: Vec<Small>) -> Result<Vec<Ino>> {
        let core = &self.core;
        let _gate = core.gate();
        // Node locks are taken by number.
        files.sort_by_key(|file| file.ino);
        files.dedup_by_key(|file| file.ino);
        let pins: Vec<Pin<'_>> = files.iter().map(|file| core.table.pin(file.ino)).collect();
        let _alone: Vec<_> = pins.iter().map(|pin| pin.alone()).collect();
        let wanted = core.meta.read(|rows| {
            let mut wanted = Vec::with_capacity(files.len());
            for (file, pin) in files.iter().zip(&pins) {
                if !pin.is_open() && is_wanted(rows, file)? {
                    wanted.push(file);
                }
            }
            Ok::<_, TreeError>(wanted)
        })?;
        let written = core.write_small(&wanted);
        let stored = written.and_then(|written| core.store_small(&written));
        if stored.is_err() {
            wanted.iter().for_each(|file| core.remove_stray(file.ino));
        }
        pins.iter().for_each(|pin| pin.not_ready());
        stored
    }
}

/// True when nothing happened to node and base since the server was asked.
fn is_wanted(rows: &Rows<'_>, file: &Small) -> Result<bool> {
    let Some(node) = rows.node(file.ino)? else {
        return Ok(false);
    };
    if node.attrs.kind != Kind::File
        || node.bytes != Bytes::Absent
        || node.bid != Some(file.base.bid)
        || node.dirty.has(Dirty::BYTES)
        || node.nlink == 0
    {
        return Ok(false);
    }
    let base = rows.base(file.base.bid)?;
    Ok(base.is_some_and(|base| base.stamp == file.before && base.object.is_none()))
}

impl Core {
    /// The files first: a live file whose row says that nothing is here is removed at the next start.
    fn write_small<'a>(&self, files: &[&'a Small]) -> Result<Vec<(&'a Small, LiveStat)>> {
        files
            .iter()
            .map(|file| {
                self.barrier.spare(file.ino);
                let mtime = file.base.attrs.mtime;
                let stat = self.objects.write_live(file.ino, &file.bytes, mtime);
                Ok((*file, stat.map_err(io("placing a fetched file"))?))
            })
            .collect()
    }

    /// Their rows, which the node locks keep as they were looked at; base may have moved all the same.
    fn store_small(&self, files: &[(&Small, LiveStat)]) -> Result<Vec<Ino>> {
        let mut strays = Vec::new();
        let placed = self.meta.write(|txn| {
            let epoch = txn.epoch()?;
            let mut placed = Vec::with_capacity(files.len());
            for (file, stat) in files {
                let node = txn.node(file.ino)?;
                let (Some(mut node), true) = (node, is_wanted(txn, file)?) else {
                    strays.push(file.ino);
                    continue;
                };
                if file.base.stamp != file.before {
                    txn.put_base(&file.base)?;
                }
                node.attrs.size = stat.size;
                node.bytes = Bytes::Here;
                node.fetched = Some(epoch);
                node.bytes_since = epoch;
                node.live_stat = Some(*stat);
                node.durable = false;
                txn.put_node(&node)?;
                placed.push(file.ino);
            }
            Ok::<_, TreeError>(placed)
        })?;
        strays.iter().for_each(|ino| self.remove_stray(*ino));
        Ok(placed)
    }
}
