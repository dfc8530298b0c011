//! Setting attributes of an object through its handle: any open descriptor, one that only keeps the place included.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid};

use crate::model::Time;

/// The name under which `/proc` shows a descriptor: calls by path that reach exactly this object.
pub(super) fn proc_path(handle: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

/// Sets the permission bits. A symlink has none (`EOPNOTSUPP`).
pub fn set_mode(handle: &File, mode: u32) -> io::Result<()> {
    Ok(nix::sys::stat::fchmodat(
        nix::fcntl::AT_FDCWD,
        &proc_path(handle),
        Mode::from_bits_truncate(mode),
        FchmodatFlags::FollowSymlink,
    )?)
}

/// Sets owner and group; `None` leaves one as it is.
pub fn set_owner(handle: &File, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    Ok(nix::unistd::fchownat(
        handle,
        "",
        uid.map(Uid::from_raw),
        gid.map(Gid::from_raw),
        AtFlags::AT_EMPTY_PATH,
    )?)
}

/// The same for a file that is open for writing: no path is walked.
pub fn set_mtime_of(file: &File, mtime: Time) -> io::Result<()> {
    let omit = TimeSpec::new(0, libc::UTIME_OMIT);
    let mtime = TimeSpec::new(mtime.sec, i64::from(mtime.nsec));
    Ok(nix::sys::stat::futimens(file, &omit, &mtime)?)
}

/// Sets the time of the last change of the bytes; atime stays.
pub fn set_mtime(handle: &File, mtime: Time) -> io::Result<()> {
    let omit = TimeSpec::new(0, libc::UTIME_OMIT);
    let mtime = TimeSpec::new(mtime.sec, i64::from(mtime.nsec));
    Ok(nix::sys::stat::utimensat(
        nix::fcntl::AT_FDCWD,
        &proc_path(handle),
        &omit,
        &mtime,
        UtimensatFlags::FollowSymlink,
    )?)
}
