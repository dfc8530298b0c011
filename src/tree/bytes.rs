//! Opening, reading, writing.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::commit::Core;
use super::live::{Handle, Held, OpenNode, Opening, Pin, live_stat};
use super::seal::{CAPABILITY, SGID, SUID};
use super::{HowOpen, Result, Seek, Tree, TreeError, io};
use crate::meta::Node;
use crate::model::{Bytes, Ino, Kind, Who};
use crate::sys;

impl Tree {
    /// Opens a file, served. `NoBytes` when its bytes are not here (an open that truncates to nothing needs none: pass
    /// `truncate`).
    pub fn open_file(&self, ino: Ino, write: bool, truncate: bool, who: Who) -> Result<Handle> {
        let how = HowOpen {
            write,
            maps: write,
            truncate,
            passthrough: false,
        };
        self.open_with(ino, how, who)
    }

    /// The same, in passthrough where that is asked for and possible. The first open decides for all until the last
    /// close: the kernel takes no two modes, and no two live files, of one node.
    pub fn open_with(&self, ino: Ino, how: HowOpen, who: Who) -> Result<Handle> {
        let core = &self.core;
        let _gate = core.gate();
        let pin = core.table.pin(ino);
        let _alone = pin.alone();
        let node = core.row(ino)?;
        check_file(&node)?;
        core.keep_promise(&pin, &node)?;
        if how.truncate {
            // As a program without the right to keep set-id bits: root keeps them by asking with `kill_suid` false.
            core.truncate_alone(&pin, &node, 0, who.uid != 0, who)?;
        } else if node.bytes != Bytes::Here {
            return Err(TreeError::NoBytes(ino));
        }
        if !pin.is_open() {
            let may = how.passthrough && !pin.is_open_in_parts();
            let may = may && (!how.write || core.has_plenty());
            pin.set_passthrough(may && core.may_pass(&pin, how.write)?);
        }
        if !pin.is_open() && !pin.will_pass() || pin.is_open() && !pin.is_passthrough() {
            core.hold_live(&pin, how.write)?;
        } else if how.write {
            // Writes will not come by here: what they change is kept now.
            core.make_ready_silently(&pin, who)?;
            if how.maps {
                pin.maps.store(true, Ordering::SeqCst);
            }
            if who.uid != 0 && loses_rights(&node) {
                // Set under an open handle. Nobody will see the write that takes them away, so the open does.
                core.strip(&pin, true)?;
            }
        }
        Ok(core.opened(&pin, how.write))
    }

    /// Reads up to `len` bytes at `offset`; fewer at the end.
    pub fn read(&self, handle: &Handle, offset: u64, len: usize) -> Result<Vec<u8>> {
        let file = handle.inner.file(false)?;
        sys::read_at(&file, offset, len).map_err(io("reading"))
    }

    /// Writes at `offset`, or at the end when `append`. The first write after base or a snapshot seals first.
    pub fn write(
        &self,
        handle: &Handle,
        offset: u64,
        data: &[u8],
        append: bool,
        kill_suid: bool,
        who: Who,
    ) -> Result<usize> {
        self.core.spare(data.len() as u64)?;
        let change = |file: &File| {
            let offset = if append {
                live_stat(file)?.size
            } else {
                offset
            };
            sys::write_at(file, offset, data).map_err(io("writing"))
        };
        match self.changing(handle, append, kill_suid, who, &change) {
            Err(TreeError::NoSpace) if self.core.make_room() => {
                self.changing(handle, append, kill_suid, who, &change)
            }
            other => other,
        }
    }

    /// `fallocate` with its mode bits.
    pub fn allocate(
        &self,
        handle: &Handle,
        offset: u64,
        len: u64,
        mode: i32,
        who: Who,
    ) -> Result<()> {
        if mode & sys::FREEING == 0 {
            self.core.spare(len)?;
        }
        // Ranges may move (collapse, insert): alone.
        self.changing(handle, true, who.uid != 0, who, &|file| {
            sys::allocate(file, mode, offset, len).map_err(io("allocating space"))
        })
    }

    /// SEEK_DATA, SEEK_HOLE. `Ok(None)`: ENXIO.
    pub fn seek(&self, handle: &Handle, offset: u64, what: Seek) -> Result<Option<u64>> {
        let file = handle.inner.file(false)?;
        let found = sys::seek_to(&file, offset, what == Seek::Hole);
        found.map_err(io("looking for data"))
    }

    /// Runs one change of the bytes of an open file: made ready first, beside other plain writes unless `alone`.
    pub(super) fn changing<T>(
        &self,
        handle: &Handle,
        alone: bool,
        kill_suid: bool,
        who: Who,
        change: &dyn Fn(&File) -> Result<T>,
    ) -> Result<T> {
        let opening: &Opening = &handle.inner;
        if !opening.write {
            return Err(TreeError::Invalid);
        }
        let core = &self.core;
        let open = opening.node();
        let _gate = core.gate();
        if !alone {
            let _shared = open.shared();
            if self.is_ready(open, who) {
                return changed(open, &*opening.file(true)?, change);
            }
        }
        let _alone = open.alone();
        let file: Arc<File> = opening.file(true)?;
        if !self.is_ready(open, who) {
            core.make_ready(open, &file, who)?;
            core.strip(open, kill_suid)?;
        }
        changed(open, &file, change)
    }

    /// True when a write needs no look at the rows. A change of the writing user goes to the row with the next settling.
    fn is_ready(&self, open: &OpenNode, who: Who) -> bool {
        let generation = self.core.generation();
        let ready = open.ready.load(Ordering::SeqCst) == generation
            && open.plain.load(Ordering::SeqCst) == generation;
        if ready {
            open.last_writer.store(who.uid, Ordering::Relaxed);
        }
        ready
    }
}

impl Core {
    /// True when the first opening of a node may leave reading and writing to the kernel.
    fn may_pass(&self, open: &OpenNode, write: bool) -> Result<bool> {
        let can = self.objects.can();
        let node = self.row(open.ino)?;
        if !can.lease || !can.mapped_times || loses_rights(&node) {
            return Ok(false);
        }
        let asked = self.objects.refuses_in_time();
        if !asked.map_err(io("asking for free space"))? {
            return Ok(false);
        }
        // Without reflinks a copy is made at the first real write, not for the wish to write.
        Ok(can.reflink || !write || !self.would_copy(open, &node)?)
    }

    /// Lets the handles of a served node share its live file.
    fn hold_live(&self, pin: &Pin<'_>, write: bool) -> Result<()> {
        if pin.held_file(write).is_none() {
            let file = self.live_file(pin, write)?;
            pin.hold(Held { file, write });
        }
        Ok(())
    }
}

/// True when a file has bits or capabilities that a write must take away; the kernel would not.
fn loses_rights(node: &Node) -> bool {
    node.attrs.mode & (SUID | SGID) != 0 || node.xattrs.contains_key(CAPABILITY)
}

fn changed<T>(open: &OpenNode, file: &File, change: &dyn Fn(&File) -> Result<T>) -> Result<T> {
    let done = change(file);
    // A change that failed may have done a part.
    open.wrote(file)?;
    done
}

/// Only regular files have bytes to be opened.
pub(super) fn check_file(node: &Node) -> Result<()> {
    match node.attrs.kind {
        Kind::File => Ok(()),
        Kind::Dir => Err(TreeError::IsDir),
        _ => Err(TreeError::Invalid),
    }
}
