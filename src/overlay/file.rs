//! Opening, reading and writing files.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};

use super::handles::{Body, LiveFile, Open};
use super::hidden::is_shown;
use super::{Call, Need, Overlay, OverlayError, Result, Seek, Stat};
use crate::meta::{MetaError, Node};
use crate::model::{Dirty, Ino};
use crate::sys;
use crate::tree::{Handle, HowOpen, Tree, TreeError};

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct HowToOpen {
    /// For writing.
    pub write: bool,
    /// For both reading and writing: a mapping may write.
    pub maps: bool,
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
    /// The kernel may read and write the live file without asking (see [`Overlay::backing`]).
    pub passthrough: bool,
    /// Nothing is to be done when a descriptor of it is closed: the kernel need not ask.
    pub quiet: bool,
}

/// The extended attribute that gives a program privileges; a write without privilege takes it away.
const CAPS: &[u8] = b"security.capability";

/// Brings the row of an opened file up to date.
type Flush = fn(&Tree, &Handle) -> std::result::Result<bool, TreeError>;

/// The most that one copy_file_range answers for; the caller comes back for the rest.
const COPY_PIECE: u64 = 128 << 20;

impl Overlay {
    /// Opens a file.
    pub fn open(&self, call: &Call, ino: Ino, how: HowToOpen) -> Result<Opened> {
        if is_shown(ino) {
            if how.write || how.truncate {
                return Err(OverlayError::ReadOnly);
            }
            return self.open_shown(call, ino);
        }
        // The kernel asks nobody about running programs when truncation comes with an open for reading.
        if how.truncate && !how.write && sys::is_executed(&self.settings.mountpoint, ino.0) {
            return Err(OverlayError::Running);
        }
        if let Some(dir) = self.directory_of(ino)? {
            self.look_first(call, dir)?;
        }
        let wanted = HowOpen {
            write: how.write,
            truncate: how.truncate,
            maps: how.maps,
            passthrough: self.passthrough.load(Ordering::Relaxed),
        };
        let handle = match self.tree.open_with(ino, wanted, call.who) {
            Err(error @ TreeError::NoBytes(_)) => {
                let parts = self.open_in_parts(call, ino, how.write);
                return parts.ok_or_else(|| self.missing_to_open(call, error));
            }
            opened => opened.map_err(|error| self.missing(call, error))?,
        };
        if how.truncate {
            // The kernel leaves this to us when truncation comes with the open.
            self.strip_set_id(ino, call.who)?;
        }
        self.fetch.used(ino);
        let seen = self.tree.stat(ino)?;
        let stat = Stat::from(&seen);
        let passthrough = handle.is_passthrough();
        let keep_cache = !how.truncate && !passthrough && self.open.is_cached(&stat);
        let file = LiveFile {
            silent: passthrough && how.write,
            handle,
            wrote: AtomicBool::new(how.truncate),
            has_caps: AtomicBool::new(how.write && seen.node.xattrs.contains_key(CAPS)),
        };
        if file.silent && how.maps && stat.attrs.size > 0 {
            // Of stores into a mapping the kernel tells its attributes nothing: what it keeps of them is over. (An empty file
            // must be made longer before, by a call that does tell.)
            self.changed_more(ino);
        }
        Ok(Opened {
            handle: self.open.add(ino, Body::Live(file)),
            keep_cache,
            passthrough,
            // What was written without us is looked at when the last descriptor is closed; the row says until then that it
            // may have been.
            quiet: !how.write || (passthrough && !self.hooks.close_waits()),
        })
    }

    /// Files opened from now on may be opened in passthrough, or are served.
    pub fn use_passthrough(&self, yes: bool) {
        self.passthrough.store(yes, Ordering::Relaxed);
    }

    /// The live file behind a handle that may pass, open for reading only. `None`: it is served meanwhile.
    pub fn backing(&self, handle: u64) -> Result<Option<File>> {
        let open = self.open.get(handle)?;
        let file = &open.live()?.handle;
        if !file.is_passthrough() {
            return Ok(None);
        }
        Ok(Some(self.tree.backing(file)?))
    }

    /// The kernel would not take the live file of a handle, and was told of no other handle of its node: they are served.
    pub fn serve_instead(&self, handle: u64) -> Result<()> {
        let open = self.open.get(handle)?;
        Ok(self.tree.serve_instead(&open.live()?.handle)?)
    }

