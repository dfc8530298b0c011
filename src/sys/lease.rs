//! Who writes a file now: asked by a lease, which the kernel refuses while anybody can write.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Chooses the signal of a broken lease (`linux/fcntl.h`).
const F_SETSIG: libc::c_int = 10;

/// True when nobody has the file open for writing and no writable mapping of it exists, of whatever process: then a read
/// lease is granted, and given back at once. `file` must be open for reading only. An error: the file system has no leases.
pub fn read_lease(file: &File) -> io::Result<bool> {
    let fd = file.as_raw_fd();
    // Somebody may open it for writing while we hold the lease, and the signal of that must not end us: this one is
    // ignored unless a program asks for it.
    // SAFETY: fcntl with numbers on a descriptor that is open.
    check(unsafe { libc::fcntl(fd, F_SETSIG, libc::SIGURG) })?;
    // SAFETY: as above.
    let granted = check(unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK) });
    match granted {
        Ok(()) => {
            // SAFETY: as above.
            check(unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK) })?;
            Ok(true)
        }
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(false),
        Err(error) => Err(error),
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_writer_or_its_mapping_refuses_the_lease() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let writer = File::create_new(&path).unwrap();
        writer.write_all_at(b"bytes", 0).unwrap();
        let reader = File::open(&path).unwrap();
        assert!(!read_lease(&reader).unwrap());
        drop(writer);
        assert!(read_lease(&reader).unwrap());
        let both = File::options().read(true).write(true).open(&path).unwrap();
        // SAFETY: a shared mapping of an open file, not touched, and unmapped below.
        let mapped = unsafe {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(
                std::ptr::null_mut(),
                5,
                prot,
                libc::MAP_SHARED,
                both.as_raw_fd(),
                0,
            )
        };
        assert_ne!(mapped, libc::MAP_FAILED);
        drop(both);
        assert!(!read_lease(&reader).unwrap());
        // SAFETY: the mapping made above.
        unsafe { libc::munmap(mapped, 5) };
        assert!(read_lease(&reader).unwrap());
    }
}
