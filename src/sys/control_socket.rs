//! The control socket: made and reached through a directory descriptor, because socket paths end at 107 bytes.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

const NAME: &str = "control.sock";

/// Listens on `control.sock` in `dir`; a socket left by an earlier daemon is replaced. The caller holds the lock of
/// the state directory, so nobody else listens there.
pub fn listen(dir: &Path) -> io::Result<UnixListener> {
    let (_open, path) = through(dir)?;
    match std::fs::remove_file(&path) {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
        other => other?,
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Connects to the daemon of a state directory.
pub fn connect(dir: &Path) -> io::Result<UnixStream> {
    let (_open, path) = through(dir)?;
    UnixStream::connect(path)
}

/// Removes the socket at a daemon's end.
pub fn remove(dir: &Path) {
    // Nobody is hurt by one that stays: connecting to it is refused, and the next daemon replaces it.
    let _ = std::fs::remove_file(dir.join(NAME));
}

/// User of the process at the other end.
pub fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    let who = nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials)?;
    Ok(who.uid())
}

fn through(dir: &Path) -> io::Result<(File, PathBuf)> {
    let open = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_PATH)
        .open(dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", open.as_raw_fd()));
    Ok((open, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_directory_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(100)).join("e".repeat(100));
        std::fs::create_dir_all(&deep).unwrap();
        drop(listen(&deep).unwrap());
        let listener = listen(&deep).unwrap();
        let client = connect(&deep).unwrap();
        let (server, _) = listener.accept().unwrap();
        assert_eq!(peer_uid(&server).unwrap(), nix::unistd::getuid().as_raw());
        drop(client);
        remove(&deep);
        assert!(connect(&deep).is_err());
    }
}
