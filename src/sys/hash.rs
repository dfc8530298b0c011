//! BLAKE3 of files.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::model::Hash;

/// BLAKE3 of some bytes.
pub fn hash_bytes(bytes: &[u8]) -> Hash {
    Hash(*blake3::hash(bytes).as_bytes())
}

/// BLAKE3 of a whole file, read by position so that no shared file offset moves.
pub fn hash_file(file: &File) -> io::Result<Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    loop {
        match file.read_at(&mut buffer, at) {
            Ok(0) => return Ok(Hash(*hasher.finalize().as_bytes())),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                at += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