    /// Reads up to `len` bytes at `offset`; fewer at the end.
    pub fn read(&self, call: &Call, handle: u64, offset: u64, len: usize) -> Result<Vec<u8>> {
        let open = self.open.get(handle)?;
        match &open.body {
            Body::Live(file) => self
                .tree
                .read(&file.handle, offset, len)
                .map_err(|error| self.missing(call, error)),
            Body::Part(file) => self.read_in_parts(call, &open, file, (offset, len)),
            Body::Stored(file) => read_stored(file, offset, len),
            Body::Text(text) => Ok(piece(text, offset, len).to_vec()),
        }
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
        let open = self.open.get(handle)?;
        let file = self.live_of(call, &open)?;
        if kill && file.has_caps.swap(false, Ordering::Relaxed) {
            match self.tree.remove_xattr(open.ino, CAPS, call.who) {
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
        let open = self.open.get(handle)?;
        let file = self.live_of(call, &open)?;
        file.wrote.store(true, Ordering::Release);
        self.tree
            .allocate(&file.handle, offset, len, mode, call.who)
            .map_err(|error| self.missing(call, error))?;
        self.strip_set_id(open.ino, call.who)
    }

    /// SEEK_DATA and SEEK_HOLE.
    pub fn seek(&self, handle: u64, offset: u64, what: Seek) -> Result<u64> {
        let open = self.open.get(handle)?;
        // All data up to the end, and a hole there: always allowed.
        let plain = |size: u64| {
            let there = if what == Seek::Data { offset } else { size };
            (offset < size).then_some(there)
        };
        let found = match (&open.body, open.live()) {
            (_, Ok(file)) => self.tree.seek(&file.handle, offset, what)?,
            (Body::Part(file), Err(_)) => plain(file.size()),
            _ => plain(self.getattr_shown(open.ino)?.attrs.size),
        };
        found.ok_or(OverlayError::PastEnd)
    }

    /// Copies between two open files; gives the number of bytes copied, which may be fewer than `len`.
    pub fn copy(&self, call: &Call, from: (u64, u64), to: (u64, u64), len: u64) -> Result<u64> {
        let (source, target) = (self.open.get(from.0)?, self.open.get(to.0)?);
        let ino = target.ino;
        let (source, target) = match (source.live(), self.live_of(call, &target)) {
            (Ok(source), Ok(target)) => (source, target),
            // The kernel then copies by reading and writing.
            (Err(_), Ok(_)) => {
                return Err(OverlayError::Unsupported(
                    "copying from a version or from parts",
                ));
            }
            (_, Err(error)) => return Err(error),
        };
        target.wrote.store(true, Ordering::Release);
        let len = len.min(COPY_PIECE);
        let copied = self
            .tree
            .copy(&source.handle, from.1, &target.handle, to.1, len, call.who)
            .map_err(|error| self.missing(call, error))?;
        self.strip_set_id(ino, call.who)?;
        Ok(copied)
    }

    /// At close(2): the row follows the live file, and the change is told. With `--push close` the caller is kept
    /// waiting until the server has it.
    pub fn flush(&self, call: &Call, handle: u64) -> Result<()> {
        let open = self.open.get(handle)?;
        if call.pushed || open.live().is_err() {
            return Ok(());
        }
        if self.report(&open, Tree::flush)? && self.hooks.close_waits() && self.link.may_ask() {
            return Err(OverlayError::Wait(Need::Push(open.ino)));
        }
        Ok(())
    }

    /// fsync.
    pub fn sync(&self, handle: u64) -> Result<()> {
        let open = self.open.get(handle)?;
        let Ok(file) = open.live() else {
            return Ok(());
        };
        let moved = self.tree.sync(&file.handle)?;
        if moved || file.wrote.load(Ordering::Acquire) {
            self.hooks.say_changed(open.ino);
        }
        Ok(())
    }

    /// The last descriptor of an opening is gone. Nobody hears an error of this call.
    pub fn release(&self, handle: u64) {
        let Some(open) = self.open.remove(handle) else {
            return;
        };
        // Writes of a mapping come after the last flush.
        if let Err(error) = self.report(&open, Tree::flush_last) {
            tracing::warn!(ino = %open.ino, %error, "the row of a closed file could not follow it; it will at the next look");
        }
        let Ok(file) = open.live() else {
            return;
        };
        let (ino, silent, passthrough) = (open.ino, file.silent, file.handle.is_passthrough());
        // Its opening ends here: what was marked for this writer's sake alone is clean again.
        drop(open);
        if !passthrough && let Ok(seen) = self.tree.stat(ino) {
            return self.open.note_content(&Stat::from(&seen));
        }
        // The kernel has no pages of its own of it.
        self.open.forget_content(ino);
        if silent && self.is_to_be_sent(ino) {
            // Sent while it was open it was not called clean.
            self.hooks.say_changed(ino);
        }
    }

    fn is_to_be_sent(&self, ino: Ino) -> bool {
        let node = self.tree.meta().quick(|rows| rows.node(ino));
        let node: Option<Node> = node.unwrap_or_else(|_: MetaError| None);
        node.is_some_and(|node| node.nlink > 0 && node.dirty.has(Dirty::BYTES))
    }

    /// Brings the row up to date with what was written through a handle, and tells of it. True when there was something.
    fn report(&self, open: &Open, flush: Flush) -> Result<bool> {
        let Ok(file) = open.live() else {
            return Ok(false);
        };
        let wrote = file.wrote.swap(false, Ordering::AcqRel);
        if !wrote && !file.silent {
            return Ok(false);
        }
        match flush(&self.tree, &file.handle) {
            Ok(moved) if moved || wrote => {
                self.hooks.say_changed(open.ino);
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(error) => {
                file.wrote.store(true, Ordering::Release);
                Err(error.into())
            }
        }
    }
}

/// Reads a stored version; fewer bytes at its end.
fn read_stored(file: &File, offset: u64, len: usize) -> Result<Vec<u8>> {
    let read = crate::sys::read_at(file, offset, len);
    Ok(read.map_err(|source| TreeError::Io {
        what: "reading a stored version",
        source,
    })?)
}

/// The part of a text at `offset`; shorter at its end.
fn piece(text: &[u8], offset: u64, len: usize) -> &[u8] {
    let start = usize::try_from(offset).map_or(text.len(), |start| start.min(text.len()));
    let end = start.saturating_add(len).min(text.len());
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_in_pieces_and_ends() {
        assert_eq!(piece(b"abcdef", 2, 3), b"cde");
        assert_eq!(piece(b"abcdef", 4, 30), b"ef");
        assert_eq!(piece(b"abcdef", 60, 3), b"");
        assert_eq!(piece(b"abcdef", u64::MAX, usize::MAX), b"");
    }
}
