//! Taking a mount away.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

/// Unmounts `mountpoint`; `lazy` detaches it even when it is in use. Without privilege `fusermount3` does it.
pub fn unmount(mountpoint: &Path, lazy: bool) -> io::Result<()> {
    let mut flags = MntFlags::UMOUNT_NOFOLLOW;
    if lazy {
        flags |= MntFlags::MNT_DETACH;
    }
    match umount2(mountpoint, flags) {
        Err(Errno::EPERM) => by_fusermount(mountpoint, lazy),
        other => other.map_err(io::Error::from),
    }
}

fn by_fusermount(mountpoint: &Path, lazy: bool) -> io::Result<()> {
    let mut command = Command::new("fusermount3");
    command.arg("-u");
    if lazy {
        command.arg("-z");
    }
    let output = command
        .arg("--")
        .arg(mountpoint)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
    Err(io::Error::new(io::ErrorKind::ResourceBusy, said))
}

/// True when we are root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Number of processors we may run on; at least 1.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}
