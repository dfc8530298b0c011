//! Copying bytes between two file systems, hashed on the way, with a word of progress: neither side is trusted to answer.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use crate::model::Hash;

/// Small enough that a slow line still moves one within any deadline.
pub(super) const CHUNK: usize = 256 << 10;

/// Which side failed.
#[derive(Debug)]
pub enum CopyError {
    /// Reading.
    From(io::Error),
    /// Writing.
    To(io::Error),
}

/// Makes `to` hold exactly the bytes of `from` (holes stay holes) and gives their hash and number. `beat` is called after
/// each chunk.
pub fn copy_hashed(
    from: &File,
    to: &File,
    beat: &mut dyn FnMut(),
) -> Result<(Hash, u64), CopyError> {
    to.set_len(0).map_err(CopyError::To)?;
    let (hash, size) = each_chunk(from, beat, &mut |bytes, at| to.write_all_at(bytes, at))?;
    // A hole at the end is written by nobody.
    to.set_len(size).map_err(CopyError::To)?;
    Ok((hash, size))
}

/// Hash and number of the bytes of `from`; `beat` is called after each chunk.
pub fn hash_beating(from: &File, beat: &mut dyn FnMut()) -> io::Result<(Hash, u64)> {
    match each_chunk(from, beat, &mut |_, _| Ok(())) {
        Ok(found) => Ok(found),
        Err(CopyError::From(e) | CopyError::To(e)) => Err(e),
    }
}

/// Forgets clean pages of an open file, so that the next read asks the server. Advice: it cannot fail us.
pub fn forget_cached(file: &File) {
    let _ = nix::fcntl::posix_fadvise(
        file,
        0,
        0,
        nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED,
    );
}

/// Gives every chunk with data to `sink`; chunks of a hole are only hashed. Reads to the end of file wherever that is
/// by then, so that a growing file does not look complete.
fn each_chunk(
    from: &File,
    beat: &mut dyn FnMut(),
    sink: &mut dyn FnMut(&[u8], u64) -> io::Result<()>,
) -> Result<(Hash, u64), CopyError> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK];
    let size = from.metadata().map_err(CopyError::From)?.len();
    let (mut at, mut data_until) = (0, 0);
    loop {
        if at >= data_until && at < size {
            let start = next_data(from, at, size);
            at = skip_hole(&mut hasher, at, start, beat);
            data_until = next_hole(from, at, size);
        }
        match from.read_at(&mut buffer, at) {
            Ok(0) if at >= size => return Ok((Hash(*hasher.finalize().as_bytes()), at)),
            // Shorter than it was a moment ago: the stamps will tell; what is there is what was read.
            Ok(0) => return Ok((Hash(*hasher.finalize().as_bytes()), at)),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                sink(&buffer[..n], at).map_err(CopyError::To)?;
                at += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(CopyError::From(e)),
        }
        beat();
    }
}

fn skip_hole(hasher: &mut blake3::Hasher, from: u64, to: u64, beat: &mut dyn FnMut()) -> u64 {
    let zeros = [0; 64 << 10];
    let mut at = from;
    while at < to {
        let n = (to - at).min(zeros.len() as u64);
        hasher.update(&zeros[..n as usize]);
        at += n;
        if at % (64 << 20) == 0 {
            beat();
        }
    }
    at
}

/// Where data begins at or after `at`: `size` when the rest is a hole, `at` when the file system does not say.
pub(super) fn next_data(file: &File, at: u64, size: u64) -> u64 {
    // SAFETY: lseek takes no memory; nothing here reads by the offset it moves.
    let found = unsafe { libc::lseek(file.as_raw_fd(), at as i64, libc::SEEK_DATA) };
    match found {
        n if n >= 0 => (n as u64).clamp(at, size),
        _ if io::Error::last_os_error().raw_os_error() == Some(libc::ENXIO) => size,
        _ => at,
    }
}

/// Where the data at `at` ends; `size` when the file system does not say.
pub(super) fn next_hole(file: &File, at: u64, size: u64) -> u64 {
    // SAFETY: as above.
    let found = unsafe { libc::lseek(file.as_raw_fd(), at as i64, libc::SEEK_HOLE) };
    if found > at as i64 {
        (found as u64).min(size)
    } else {
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_bytes_the_hash_and_the_holes() {
        use std::os::unix::fs::MetadataExt;
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        from.write_all_at(b"head", 0).unwrap();
        from.write_all_at(b"tail", 6 << 20).unwrap();
        from.set_len(9 << 20).unwrap();
        to.write_all_at(&[7; 64], 10 << 20).unwrap();
        let mut beats = 0;
        let (hash, size) = copy_hashed(&from, &to, &mut || beats += 1).unwrap();
        assert_eq!((size, to.metadata().unwrap().len()), (9 << 20, 9 << 20));
        assert_eq!(hash, crate::sys::hash_file(&to).unwrap());
        assert_eq!(hash, crate::sys::hash_file(&from).unwrap());
        assert!(to.metadata().unwrap().blocks() * 512 < 4 << 20);
        assert!(beats > 0);
    }
}
