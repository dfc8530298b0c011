//! The last room on the disk is kept for what frees more of it: removing, renaming and merging need rows too. So whatever adds
//! bytes or names is refused a little earlier than the disk would.

use std::sync::atomic::{AtomicU64, Ordering};

use super::commit::Core;
use super::{Result, TreeError, io};
use crate::sys::DiskSpace;

/// Kept free, but never more than a sixteenth of a small disk. A full write-ahead log and a table that grows fit in it.
const RESERVE: u64 = 16 << 20;
/// So many times the reserve must be left for a file to be written by the kernel alone.
const PLENTY: u64 = 4;
/// Handed out at once, so that not every write asks the disk.
const PORTION: u64 = 4 << 20;
/// What a new name or attribute may cost in rows.
pub(super) const ROWS: u64 = 16 << 10;

/// What may be used before the disk is asked again.
#[derive(Default)]
pub(super) struct Room {
    left: AtomicU64,
}

impl Room {
    fn take(&self, want: u64) -> bool {
        let less = |left: u64| left.checked_sub(want);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

impl Core {
    /// Refuses what would eat into the reserve.
    pub(super) fn spare(&self, want: u64) -> Result<()> {
        if self.room.take(want) || self.ask_disk(want)? {
            return Ok(());
        }
        if self.make_room() && self.ask_disk(want)? {
            return Ok(());
        }
        Err(TreeError::NoSpace)
    }

    /// True while the kernel may write without asking us: such writes cannot be refused before the reserve is gone.
    pub(super) fn has_plenty(&self) -> bool {
        let disk = self.objects.disk();
        disk.is_ok_and(|disk| usable(&disk) >= PLENTY * reserve(&disk))
    }

    fn ask_disk(&self, want: u64) -> Result<bool> {
        let disk = self.objects.disk().map_err(io("asking for free space"))?;
        let Some(rest) = usable(&disk).checked_sub(want) else {
            return Ok(false);
        };
        self.room.left.store(rest.min(PORTION), Ordering::Relaxed);
        Ok(true)
    }
}

/// Bytes that may be used without touching the reserve.
fn usable(disk: &DiskSpace) -> u64 {
    bytes(disk, disk.bavail).saturating_sub(reserve(disk))
}

fn reserve(disk: &DiskSpace) -> u64 {
    RESERVE.min(bytes(disk, disk.blocks) / 16)
}

fn bytes(disk: &DiskSpace, blocks: u64) -> u64 {
    blocks.saturating_mul(u64::from(disk.bsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(blocks: u64, bavail: u64) -> DiskSpace {
        DiskSpace {
            bsize: 4096,
            blocks,
            bavail,
            ..DiskSpace::default()
        }
    }

    #[test]
    fn the_reserve_is_no_more_than_a_sixteenth_of_a_small_disk() {
        assert_eq!(usable(&disk(1 << 20, 4096)), 0);
        assert_eq!(usable(&disk(1 << 20, 4097)), 4096);
        assert_eq!(usable(&disk(1600, 100)), 0);
        assert_eq!(usable(&disk(1600, 1600)), 1500 * 4096);
    }

    #[test]
    fn a_portion_is_used_up_before_the_disk_is_asked_again() {
        let room = Room::default();
        assert!(!room.take(1));
        room.left.store(10, Ordering::Relaxed);
        assert!(room.take(6) && !room.take(6) && room.take(4));
    }
}
