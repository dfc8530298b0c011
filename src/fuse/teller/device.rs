//! Requests that nobody will answer any more, refused with what a mount without a daemon says.

use std::fs::File;
use std::io::{Read, Write};

use crate::sys::errno;

/// The kernel refuses reads with less room than the largest write it was promised (EINVAL), so there is more after each.
const ROOM: usize = 2 << 20;
const MOST_ROOM: usize = 512 << 20;
/// `struct fuse_in_header`: length, opcode, number of the request, and more.
const HEADER: usize = 40;
/// FORGET, INTERRUPT, NOTIFY_REPLY and BATCH_FORGET are not replied to.
const UNANSWERED: [u32; 4] = [2, 36, 41, 42];

/// Refuses every request that comes, until the mount is gone.
pub(super) fn refuse_all(device: &File) {
    let mut buffer = vec![0; ROOM];
    loop {
        match (&*device).read(&mut buffer) {
            Ok(length) => {
                if let Some(reply) = refusal(&buffer[..length]) {
                    // A program that was killed meanwhile does not wait for it (ENOENT).
                    let _ = (&*device).write(&reply);
                }
            }
            // ENODEV: unmounted.
            Err(error) if error.raw_os_error() == Some(errno::ENODEV) => return,
            Err(error) if error.raw_os_error() == Some(errno::EINVAL) => {
                if buffer.len() >= MOST_ROOM {
                    return;
                }
                buffer = vec![0; buffer.len() * 2];
            }
            // ENOENT and EINTR: a request was taken back.
            Err(_) => {}
        }
    }
}

fn refusal(request: &[u8]) -> Option<[u8; 16]> {
    let opcode = u32::from_ne_bytes(request.get(4..8)?.try_into().ok()?);
    if request.len() < HEADER || UNANSWERED.contains(&opcode) {
        return None;
    }
    let mut reply = [0; 16];
    reply[..4].copy_from_slice(&16_u32.to_ne_bytes());
    reply[4..8].copy_from_slice(&(-errno::ENOTCONN).to_ne_bytes());
    reply[8..].copy_from_slice(&request[8..16]);
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_refused_by_number_and_forgets_are_not() {
        let request = |opcode: u32| {
            let mut bytes = [0_u8; HEADER];
            bytes[4..8].copy_from_slice(&opcode.to_ne_bytes());
            bytes[8..16].copy_from_slice(&77_u64.to_ne_bytes());
            bytes
        };
        let reply = refusal(&request(1)).unwrap();
        assert_eq!(&reply[..4], &16_u32.to_ne_bytes());
        assert_eq!(&reply[4..8], &(-107_i32).to_ne_bytes());
        assert_eq!(&reply[8..], &77_u64.to_ne_bytes());
        assert_eq!(refusal(&request(2)), None);
        assert_eq!(refusal(&request(42)), None);
        assert_eq!(refusal(&request(1)[..39]), None);
    }
}
