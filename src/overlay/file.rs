//! Opening, reading and writing files.

use std::sync::atomic::{AtomicBool, Ordering};

use super::handles::OpenFile;
use super::{Call, Need, Overlay, OverlayError, Result, Seek, Stat};
use crate::model::Ino;
use crate::tree::TreeError;

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct HowToOpen {
    /// For writing.
    pub write: bool,
    /// Emptied by the open.
    pub truncate: bool,
}

/// An opened file.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// Number of the handle.
    pub handle: u64,
    /// The kernel's pages of it are still true.
    pub keep_cache: bool,
}

/// The extended attribute that gives a program privileges; a write without privilege takes it away.
const CAPS: &[u8] = b"security.capability";

/// The most that one copy_file_range answers for; the caller comes back for the rest.
const COPY_PIECE: u64 = 128 << 20;

impl Overlay {
    /// Opens a file.
    pub fn open(&self, call: &Call, ino: Ino, how: HowToOpen) -> Result<Opened> {
        if let Some(dir) = self.directory_of(ino)? {
            self.look_first(call, dir)?;
        }
        let handle = self
            .tree
            .open_file(ino, how.write, how.truncate, call.who)
            .map_err(|error| self.missing(call, error))?;
        if how.truncate {
            // The kernel leaves this to us when truncation comes with the open.
            self.strip_set_id(ino, call.who)?;
        }
        let seen = self.tree.stat(ino)?;
        let stat = Stat::from(&seen);
        let keep_cache = !how.truncate && self.open.is_cached(&stat);
        let file = OpenFile {
            ino,
            handle,
            wrote: AtomicBool::new(how.truncate),
            has_caps: AtomicBool::new(how.write && seen.node.xattrs.contains_key(CAPS)),
        };
        Ok(Opened {
            handle: self.open.add(file),
            keep_cache,
        })
    }

    /// Reads up to `len` bytes at `offset`; fewer at the end.
    pub fn read(&self, call: &Call, handle: u64, offset: u64, len: usize) -> Result<Vec<u8>> {
        let file = self.open.get(handle)?;
        self.tree
            .read(&file.handle, offset, len)
            .map_err(|error| self.missing(call, error))
    }

    /// Writes at `offset`, or at the end when `append`. `kill`: the writer has no privilege to keep set-id bits.
    pub fn write(
        &self,
        call: &Call,
        handle: u64,
        offset: u64,
        data: &[u8],
        append: bool,
        kill: bool,
    ) -> Result<usize> {
        let file = self.open.get(handle)?;
        if kill && file.has_caps.swap(false, Ordering::Relaxed) {
            match self.tree.remove_xattr(file.ino, CAPS, call.who) {
                Ok(()) | Err(TreeError::NoAttribute) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Before the write: a flush in between then reports it, and one more report does no harm.
        file.wrote.store(true, Ordering::Release);
        self.tree
            .write(&file.handle, offset, data, append, kill, call.who)
            .map_err(|error| self.missing(call, error))
    }

    /// `fallocate`.
    pub fn allocate(
        &self,
        call: &Call,
        handle: u64,
        offset: u64,
        len: u64,
        mode: i32,
    ) -> Result<()> {
        let file = self.open.get(handle)?;
        file.wrote.store(true, Ordering::Release);
        self.tree
            .allocate(&file.handle, offset, len, mode, call.who)
            .map_err(|error| self.missing(call, error))?;
        self.strip_set_id(file.ino, call.who)
    }

    /// SEEK_DATA and SEEK_HOLE.
    pub fn seek(&self, handle: u64, offset: u64, what: Seek) -> Result<u64> {
        let file = self.open.get(handle)?;
        let found = self.tree.seek(&file.handle, offset, what)?;
        found.ok_or(OverlayError::PastEnd)
    }

    /// Copies between two open files; gives the number of bytes copied, which may be fewer than `len`.
    pub fn copy(&self, call: &Call, from: (u64, u64), to: (u64, u64), len: u64) -> Result<u64> {
        let source = self.open.get(from.0)?;
        let target = self.open.get(to.0)?;
        target.wrote.store(true, Ordering::Release);
        let len = len.min(COPY_PIECE);
        let copied = self
            .tree
            .copy(&source.handle, from.1, &target.handle, to.1, len, call.who)
            .map_err(|error| self.missing(call, error))?;
        self.strip_set_id(target.ino, call.who)?;
        Ok(copied)
    }

    /// At close(2): the row follows the live file, and the change is told. With `--push close` the caller is kept
    /// waiting until the server has it.
    pub fn flush(&self, call: &Call, handle: u64) -> Result<()> {
        let file = self.open.get(handle)?;
        if call.pushed {
            return Ok(());
        }
        if self.report(&file)? && self.hooks.close_waits() && self.link.may_ask() {
            return Err(OverlayError::Wait(Need::Push(file.ino)));
        }
        Ok(())
    }

    /// fsync.
    pub fn sync(&self, handle: u64) -> Result<()> {
        let file = self.open.get(handle)?;
        self.tree.sync(&file.handle)?;
        if file.wrote.load(Ordering::Acquire) {
            self.hooks.say_changed(file.ino);
        }
        Ok(())
    }

    /// The last descriptor of an opening is gone. Nobody hears an error of this call.
    pub fn release(&self, handle: u64) {
        let Some(file) = self.open.remove(handle) else {
            return;
        };
        // Writes of a mapping come after the last flush.
        if let Err(error) = self.report(&file) {
            tracing::warn!(ino = %file.ino, %error, "the row of a closed file could not follow it; it will at the next look");
        }
        match self.tree.stat(file.ino) {
            Ok(seen) => self.open.note_content(&Stat::from(&seen)),
            Err(_) => self.open.forget_content(file.ino),
        }
    }

    /// Brings the row up to date with what was written through `file`, and tells of it. True when there was something.
    fn report(&self, file: &OpenFile) -> Result<bool> {
        if !file.wrote.swap(false, Ordering::AcqRel) {
            return Ok(false);
        }
        if let Err(error) = self.tree.flush(&file.handle) {
            file.wrote.store(true, Ordering::Release);
            return Err(error.into());
        }
        self.hooks.say_changed(file.ino);
        Ok(true)
    }
}
