//! One look at one object.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use super::hidden;
use super::root::{Family, Opened};
use crate::lower::error::{is, meaning, no};
use crate::lower::{Answer, LowerError};
use crate::model::{Kind, Observed, RelPath, Stamp, Xattrs};
use crate::sys::{self, Stat};

/// What is at `path`.
pub(super) fn look(opened: &Opened, path: &RelPath, xattrs: bool) -> Answer<Option<Observed>> {
    let fail = |e| meaning("look at", path, e);
    let Some((parent, name)) = path.split() else {
        let seen = of_dir(opened, &opened.root, xattrs).map_err(fail)?;
        return Ok(Some(seen));
    };
    let dir = opened.dir(&parent)?;
    if hidden::is_ours(&dir, name.os()).map_err(fail)? {
        return Ok(None);
    }
    at(opened, &dir, name.os(), xattrs).map_err(fail)
}

/// What is at `name` in an open directory; `None` when surely nothing.
pub(super) fn at(
    opened: &Opened,
    dir: &File,
    name: &OsStr,
    xattrs: bool,
) -> io::Result<Option<Observed>> {
    match present(opened, dir, name, xattrs) {
        Ok(seen) => Ok(Some(seen)),
        Err(e) if is(&e, no::ENOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

fn present(opened: &Opened, dir: &File, name: &OsStr, xattrs: bool) -> io::Result<Observed> {
    let mut stat = sys::statx_in(dir, name)?;
    if opened.family != Family::Local {
        stat = fresh(dir, name, stat)?;
    }
    let target = match stat.attrs.kind {
        Kind::Symlink => Some(sys::dir::read_link_in(dir, name)?),
        _ => None,
    };
    let xattrs = match xattrs {
        true => read_xattrs(&sys::dir::handle_in(dir, name)?)?,
        false => None,
    };
    Ok(observed(opened, &stat, target, xattrs))
}

/// Network clients answer a plain look from memory for up to a minute; opening asks the server. Only files and directories
/// are opened: opening a FIFO or a device does something.
fn fresh(dir: &File, name: &OsStr, stat: Stat) -> io::Result<Stat> {
    let opened = match stat.attrs.kind {
        Kind::File => sys::dir::open_file_in(dir, name),
        Kind::Dir => sys::dir::open_dir_in(dir, name),
        _ => return Ok(stat),
    };
    match opened {
        Ok(file) => sys::statx_of(&file),
        Err(e) if is(&e, no::ESTALE) || is(&e, no::ENOENT) => sys::statx_in(dir, name),
        // We may not read it, or it became something else meanwhile: the look by name is what we have.
        Err(e)
            if [no::EACCES, no::EPERM, no::EAGAIN, no::ELOOP, no::ENOTDIR]
                .iter()
                .any(|n| is(&e, *n)) =>
        {
            sys::statx_in(dir, name)
        }
        Err(e) => Err(e),
    }
}

/// An open directory.
pub(super) fn of_dir(opened: &Opened, dir: &File, xattrs: bool) -> io::Result<Observed> {
    let stat = sys::statx_of(dir)?;
    let xattrs = if xattrs { read_xattrs(dir)? } else { None };
    Ok(observed(opened, &stat, None, xattrs))
}

pub(super) fn read_xattrs(handle: &File) -> io::Result<Option<Xattrs>> {
    sys::xattrs_of(handle, is_shared)
}

/// Extended attributes that belong to the object and not to this host or this kind of server.
pub(super) fn is_shared(name: &[u8]) -> bool {
    // XFS shows its access control lists to root a second time, in a form of its own.
    if name.starts_with(b"trusted.SGI_ACL_") {
        return false;
    }
    name.starts_with(b"user.")
        || name.starts_with(b"trusted.")
        || name.starts_with(b"system.posix_acl_")
}

/// A stat as everybody else sees it.
pub(super) fn observed(
    opened: &Opened,
    stat: &Stat,
    target: Option<Vec<u8>>,
    xattrs: Option<Xattrs>,
) -> Observed {
    let kind = stat.attrs.kind;
    let size = match kind {
        Kind::File | Kind::Symlink => stat.attrs.size,
        _ => 0,
    };
    Observed {
        stamp: Stamp {
            kind,
            size,
            mtime: stat.attrs.mtime,
            ctime: stat.attrs.ctime,
            ino: stat.ino,
            btime: stat.btime,
            hash: None,
            racy: opened.is_racy(stat.attrs.mtime),
        },
        attrs: stat.attrs,
        nlink: stat.nlink,
        same_device: stat.dev == opened.dev,
        target,
        xattrs,
    }
}

/// As [`at`], for a name that must be there.
pub(super) fn must(
    opened: &Opened,
    dir: &File,
    name: &OsStr,
    path: &RelPath,
    xattrs: bool,
) -> Answer<Observed> {
    at(opened, dir, name, xattrs)
        .map_err(|e| meaning("look at", path, e))?
        .ok_or_else(|| LowerError::NotFound(path.clone()))
}
