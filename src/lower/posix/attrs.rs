//! Giving an object its attributes: what the server will not take is said in words, what the link loses is an error.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use super::root::Opened;
use crate::lower::error::{is_link, meaning};
use crate::lower::{Answer, LowerError, SetAttrs};
use crate::model::{Kind, Observed, RelPath, Time};
use crate::sys;

const LISTS: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// Applies `change` to the object behind `handle`. Owner first, because a chown strips set-id bits; `user.*` before the
/// mode, because a read-only mode refuses them; ACLs after the mode, because they hold the exact rights; mtime last, because
/// everything else may move it.
pub(super) fn apply(
    handle: &File,
    kind: Kind,
    path: &RelPath,
    change: &SetAttrs,
) -> Answer<Vec<String>> {
    let mut refused = Vec::new();
    let mut note = |what: String, done: io::Result<()>| note(path, &mut refused, what, done);
    own(handle, change, &mut note)?;
    let (early, late): (Vec<_>, Vec<_>) = change
        .xattrs
        .iter()
        .partition(|(name, _)| name.starts_with(b"user."));
    for (name, value) in early {
        note(said(name), set_xattr(handle, name, value.as_deref()))?;
    }
    if let Some(mode) = change.mode.filter(|_| kind != Kind::Symlink) {
        note(format!("mode {mode:04o}"), sys::set_mode(handle, mode))?;
    }
    for (name, value) in late {
        note(said(name), set_xattr(handle, name, value.as_deref()))?;
    }
    if let Some(mtime) = change.mtime {
        note("mtime".into(), sys::set_mtime(handle, mtime))?;
    }
    Ok(refused)
}

fn note(
    path: &RelPath,
    refused: &mut Vec<String>,
    what: String,
    done: io::Result<()>,
) -> Result<(), LowerError> {
    match done {
        Ok(()) => Ok(()),
        Err(e) if is_link(&e) => Err(meaning(&format!("set {what} of"), path, e)),
        Err(e) => {
            refused.push(format!("{what}: {e}"));
            Ok(())
        }
    }
}

/// Sets owner and group only where they differ: for anybody but root even the same owner is refused.
fn own(
    handle: &File,
    change: &SetAttrs,
    note: &mut impl FnMut(String, io::Result<()>) -> Answer<()>,
) -> Answer<()> {
    if change.uid.is_none() && change.gid.is_none() {
        return Ok(());
    }
    let now = match sys::statx_of(handle) {
        Ok(stat) => stat.attrs,
        Err(e) => return note("owner".into(), Err(e)),
    };
    if let Some(gid) = change.gid.filter(|gid| *gid != now.gid) {
        note(
            format!("group {gid}"),
            sys::set_owner(handle, None, Some(gid)),
        )?;
    }
    if let Some(uid) = change.uid.filter(|uid| *uid != now.uid) {
        note(
            format!("owner {uid}"),
            sys::set_owner(handle, Some(uid), None),
        )?;
    }
    Ok(())
}

fn set_xattr(handle: &File, name: &[u8], value: Option<&[u8]>) -> io::Result<()> {
    match value {
        Some(value) => sys::set_xattr(handle, name, value),
        None => sys::remove_xattr(handle, name),
    }
}

fn said(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// Removes the rights an object got from the directory it was staged in, unless it shall have some.
pub(super) fn drop_inherited_acl(handle: &File, wanted: &SetAttrs) {
    for list in LISTS {
        if !wanted.xattrs.iter().any(|(name, _)| name == list) {
            // Where there are none, there is none to remove.
            let _ = sys::remove_xattr(handle, list);
        }
    }
}

/// Adds what was taken without a word but is not there: some servers accept a mode or an owner and keep their own.
pub(super) fn silently_ignored(
    opened: &Opened,
    change: &SetAttrs,
    seen: &Observed,
    refused: &mut Vec<String>,
) {
    let mut check = |what: &str, ok: bool, now: String| {
        if !ok && !refused.iter().any(|r| r.starts_with(what)) {
            refused.push(format!("{what}: it stayed {now}"));
        }
    };
    let now = &seen.attrs;
    if let Some(mode) = change.mode.filter(|_| now.kind != Kind::Symlink) {
        check(
            &format!("mode {mode:04o}"),
            mode & 0o7777 == now.mode,
            format!("{:04o}", now.mode),
        );
    }
    if let Some(uid) = change.uid {
        check(&format!("owner {uid}"), uid == now.uid, now.uid.to_string());
    }
    if let Some(gid) = change.gid {
        check(&format!("group {gid}"), gid == now.gid, now.gid.to_string());
    }
    if let Some(mtime) = change.mtime {
        let ok = nearly(mtime, now.mtime, opened.mask.granularity);
        check("mtime", ok, format!("{}", now.mtime.sec));
    }
}

/// Equal within one step of the server's times.
fn nearly(a: Time, b: Time, step: u32) -> bool {
    let step = step.max(1);
    a.sec == b.sec && a.nsec / step == b.nsec / step
}

/// Waits until the object's attributes are on disk; one we may not open is synced with its directory.
pub(super) fn sync(dir: &File, name: &OsStr, kind: Kind, path: &RelPath) -> Answer<()> {
    let opened = match kind {
        Kind::File => sys::dir::open_file_in(dir, name),
        Kind::Dir => sys::dir::open_dir_in(dir, name),
        _ => return Ok(()),
    };
    let synced = match opened {
        Ok(file) if kind == Kind::Dir => sys::dir::sync_dir(&file),
        Ok(file) => sys::sync(&file),
        Err(e) if is_link(&e) => Err(e),
        Err(_) => Ok(()),
    };
    synced.map_err(|e| meaning("sync", path, e))
}
