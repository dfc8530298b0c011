//! Results of operations as replies to the kernel.

use std::fs::File;
use std::time::Duration;

use fuser::{
    BackingId, FileHandle, FopenFlags, Generation, ReplyAttr, ReplyCreate, ReplyData, ReplyEmpty,
    ReplyEntry, ReplyLseek, ReplyOpen, ReplyWrite, ReplyXattr,
};

use super::backing::Backings;
use super::convert::file_attr;
use super::errno::errno;
use crate::model::{Attrs, Ino, Kind, Time};
use crate::overlay::{Keep, Opened, OverlayError, Result, Stat};
use crate::sys;

/// Numbers are never reused, so that there is one generation.
pub(super) const GENERATION: Generation = Generation(0);

/// How long the kernel may keep what it is told of a node. Not at all for what `.drift` shows: it follows the live tree
/// and the syncs, and nobody tells the kernel.
pub(super) fn keep(stat: &Stat, ttl: Duration) -> Duration {
    if stat.ino.0 >= Ino::VIEWS {
        Duration::ZERO
    } else {
        ttl
    }
}

/// A node.
pub(super) fn entry(reply: ReplyEntry, time: Keep, stat: &Stat) {
    let (attributes, name) = (keep(stat, time.attributes), keep(stat, time.name));
    reply.entry_with_ttls(&attributes, &name, &file_attr(stat), GENERATION);
}

/// Why there is no node.
pub(super) fn refused_entry(reply: ReplyEntry, error: &OverlayError) {
    reply.error(errno(error));
}

/// Nothing is there, and the kernel may keep that for `ttl`.
pub(super) fn missing(reply: ReplyEntry, ttl: Duration) {
    reply.entry(&ttl, &file_attr(&nothing()), GENERATION);
}

/// Number 0 tells the kernel that there is nothing of that name.
fn nothing() -> Stat {
    let zero = Time::default();
    Stat {
        ino: Ino(0),
        attrs: Attrs {
            kind: Kind::File,
            mode: 0,
            uid: 0,
            gid: 0,
            rdev: 0,
            size: 0,
            mtime: zero,
            ctime: zero,
            atime: zero,
        },
        nlink: 0,
        blocks: 0,
    }
}

/// Attributes.
pub(super) fn attr(reply: ReplyAttr, ttl: Duration, stat: &Stat) {
    reply.attr(&keep(stat, ttl), &file_attr(stat));
}

/// Why there are no attributes.
pub(super) fn refused_attr(reply: ReplyAttr, error: &OverlayError) {
    reply.error(errno(error));
}

/// An opened file, or why not.
pub(super) fn opened(reply: ReplyOpen, backings: &Backings, ino: Ino, result: Result<Opened>) {
    let open = |file: File| reply.open_backing(file);
    let passed = result.and_then(|opened| Ok((opened, backings.find(ino, &opened, &open)?)));
    match passed {
        Ok((opened, Some(backing))) => {
            let flags = quiet_flags(&opened);
            reply.opened_passthrough(FileHandle(opened.handle), flags, &backing);
        }
        Ok((opened, None)) => reply.opened(FileHandle(opened.handle), open_flags(&opened)),
        Err(error) => reply.error(errno(&error)),
    }
}

/// A made and opened file.
pub(super) fn created(
    reply: ReplyCreate,
    ttl: Duration,
    stat: &Stat,
    opened: &Opened,
    backing: Option<&BackingId>,
) {
    let (attr, handle) = (file_attr(stat), FileHandle(opened.handle));
    match backing {
        Some(backing) => {
            let flags = quiet_flags(opened);
            reply.created_passthrough(&ttl, &attr, GENERATION, handle, flags, backing);
        }
        None => reply.created(&ttl, &attr, GENERATION, handle, open_flags(opened)),
    }
}

/// Why no file was made.
pub(super) fn refused_create(reply: ReplyCreate, error: &OverlayError) {
    reply.error(errno(error));
}

fn open_flags(opened: &Opened) -> FopenFlags {
    let mut flags = quiet_flags(opened);
    flags.set(FopenFlags::FOPEN_KEEP_CACHE, opened.keep_cache);
    flags
}

fn quiet_flags(opened: &Opened) -> FopenFlags {
    if opened.quiet {
        FopenFlags::FOPEN_NOFLUSH
    } else {
        FopenFlags::empty()
    }
}

/// The kernel lists a directory from what it has.
pub(super) fn dir_flags() -> FopenFlags {
    FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE
}

/// Done, or why not.
pub(super) fn done(reply: ReplyEmpty, result: Result<()>) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(&error)),
    }
}

/// Bytes, or why not.
pub(super) fn bytes(reply: ReplyData, result: Result<Vec<u8>>) {
    match result {
        Ok(bytes) => reply.data(&bytes),
        Err(error) => reply.error(errno(&error)),
    }
}

/// A number of bytes written, or why not.
pub(super) fn written(reply: ReplyWrite, result: Result<u64>) {
    match result {
        // The operation wrote no more than was asked for, and the kernel asks in 32 bits.
        Ok(count) => reply.written(u32::try_from(count).unwrap_or(u32::MAX)),
        Err(error) => reply.error(errno(&error)),
    }
}

/// An offset, or why not.
pub(super) fn offset(reply: ReplyLseek, result: Result<u64>) {
    match result {
        Ok(offset) => reply.offset(i64::try_from(offset).unwrap_or(i64::MAX)),
        Err(error) => reply.error(errno(&error)),
    }
}

/// An extended attribute's value, or (`size` 0) its length, or why not.
pub(super) fn xattr(reply: ReplyXattr, size: u32, result: Result<Vec<u8>>) {
    match result {
        Ok(value) if size == 0 => reply.size(u32::try_from(value.len()).unwrap_or(u32::MAX)),
        Ok(value) if value.len() > size as usize => {
            reply.error(fuser::Errno::from_i32(sys::errno::ERANGE));
        }
        Ok(value) => reply.data(&value),
        Err(error) => reply.error(errno(&error)),
    }
}
