//! Everything `statx` tells of one object.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

use crate::model::{Attrs, Kind, Time};

/// What `statx` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The attributes.
    pub attrs: Attrs,
    /// Number of the object.
    pub ino: u64,
    /// Number of names.
    pub nlink: u32,
    /// Time of birth, where the file system gives one.
    pub btime: Option<Time>,
    /// Device it is on.
    pub dev: u64,
    /// Number of the mount it was reached through (as in mountinfo).
    pub mount: u64,
}

/// Looks at `name` in `dir`, following no link.
pub fn statx_in(dir: &File, name: &OsStr) -> io::Result<Stat> {
    statx(dir, name, libc::AT_SYMLINK_NOFOLLOW)
}

/// Looks at an open object.
pub fn statx_of(file: &File) -> io::Result<Stat> {
    statx(file, OsStr::new(""), libc::AT_EMPTY_PATH)
}

fn statx(dir: &File, name: &OsStr, flags: i32) -> io::Result<Stat> {
    let name = CString::new(name.as_bytes())?;
    let wanted = libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_MNT_ID;
    let mut raw = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: `name` ends with NUL and lives through the call; `raw` is as large as the kernel expects.
    let rc = unsafe {
        libc::statx(
            dir.as_raw_fd(),
            name.as_ptr(),
            flags | libc::AT_NO_AUTOMOUNT,
            wanted,
            raw.as_mut_ptr(),
        )
    };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed before, and the kernel filled it.
    let raw = unsafe { raw.assume_init() };
    Ok(Stat {
        attrs: attrs(&raw),
        ino: raw.stx_ino,
        nlink: raw.stx_nlink,
        btime: (raw.stx_mask & libc::STATX_BTIME != 0).then(|| time(&raw.stx_btime)),
        dev: libc::makedev(raw.stx_dev_major, raw.stx_dev_minor),
        mount: raw.stx_mnt_id,
    })
}

fn attrs(raw: &libc::statx) -> Attrs {
    let mode = u32::from(raw.stx_mode);
    let kind = kind_of(mode);
    let device = matches!(kind, Kind::Char | Kind::Block);
    Attrs {
        kind,
        mode: mode & 0o7777,
        uid: raw.stx_uid,
        gid: raw.stx_gid,
        rdev: if device {
            libc::makedev(raw.stx_rdev_major, raw.stx_rdev_minor)
        } else {
            0
        },
        size: raw.stx_size,
        mtime: time(&raw.stx_mtime),
        ctime: time(&raw.stx_ctime),
        atime: time(&raw.stx_atime),
    }
}

fn kind_of(mode: u32) -> Kind {
    match mode & libc::S_IFMT {
        libc::S_IFDIR => Kind::Dir,
        libc::S_IFLNK => Kind::Symlink,
        libc::S_IFIFO => Kind::Fifo,
        libc::S_IFSOCK => Kind::Socket,
        libc::S_IFCHR => Kind::Char,
        libc::S_IFBLK => Kind::Block,
        _ => Kind::File,
    }
}

fn time(raw: &libc::statx_timestamp) -> Time {
    Time {
        sec: raw.tv_sec,
        nsec: raw.tv_nsec,
    }
}
