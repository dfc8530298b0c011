//! What is written to the device, as `fuse.h` of the kernel lays it out: a header, then what is to be forgotten.

use crate::overlay::News;

/// `FUSE_NOTIFY_INVAL_INODE`.
const INODE: i32 = 2;
/// `FUSE_NOTIFY_INVAL_ENTRY`.
const ENTRY: i32 = 3;
/// `struct fuse_out_header`: length, code, and 0 where a reply has the number of its request.
const HEADER: usize = 16;

/// One or two notices, each with its length in front.
pub(super) fn encode(news: &News) -> Vec<u8> {
    match news {
        // Also drops a directory's cached attributes. Never its name here: on a directory that is still the same that would
        // break getcwd and mounts beneath it.
        News::Node(ino) => inode(ino.0, 0),
        // A negative offset leaves the pages alone.
        News::Attributes(ino) => inode(ino.0, -1),
        News::Name(parent, name) => {
            let mut both = entry(parent.0, name.bytes());
            both.extend(inode(parent.0, 0));
            both
        }
    }
}

/// The next notice of a message, and the rest of it.
pub(super) fn split(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = message
        .first_chunk()
        .map(|bytes| u32::from_ne_bytes(*bytes))? as usize;
    (length >= HEADER).then(|| message.split_at_checked(length))?
}

fn inode(ino: u64, offset: i64) -> Vec<u8> {
    let mut body = ino.to_ne_bytes().to_vec();
    body.extend(offset.to_ne_bytes());
    // Length 0: to the end.
    body.extend(0_i64.to_ne_bytes());
    with_header(INODE, &body)
}

fn entry(parent: u64, name: &[u8]) -> Vec<u8> {
    let mut body = parent.to_ne_bytes().to_vec();
    // Names have at most 255 bytes. Then flags: none.
    body.extend((name.len() as u32).to_ne_bytes());
    body.extend(0_u32.to_ne_bytes());
    body.extend(name);
    body.push(0);
    with_header(ENTRY, &body)
}

fn with_header(code: i32, body: &[u8]) -> Vec<u8> {
    let length = (HEADER + body.len()) as u32;
    let mut all = length.to_ne_bytes().to_vec();
    all.extend(code.to_ne_bytes());
    all.extend(0_u64.to_ne_bytes());
    all.extend(body);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Ino, Name};

    #[test]
    fn notices_are_laid_out_as_the_kernel_reads_them() {
        let name = Name::new(b"ab").unwrap();
        let message = encode(&News::Name(Ino(5), name));
        let (first, rest) = split(&message).unwrap();
        let word =
            |bytes: &[u8], at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        let long =
            |bytes: &[u8], at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!((first.len(), word(first, 0), word(first, 4)), (35, 35, 3));
        assert_eq!((long(first, 8), long(first, 16)), (0, 5));
        assert_eq!(
            (word(first, 24), word(first, 28), &first[32..]),
            (2, 0, &b"ab\0"[..])
        );
        let (second, rest) = split(rest).unwrap();
        assert_eq!(
            (second.len(), word(second, 0), word(second, 4)),
            (40, 40, 2)
        );
        assert_eq!(
            (long(second, 16), long(second, 24), long(second, 32)),
            (5, 0, 0)
        );
        assert!(rest.is_empty());
        assert_eq!(long(&encode(&News::Attributes(Ino(9))), 24), u64::MAX);
    }

    #[test]
    fn what_is_cut_off_or_too_short_is_no_notice() {
        let whole = encode(&News::Node(Ino(1)));
        assert!(split(&whole[..39]).is_none());
        assert!(split(&whole[..3]).is_none());
        assert!(split(&[4, 0, 0, 0]).is_none());
        assert!(split(&[]).is_none());
    }
}
