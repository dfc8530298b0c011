//! A file without a name that lives in memory: a place both of our processes can reach.

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// An empty file in memory, gone with its last descriptor.
pub fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a C string that lives as long as the call, and nothing else is read.
    let fd = unsafe { libc::memfd_create(c"driftfs".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us; nobody else knows it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_is_written() {
        let file = memory_file().unwrap();
        assert_eq!(crate::sys::write_at(&file, 3, b"abc").unwrap(), 3);
        assert_eq!(crate::sys::read_at(&file, 2, 10).unwrap(), b"\0abc");
    }
}
