//! Names beneath an open directory: found component by component, never through a symlink, changed one at a time.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, RenameFlags, ResolveFlag, openat, openat2, renameat2};
use nix::sys::stat::{Mode, SFlag};
use nix::unistd::UnlinkatFlags;

use crate::model::{Kind, RelPath};

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

/// Opens the directory at `path` beneath `root`. A component that is a symlink gives `ELOOP`, one that is no directory
/// `ENOTDIR`, one that leads out of `root` `EXDEV`.
pub fn open_beneath(root: &File, path: &RelPath) -> io::Result<File> {
    let how = OpenHow::new().flags(DIRECTORY | OFlag::O_NOFOLLOW).resolve(
        ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    );
    match openat2(root, path.os().as_os_str(), how) {
        Ok(fd) => Ok(File::from(fd)),
        // A kernel or a sandbox without openat2: the same in steps. A symlink at the end is "no directory" here. And a
        // path longer than the kernel takes in one piece can be walked.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::ENOTDIR | Errno::ENAMETOOLONG) => {
            open_in_steps(root, path)
        }
        Err(e) => Err(e.into()),
    }
}

fn open_in_steps(root: &File, path: &RelPath) -> io::Result<File> {
    let mut at = File::from(openat(root, ".", DIRECTORY, Mode::empty())?);
    for name in path.names() {
        at = open_dir_in(&at, name.os())?;
    }
    Ok(at)
}

/// Opens the directory `name` in `dir`; a symlink gives `ELOOP` or `ENOTDIR`.
pub fn open_dir_in(dir: &File, name: &OsStr) -> io::Result<File> {
    let flags = DIRECTORY | OFlag::O_NOFOLLOW;
    match openat(dir, name, flags, Mode::empty()) {
        Ok(fd) => Ok(File::from(fd)),
        Err(Errno::ENOTDIR) if is_symlink(dir, name) => Err(Errno::ELOOP.into()),
        Err(e) => Err(e.into()),
    }
}

fn is_symlink(dir: &File, name: &OsStr) -> bool {
    nix::sys::stat::fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)
        .is_ok_and(|st| st.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFLNK.bits())
}

/// Opens the directory `dir` once more, with its own position.
pub fn reopen_dir(dir: &File) -> io::Result<File> {
    Ok(File::from(openat(dir, ".", DIRECTORY, Mode::empty())?))
}

/// A handle of the directory at `path` that opens nothing: it only keeps the place.
pub fn keep_place(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(File::from(nix::fcntl::open(path, flags, Mode::empty())?))
}

/// Opens the file `name` for reading. Never waits for the other end of a FIFO or for the holder of a lease (`EAGAIN`).
pub fn open_file_in(dir: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    Ok(File::from(openat(dir, name, flags, Mode::empty())?))
}

/// A handle of the object `name` itself, whatever it is (a symlink is not followed): for attributes only.
pub fn handle_in(dir: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    Ok(File::from(openat(dir, name, flags, Mode::empty())?))
}

/// The names in an open directory, without `.` and `..`; read from its beginning.
pub fn names_of(dir: &File) -> io::Result<Vec<OsString>> {
    let mut opened = nix::dir::Dir::openat(dir, ".", DIRECTORY, Mode::empty())?;
    let mut names = Vec::new();
    for entry in opened.iter() {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    Ok(names)
}

/// Where the symlink `name` points.
pub fn read_link_in(dir: &File, name: &OsStr) -> io::Result<Vec<u8>> {
    Ok(nix::fcntl::readlinkat(dir, name)?.into_vec())
}

/// Makes a directory; `EEXIST` when the name is taken.
pub fn mkdir_in(dir: &File, name: &OsStr, mode: u32) -> io::Result<()> {
    Ok(nix::sys::stat::mkdirat(
        dir,
        name,
        Mode::from_bits_truncate(mode),
    )?)
}

/// Makes a symlink with the text `target`.
pub fn symlink_in(dir: &File, name: &OsStr, target: &OsStr) -> io::Result<()> {
    Ok(nix::unistd::symlinkat(target, dir, name)?)
}

/// Makes a FIFO, socket or device.
pub fn mknod_in(dir: &File, name: &OsStr, kind: Kind, rdev: u64) -> io::Result<()> {
    let kind = match kind {
        Kind::Fifo => SFlag::S_IFIFO,
        Kind::Socket => SFlag::S_IFSOCK,
        Kind::Char => SFlag::S_IFCHR,
        Kind::Block => SFlag::S_IFBLK,
        Kind::File | Kind::Dir | Kind::Symlink => return Err(Errno::EINVAL.into()),
    };
    let mode = Mode::from_bits_truncate(0o600);
    Ok(nix::sys::stat::mknodat(dir, name, kind, mode, rdev)?)
}

/// Gives the object `from` in `dir` the further name `to` in `into`.
pub fn link_between(dir: &File, from: &OsStr, into: &File, to: &OsStr) -> io::Result<()> {
    Ok(nix::unistd::linkat(dir, from, into, to, AtFlags::empty())?)
}

/// What a rename does with what is at the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onto {
    /// Replaces it.
    Replace,
    /// Fails with `EEXIST` (`EINVAL` where the file system cannot promise that).
    Nothing,
    /// Both change places (`EINVAL` where the file system cannot).
    Exchange,
}

/// Renames `from` in `dir` to `to` in `into`.
pub fn rename_between(
    dir: &File,
    from: &OsStr,
    into: &File,
    to: &OsStr,
    onto: Onto,
) -> io::Result<()> {
    let flags = match onto {
        Onto::Replace => RenameFlags::empty(),
        Onto::Nothing => RenameFlags::RENAME_NOREPLACE,
        Onto::Exchange => RenameFlags::RENAME_EXCHANGE,
    };
    Ok(renameat2(dir, from, into, to, flags)?)
}

/// Removes a name that is no directory.
pub fn unlink_in(dir: &File, name: &OsStr) -> io::Result<()> {
    Ok(nix::unistd::unlinkat(
        dir,
        name,
        UnlinkatFlags::NoRemoveDir,
    )?)
}

/// Removes an empty directory.
pub fn rmdir_in(dir: &File, name: &OsStr) -> io::Result<()> {
    Ok(nix::unistd::unlinkat(dir, name, UnlinkatFlags::RemoveDir)?)
}

/// Waits until the names of a directory are on disk. File systems that have no such call (it says `EINVAL`) write
/// names through.
pub fn sync_dir(dir: &File) -> io::Result<()> {
    match nix::unistd::fsync(dir) {
        Ok(()) | Err(Errno::EINVAL | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EROFS) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_symlink_on_the_way_is_refused_both_ways() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tmp.path().join("real/in")).unwrap();
        std::os::unix::fs::symlink("real", tmp.path().join("way")).unwrap();
        let root = crate::sys::open_dir(tmp.path()).unwrap();
        type Opener = fn(&File, &RelPath) -> io::Result<File>;
        for open in [open_beneath as Opener, open_in_steps as Opener] {
            open(&root, &path("real/in")).unwrap();
            open(&root, &RelPath::root()).unwrap();
            let through = open(&root, &path("way/in")).unwrap_err();
            assert_eq!(through.raw_os_error(), Some(libc::ELOOP));
            let at_end = open(&root, &path("way")).unwrap_err();
            assert_eq!(at_end.raw_os_error(), Some(libc::ELOOP));
            let missing = open(&root, &path("real/no")).unwrap_err();
            assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
        }
    }
}
