//! Files and directories of the state directory, always relative to an open directory.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::Mode;

use crate::model::Time;

/// What `stat` says of a local file, as far as driftfs needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// Bytes.
    pub size: u64,
    /// Last write.
    pub mtime: Time,
    /// Last change of the inode.
    pub ctime: Time,
    /// 512-byte blocks it occupies.
    pub blocks: u64,
}

/// Opens a directory by path.
pub fn open_dir(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(File::from(nix::fcntl::open(path, flags, Mode::empty())?))
}

/// Makes a directory beneath `dir`; fine when it is there.
pub fn make_dir_at(dir: &File, path: &Path, mode: u32) -> io::Result<()> {
    match nix::sys::stat::mkdirat(dir, path, Mode::from_bits_truncate(mode)) {
        Ok(()) | Err(nix::errno::Errno::EEXIST) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Opens a file beneath `dir`, for writing too if asked. Never follows a link, never creates.
pub fn open_at(dir: &File, path: &Path, write: bool) -> io::Result<File> {
    let access = if write {
        OFlag::O_RDWR
    } else {
        OFlag::O_RDONLY
    };
    let flags = access | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    Ok(File::from(openat(dir, path, flags, Mode::empty())?))
}

/// Makes a file that must not exist yet, open for reading and writing.
pub fn create_at(dir: &File, path: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    Ok(File::from(openat(
        dir,
        path,
        flags,
        Mode::from_bits_truncate(mode),
    )?))
}

/// Renames beneath `dir`, replacing what is there.
pub fn rename_at(dir: &File, from: &Path, to: &Path) -> io::Result<()> {
    Ok(nix::fcntl::renameat(dir, from, dir, to)?)
}

/// Gives a file one more name beneath `dir`.
pub fn link_at(dir: &File, from: &Path, to: &Path) -> io::Result<()> {
    Ok(nix::unistd::linkat(dir, from, dir, to, AtFlags::empty())?)
}

/// Removes a file beneath `dir`; false when there was none.
pub fn unlink_at(dir: &File, path: &Path) -> io::Result<bool> {
    use nix::unistd::UnlinkatFlags;
    match nix::unistd::unlinkat(dir, path, UnlinkatFlags::NoRemoveDir) {
        Ok(()) => Ok(true),
        Err(nix::errno::Errno::ENOENT) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// What is at a path beneath `dir`, following no link; `None` when nothing is.
pub fn stat_at(dir: &File, path: &Path) -> io::Result<Option<FileStat>> {
    match nix::sys::stat::fstatat(dir, path, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(st) => Ok(Some(FileStat {
            size: st.st_size as u64,
            mtime: time(st.st_mtime, st.st_mtime_nsec),
            ctime: time(st.st_ctime, st.st_ctime_nsec),
            blocks: st.st_blocks as u64,
        })),
        Err(nix::errno::Errno::ENOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// The stat of an open file.
pub fn stat_of(file: &File) -> io::Result<FileStat> {
    let meta = file.metadata()?;
    Ok(FileStat {
        size: meta.size(),
        mtime: time(meta.mtime(), meta.mtime_nsec()),
        ctime: time(meta.ctime(), meta.ctime_nsec()),
        blocks: meta.blocks(),
    })
}

fn time(sec: i64, nsec: i64) -> Time {
    Time {
        sec,
        nsec: nsec as u32,
    }
}

/// The names in a directory beneath `dir`, without `.` and `..`.
pub fn list_at(dir: &File, path: &Path) -> io::Result<Vec<OsString>> {
    use std::os::unix::ffi::OsStringExt;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut opened = nix::dir::Dir::openat(dir, path, flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in opened.iter() {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    Ok(names)
}

/// Sets the permission bits of an open file.
pub fn chmod(file: &File, mode: u32) -> io::Result<()> {
    Ok(nix::sys::stat::fchmod(
        file,
        Mode::from_bits_truncate(mode),
    )?)
}

/// Waits until the bytes and attributes of a file, or the names of a directory, are on disk.
pub fn sync(file: &File) -> io::Result<()> {
    file.sync_all()
}
