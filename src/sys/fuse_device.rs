//! `/dev/fuse`, and further handles of a mount's.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

nix::ioctl_read! {
    /// `FUSE_DEV_IOC_CLONE`: reads the descriptor to be cloned, in spite of its direction.
    clone_device, 229, 0, u32
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/fuse")
}

/// Opens the device once, to see whether that works.
pub fn fuse_device() -> io::Result<()> {
    open().map(drop)
}

/// A handle of the same mount with requests of its own: those read by another are refused when that one is closed.
pub fn clone_fuse_device(device: impl AsFd) -> io::Result<File> {
    let new = open()?;
    let mut number = device.as_fd().as_raw_fd() as u32;
    // SAFETY: the ioctl reads one u32, which lives until it returns.
    unsafe { clone_device(new.as_raw_fd(), &mut number) }?;
    Ok(new)
}
