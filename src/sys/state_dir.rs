//! The state directory as a place: made private, locked by one daemon, with its small files.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

/// The lock of a state directory; dropped, it is free.
pub struct StateLock(#[allow(dead_code)] Flock<File>);

/// Makes a directory for us alone, with its parents. One that exists must be ours, and is made private.
pub fn make_private_dir(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    let meta = std::fs::metadata(dir)?;
    if meta.uid() != nix::unistd::geteuid().as_raw() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("it belongs to user {}", meta.uid()),
        ));
    }
    if meta.mode() & 0o077 != 0 {
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700))?;
    }
    Ok(())
}

/// Takes the lock of a state directory, waiting up to `patience` for a daemon that is ending. `None`: still held.
pub fn lock_state(dir: &Path, patience: Duration) -> io::Result<Option<StateLock>> {
    let until = Instant::now() + patience;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(dir.join("lock"))?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Some(StateLock(lock))),
            Err((back, nix::errno::Errno::EWOULDBLOCK)) => file = back,
            Err((_, other)) => return Err(other.into()),
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Writes a small file whole (`daemon.pid`, `mount.json`).
pub fn write_small(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temp = dir.join(format!(".{name}.new"));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temp)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(temp, dir.join(name))
}

/// Reads a small file; `None` when there is none.
pub fn read_small(dir: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(dir.join(name)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(other) => Err(other),
    }
}

/// Removes a small file; fine when there is none.
pub fn remove_small(dir: &Path, name: &str) {
    // It is only a hint for people: the lock decides whether a daemon runs.
    let _ = std::fs::remove_file(dir.join(name));
}

/// Opens the daemon's log for appending. One above 8 MiB is set aside first, so that the log stays bounded.
pub fn open_log(dir: &Path) -> io::Result<File> {
    let path = dir.join("daemon.log");
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() > 8 << 20) {
        std::fs::rename(&path, dir.join("daemon.log.old"))?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// Opens a file of any place for reading.
pub fn open_path(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// A path made absolute with every link followed.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    std::fs::canonicalize(path)
}

/// A path made absolute with the links of its directory followed, but not the last one: it may lead to a dead mount
/// that nobody can look at.
pub fn canonical_but_last(path: &Path) -> io::Result<PathBuf> {
    let whole = std::path::absolute(path)?;
    match (whole.parent(), whole.file_name()) {
        (Some(parent), Some(name)) => Ok(std::fs::canonicalize(parent)?.join(name)),
        _ => Ok(whole),
    }
}

/// What is at a path, as far as mounting there cares.
#[derive(Debug)]
pub enum Spot {
    /// A directory.
    Dir,
    /// Something else.
    Other,
    /// Nothing.
    Missing,
    /// A FUSE mount whose daemon is gone.
    Dead,
    /// It could not be looked at.
    Unknown(io::Error),
}

/// Looks at a path.
pub fn spot(path: &Path) -> Spot {
    // A question that was on its way when the daemon died is answered with ECONNABORTED, later ones with ENOTCONN.
    let dead = |error: &io::Error| {
        matches!(
            error.raw_os_error(),
            Some(libc::ENOTCONN | libc::ECONNABORTED)
        )
    };
    match std::fs::metadata(path) {
        Ok(meta) if !meta.is_dir() => Spot::Other,
        // A dead mount still shows what the kernel remembers of it. How full it is, it never remembers.
        Ok(_) => match nix::sys::statfs::statfs(path) {
            Err(error) if dead(&error.into()) => Spot::Dead,
            _ => Spot::Dir,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Spot::Missing,
        Err(error) if dead(&error) => Spot::Dead,
        Err(error) => Spot::Unknown(error),
    }
}

/// Bytes on disk of everything beneath `dir` (what a cache costs), as far as it can be read.
pub fn disk_use(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => disk_use(&entry.path()),
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

/// An extended attribute of a path; `None` when it has none of that name.
pub fn path_xattr(path: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    xattr::get(path, OsStr::new(name))
}

/// Our effective user.
pub fn euid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// True when a process of that number runs. One that ended and was not collected by its parent does not.
pub fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything, blanks and parentheses included.
    let state = stat.rsplit(')').next().map(str::trim_start);
    state.is_some_and(|state| !state.is_empty() && !state.starts_with(['Z', 'X']))
}

/// The first 8 hex digits of the hash of some bytes: tells state directories of equal names apart.
pub fn short_hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock_state(dir.path(), Duration::ZERO).unwrap();
        assert!(first.is_some());
        assert!(lock_state(dir.path(), Duration::ZERO).unwrap().is_none());
        drop(first);
        assert!(lock_state(dir.path(), Duration::ZERO).unwrap().is_some());
    }

    #[test]
    fn an_open_directory_is_made_private() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/b");
        std::fs::create_dir_all(&state).unwrap();
        std::fs::set_permissions(&state, PermissionsExt::from_mode(0o755)).unwrap();
        make_private_dir(&state).unwrap();
        assert_eq!(std::fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
    }
}
