//! The bytes of one file in another: a reflink where the file system can, else a copy that keeps holes.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// How the bytes got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloned {
    /// Shared extents: no time, no space.
    Reflink,
    /// Copied.
    Copied,
}

/// Makes `to` (open for writing) hold exactly the bytes of `from`. File offsets do not move.
pub fn clone_file(from: &File, to: &File) -> io::Result<Cloned> {
    let Err(error) = reflink_copy::reflink_file(from, to) else {
        return Ok(Cloned::Reflink);
    };
    // No support, two file systems, or a file the file system cannot share: those are copied. ENOSPC and EIO are not
    // a reason to try the expensive way.
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::EXDEV | libc::EINVAL | libc::ENOSYS) => {
            copy_with_holes(from, to).map(|()| Cloned::Copied)
        }
        _ => Err(error),
    }
}

/// Shares the bytes of `from` with `to` in one step, or fails and leaves `to` as it was. What `to` has behind the end of
/// `from` stays.
pub fn reflink(from: &File, to: &File) -> io::Result<()> {
    // SAFETY: FICLONE takes the number of a descriptor, and both are open.
    let done = unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONE as _, from.as_raw_fd()) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Copies all bytes of `from` over `to`, leaving holes where `from` has holes.
pub fn copy_with_holes(from: &File, to: &File) -> io::Result<()> {
    to.set_len(0)?;
    let size = from.metadata()?.len();
    to.set_len(size)?;
    let mut at = 0;
    while at < size {
        let Some(start) = seek(from, at, libc::SEEK_DATA)? else {
            break;
        };
        let end = seek(from, start, libc::SEEK_HOLE)?
            .unwrap_or(size)
            .min(size);
        copy_range(from, to, start, end)?;
        at = end.max(start + 1);
    }
    Ok(())
}

/// Next data or hole at or after `at`; `None` behind the last.
fn seek(file: &File, at: u64, whence: i32) -> io::Result<Option<u64>> {
    // SAFETY: lseek takes no memory. It moves the offset of this opening, which nothing here reads by.
    let found = unsafe { libc::lseek(file.as_raw_fd(), at as i64, whence) };
    if found >= 0 {
        return Ok(Some(found as u64));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENXIO) => Ok(None),
        // A file system that does not know holes: all is data.
        Some(libc::EINVAL) if whence == libc::SEEK_DATA => Ok(Some(at)),
        Some(libc::EINVAL) => Ok(None),
        _ => Err(error),
    }
}

fn copy_range(from: &File, to: &File, start: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    let mut at = start;
    while at < end {
        let want = buffer.len().min((end - at) as usize);
        match from.read_at(&mut buffer[..want], at) {
            Ok(0) => break,
            Ok(n) => {
                to.write_all_at(&buffer[..n], at)?;
                at += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_same_bytes_and_keeps_holes() {
        use std::os::unix::fs::MetadataExt;
        let from = tempfile::tempfile().unwrap();
        from.write_all_at(b"head", 0).unwrap();
        from.write_all_at(b"tail", 8 << 20).unwrap();
        let to = tempfile::tempfile().unwrap();
        to.write_all_at(&[7; 9 << 20], 0).unwrap();
        copy_with_holes(&from, &to).unwrap();
        assert_eq!(to.metadata().unwrap().len(), (8 << 20) + 4);
        assert!(to.metadata().unwrap().blocks() * 512 < 1 << 20);
        let hash = |file| crate::sys::hash_file(file).unwrap();
        assert_eq!(hash(&from), hash(&to));
    }

    #[test]
    fn a_clone_of_an_empty_or_shorter_file_leaves_nothing_of_the_old_bytes() {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        to.write_all_at(b"old old old", 0).unwrap();
        from.write_all_at(b"new", 0).unwrap();
        clone_file(&from, &to).unwrap();
        // A whole-file FICLONE does not shorten its target; clone_file must.
        assert_eq!(to.metadata().unwrap().len(), 3);
    }
}
