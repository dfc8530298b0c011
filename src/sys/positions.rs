//! Bytes of an open file by position: reading, writing, holes, ranges. Nothing here moves a file offset that anybody reads by.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use nix::fcntl::FallocateFlags;

/// Reads up to `len` bytes at `offset`; fewer only at the end of the file.
pub fn read_at(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; len];
    let mut have = 0;
    while have < len {
        match file.read_at(&mut buffer[have..], offset + have as u64) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    buffer.truncate(have);
    Ok(buffer)
}

/// Writes `data` at `offset`. Gives what was written when a part was; an error only when nothing was.
pub fn write_at(file: &File, offset: u64, data: &[u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < data.len() {
        match file.write_at(&data[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) if done > 0 => break,
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// Cuts or extends a file.
pub fn set_len(file: &File, size: u64) -> io::Result<()> {
    file.set_len(size)
}

/// The mode bits of `fallocate` that give room back: punch a hole, collapse.
pub const FREEING: i32 = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_COLLAPSE_RANGE;

/// The mode bit of `fallocate` that sets room aside behind the end of a file.
pub const KEEP_SIZE: i32 = libc::FALLOC_FL_KEEP_SIZE;

/// `fallocate` with its mode bits; an unknown bit is `Unsupported`.
pub fn allocate(file: &File, mode: i32, offset: u64, len: u64) -> io::Result<()> {
    let flags = FallocateFlags::from_bits(mode).ok_or(io::ErrorKind::Unsupported)?;
    let (offset, len) = (signed(offset)?, signed(len)?);
    loop {
        match nix::fcntl::fallocate(file, flags, offset, len) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Next data (or hole) at or after `offset`; `None` behind the last.
pub fn seek_to(file: &File, offset: u64, hole: bool) -> io::Result<Option<u64>> {
    let whence = if hole {
        libc::SEEK_HOLE
    } else {
        libc::SEEK_DATA
    };
    let Ok(offset) = signed(offset) else {
        return Ok(None);
    };
    // SAFETY: lseek takes no memory.
    let found = unsafe { libc::lseek(file.as_raw_fd(), offset, whence) };
    if found >= 0 {
        return Ok(Some(found as u64));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENXIO) => Ok(None),
        _ => Err(error),
    }
}

/// Copies up to `len` bytes between two files (or within one), sharing extents where the file system can.
/// Gives what was copied; an error only when nothing was.
pub fn copy_at(
    from: &File,
    from_offset: u64,
    to: &File,
    to_offset: u64,
    len: u64,
) -> io::Result<u64> {
    let (mut a, mut b) = (signed(from_offset)?, signed(to_offset)?);
    let mut done = 0;
    while done < len {
        let want = usize::try_from((len - done).min(1 << 30)).unwrap_or(1 << 30);
        // SAFETY: both offsets are ours and live through the call; the descriptors are open.
        let n = unsafe {
            libc::copy_file_range(from.as_raw_fd(), &mut a, to.as_raw_fd(), &mut b, want, 0)
        };
        let error = io::Error::last_os_error();
        match n {
            0 => break,
            n if n > 0 => done += n as u64,
            _ if error.kind() == io::ErrorKind::Interrupted => {}
            _ if done > 0 => break,
            _ => return Err(error),
        }
    }
    Ok(done)
}

/// Waits until the bytes of a file (and what is needed to find them) are on disk.
pub fn sync_data(file: &File) -> io::Result<()> {
    file.sync_data()
}

/// Name of the program of a process, as `ps -o comm` shows it; empty when it is gone.
pub fn program_of(pid: u32) -> String {
    let comm = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&comm).trim_end().to_owned()
}

/// Tells boots of this host apart; empty when that cannot be known.
pub fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim_end().to_owned()
}

fn signed(n: u64) -> io::Result<i64> {
    i64::try_from(n).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_gives_less_only_at_the_end_and_writing_past_it_leaves_a_hole() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(write_at(&file, 1 << 20, b"tail").unwrap(), 4);
        assert_eq!(read_at(&file, (1 << 20) - 2, 100).unwrap(), b"\0\0tail");
        assert_eq!(seek_to(&file, 0, true).unwrap(), Some(0));
        assert_eq!(seek_to(&file, 2 << 20, false).unwrap(), None);
    }

    #[test]
    fn a_time_before_1970_is_kept() {
        let file = tempfile::tempfile().unwrap();
        for sec in [-5, 7] {
            let time = crate::model::Time {
                sec,
                nsec: 250_000_000,
            };
            crate::sys::set_mtime(&file, time).unwrap();
            assert_eq!(crate::sys::stat_of(&file).unwrap().mtime, time);
        }
    }

    #[test]
    fn copying_stops_at_the_end_of_the_source() {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        write_at(&from, 0, b"0123456789").unwrap();
        assert_eq!(copy_at(&from, 4, &to, 2, 100).unwrap(), 6);
        assert_eq!(read_at(&to, 0, 100).unwrap(), b"\0\0456789");
    }
}
