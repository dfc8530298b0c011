//! Making an object where nobody sees it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use super::attempt::{self, Tx};
use super::root::{Family, Opened};
use super::{attrs, look, moves};
use crate::lower::error::{is, local, meaning, no};
use crate::lower::{Answer, Done, LowerError, New, SetAttrs, Slot, progress};
use crate::model::{Hash, Kind};
use crate::sys::{self, CopyError, dir::Onto};

/// Makes `new` in slot `new`: written, synced, attributes set, looked at again.
pub(super) fn stage(opened: &Opened, tx: &Tx, new: &New, bytes: Option<&File>) -> Answer<Done> {
    tx.clear_new(opened)?;
    let hash = make(opened, tx, new, bytes)?;
    let name = attempt::name(Slot::New);
    let handle = sys::dir::handle_in(&tx.dir, name).map_err(|e| meaning("open", &tx.path, e))?;
    let wanted = wanted(new);
    attrs::drop_inherited_acl(&handle, &wanted);
    let mut refused = attrs::apply(&handle, new.attrs.kind, &tx.path, &wanted)?;
    attrs::sync(&tx.dir, name, new.attrs.kind, &tx.path)?;
    tx.sync()?;
    let mut seen = look::must(opened, &tx.dir, name, &tx.path, true)?;
    seen.stamp.hash = hash;
    attrs::silently_ignored(opened, &wanted, &seen, &mut refused);
    Ok(Done {
        seen,
        refused,
        possible_loss: false,
    })
}

fn wanted(new: &New) -> SetAttrs {
    SetAttrs {
        mode: Some(new.attrs.mode),
        uid: Some(new.attrs.uid),
        gid: Some(new.attrs.gid),
        mtime: Some(new.attrs.mtime),
        xattrs: new
            .xattrs
            .iter()
            .map(|(name, value)| (name.clone(), Some(value.clone())))
            .collect(),
    }
}

/// Makes the bare object; gives the hash of a file's bytes.
fn make(opened: &Opened, tx: &Tx, new: &New, bytes: Option<&File>) -> Answer<Option<Hash>> {
    let name = attempt::name(Slot::New);
    let made = match new.attrs.kind {
        Kind::File => return write(opened, tx, name, bytes),
        Kind::Dir => sys::dir::mkdir_in(&tx.dir, name, 0o700),
        Kind::Symlink => {
            let target = new.target.as_deref().unwrap_or_default();
            sys::dir::symlink_in(&tx.dir, name, OsStr::from_bytes(target))
        }
        // A socket is an address of this host; on a server it would be a dead name.
        Kind::Socket => Err(io::Error::from_raw_os_error(no::EOPNOTSUPP)),
        kind => sys::dir::mknod_in(&tx.dir, name, kind, new.attrs.rdev),
    };
    match made {
        Ok(()) => Ok(None),
        // SMB clients say EIO for kinds their server does not have.
        Err(e) if opened.family == Family::Smb && is(&e, no::EIO) && answers(opened) => {
            Err(meaning(
                "make",
                &tx.path,
                io::Error::from_raw_os_error(no::EOPNOTSUPP),
            ))
        }
        Err(e) => Err(meaning("make", &tx.path, e)),
    }
}

fn answers(opened: &Opened) -> bool {
    sys::statfs_of(&opened.root).is_ok()
}

/// Writes a file and closes it: SMB moves mtime at close, so attributes come after that.
fn write(opened: &Opened, tx: &Tx, name: &OsStr, bytes: Option<&File>) -> Answer<Option<Hash>> {
    let fail = |e| meaning("write", &tx.path, e);
    // SMB clients put closing off for a second, and mtime would move then, over the one we set. A rename makes them close.
    let draft = match opened.family {
        Family::Smb => OsStr::new(moves::DRAFT),
        _ => name,
    };
    if draft != name {
        attempt::remove(&tx.dir, draft, Kind::File).map_err(fail)?;
    }
    let (hash, size) = fill(opened, tx, draft, bytes)?;
    if draft != name {
        sys::dir::rename_between(&tx.dir, draft, &tx.dir, name, Onto::Replace).map_err(fail)?;
    }
    let stat = sys::statx_in(&tx.dir, name).map_err(fail)?;
    if stat.attrs.size != size {
        let there = stat.attrs.size;
        return Err(LowerError::Link {
            what: format!("write {}", tx.path),
            why: format!("{size} bytes were written and {there} are there"),
        });
    }
    if size > 0 {
        opened.learn_clock(stat.attrs.mtime);
    }
    Ok(Some(hash))
}

/// Makes the file `name` with these bytes, synced and closed.
fn fill(opened: &Opened, tx: &Tx, name: &OsStr, bytes: Option<&File>) -> Answer<(Hash, u64)> {
    let fail = |e| meaning("write", &tx.path, e);
    let file = sys::create_at(&tx.dir, name.as_ref(), 0o600).map_err(fail)?;
    let empty;
    let from = match bytes {
        Some(bytes) => bytes,
        None => {
            empty = sys::open_null().map_err(local)?;
            &empty
        }
    };
    // A sparse file may claim more bytes than can be read in a lifetime.
    let size = from.metadata().map_err(local)?.len();
    if !sys::can_hold(&file, size).map_err(fail)? {
        return Err(LowerError::Refused {
            what: format!("write {size} bytes"),
            errno: no::EFBIG,
            why: "that is more than its whole disk holds".into(),
        });
    }
    let mut flush = Flush::new(opened, &file);
    let copied = sys::copy_hashed(from, &file, &mut || flush.chunk());
    let flushed = flush.failed;
    let made = copied.map_err(|e| match e {
        CopyError::From(e) => local(e),
        CopyError::To(e) => fail(e),
    })?;
    // An error of writing back is told once: the last sync may not repeat it.
    flushed.map_or(Ok(()), |e| Err(fail(e)))?;
    // Only a sync makes a write count on a network file system.
    sys::sync(&file).map_err(fail)?;
    progress::beat();
    Ok(made)
}

/// Sends bytes on their way while they are written, so that the last sync finds little to do and a long upload gives signs of
/// life that mean something. As often as the line is slow.
struct Flush<'a> {
    file: &'a File,
    /// Chunks between two syncs; 0: leave it to the last one.
    every: u32,
    since: u32,
    failed: Option<io::Error>,
}

impl<'a> Flush<'a> {
    fn new(opened: &Opened, file: &'a File) -> Flush<'a> {
        Flush {
            file,
            every: u32::from(opened.family != Family::Local),
            since: 0,
            failed: None,
        }
    }

    fn chunk(&mut self) {
        self.since += 1;
        if self.every > 0 && self.since >= self.every && self.failed.is_none() {
            self.since = 0;
            let before = Instant::now();
            self.failed = sys::sync(self.file).err();
            if before.elapsed() < Duration::from_millis(200) {
                self.every = (self.every * 2).min(128);
            } else if before.elapsed() > Duration::from_secs(2) {
                self.every = (self.every / 2).max(1);
            }
        }
        progress::beat();
    }
}
