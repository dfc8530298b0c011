//! A part of a file copied to the same place in another.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::copy::{CHUNK, CopyError, next_data, next_hole};

/// Copies the bytes of `from` in `[at, at + len)` to the same place in `to`. Holes are skipped: `to` must have none of its
/// own bytes there. Gives the number of bytes that were moved. `beat` is called after each chunk.
pub fn copy_part(
    from: &File,
    to: &File,
    at: u64,
    len: u64,
    beat: &mut dyn FnMut(),
) -> Result<u64, CopyError> {
    let size = from.metadata().map_err(CopyError::From)?.len();
    let end = at.saturating_add(len).min(size);
    let mut buffer = vec![0; CHUNK.min(len as usize)];
    let (mut at, mut moved) = (at, 0);
    while at < end {
        at = next_data(from, at, size);
        let until = next_hole(from, at, size).min(end);
        while at < until {
            let want = (until - at).min(buffer.len() as u64) as usize;
            match from.read_at(&mut buffer[..want], at) {
                // Shorter than it was a moment ago: the stamps will tell.
                Ok(0) => return Ok(moved),
                Ok(n) => {
                    to.write_all_at(&buffer[..n], at).map_err(CopyError::To)?;
                    at += n as u64;
                    moved += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(CopyError::From(e)),
            }
            beat();
        }
    }
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_data_of_the_part_moves() {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        from.write_all_at(&[1; 4096], 0).unwrap();
        from.write_all_at(&[2; 4096], 8 << 20).unwrap();
        from.set_len(16 << 20).unwrap();
        let part = |at, len| copy_part(&from, &to, at, len, &mut || {}).unwrap();
        assert_eq!(part(1 << 20, 4 << 20), 0);
        assert_eq!(part(8 << 20, 1 << 20), 4096);
        assert_eq!(part(0, 10), 10);
        assert_eq!(part(20 << 20, 10), 0);
        let mut bytes = [0; 4096];
        to.read_exact_at(&mut bytes, 8 << 20).unwrap();
        assert_eq!(bytes, [2; 4096]);
    }
}
