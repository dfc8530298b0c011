//! Where the sealed bytes are: immutable local copies in `sealed/xx/<id>`, drafts on their way there, parts of files in
//! `part/xx/<ino>`, live files in
//! `live/xx/<ino>`. Rows are `meta`'s business; this room moves files. Everything is relative to the state directory.
//!
//! `xx` is the low byte of the number as two hex digits, the number itself is decimal. Order of things: a file is in
//! place before its row is committed, and goes after its row is gone; so a file without a row is waste, never loss.

mod draft;
mod live;
mod part;
mod places;
mod sealed;
mod small;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use crate::model::Hash;
use crate::sys;

pub use draft::Draft;

/// The files of a state directory.
pub struct Objects {
    root: Arc<File>,
    /// The file the file system of `root` lives in, where it is an image.
    image: Option<File>,
    drafts: AtomicU64,
    can: OnceLock<Abilities>,
}

/// What the file system of the state directory can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Files share their bytes, so that a copy costs nothing.
    pub reflink: bool,
    /// It tells by a lease whether somebody writes a file.
    pub lease: bool,
    /// A store through a mapping moves the time of its file, as on any disk; in memory it does not.
    pub mapped_times: bool,
}

/// Types of file systems in memory (`linux/magic.h`).
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

impl Objects {
    /// Opens (and makes) `live/`, `sealed/`, `part/` and `draft/` beneath `dir`; what `draft/` holds is removed.
    pub fn open(dir: &Path) -> io::Result<Objects> {
        let root = sys::open_dir(dir)?;
        for place in [places::LIVE, places::SEALED, places::PART] {
            places::make(&root, place)?;
        }
        draft::clear(&root)?;
        Ok(Objects {
            root: Arc::new(root),
            image: None,
            drafts: AtomicU64::new(1),
            can: OnceLock::new(),
        })
    }

    /// Opens the files of a state directory without changing anything there: drafts stay, nothing is made.
    pub fn open_untouched(dir: &Path) -> io::Result<Objects> {
        Ok(Objects {
            root: Arc::new(sys::open_dir(dir)?),
            image: None,
            drafts: AtomicU64::new(1),
            can: OnceLock::new(),
        })
    }

    /// The room on the disk that holds the files.
    pub fn disk(&self) -> io::Result<sys::DiskSpace> {
        let here = sys::disk_space_of(&self.root)?;
        let Some(image) = &self.image else {
            return Ok(here);
        };
        let taken = sys::stat_of(image)?.blocks * 512;
        Ok(within(here, &sys::disk_space_of(image)?, taken))
    }

    /// True when everything the kernel may write unseen has its room: a file system in an image takes writes that the disk around
    /// it can no longer keep, and says so too late, unless that disk could take the whole image.
    pub fn refuses_in_time(&self) -> io::Result<bool> {
        let Some(image) = &self.image else {
            return Ok(true);
        };
        let stat = sys::stat_of(image)?;
        let around = sys::disk_space_of(image)?;
        let missing = stat.size.saturating_sub(stat.blocks * 512);
        let free = around.bavail.saturating_mul(u64::from(around.bsize));
        Ok(free >= missing.saturating_add(AROUND))
    }

    /// Tells that the files are in the file system in `image`, which takes its room from another one as it is filled.
    #[must_use]
    pub fn within(mut self, image: File) -> Objects {
        self.image = Some(image);
        self
    }

    /// What the file system can do, tried once on drafts.
    pub fn can(&self) -> Abilities {
        *self.can.get_or_init(|| self.try_out().unwrap_or_default())
    }

    fn try_out(&self) -> io::Result<Abilities> {
        let (from, to) = (self.draft()?, self.draft()?);
        sys::write_at(from.file(), 0, &[1; 4096])?;
        Ok(Abilities {
            reflink: sys::reflink(from.file(), to.file()).is_ok(),
            // Refused, as it is our own writer; a file system without leases fails.
            lease: sys::read_lease(from.file()).is_ok(),
            mapped_times: !IN_MEMORY.contains(&sys::statfs_of(from.file())?.fs_type),
        })
    }

    /// BLAKE3 of a whole file.
    pub fn hash(&self, file: &File) -> io::Result<Hash> {
        sys::hash_file(file)
    }
}

/// Kept free around an image: what is on its way there is seen late.
const AROUND: u64 = 64 << 20;

/// The room in an image: no more than what the file system around it can still give. What was written to the image and has not
/// reached its file (`taken` bytes) is owed already; a disk that fills up then would lose it.
fn within(image: sys::DiskSpace, around: &sys::DiskSpace, taken: u64) -> sys::DiskSpace {
    let bytes = |blocks: u64, of: &sys::DiskSpace| blocks.saturating_mul(u64::from(of.bsize));
    let used = bytes(image.blocks.saturating_sub(image.bfree), &image);
    let owed = used.saturating_sub(taken) + AROUND.min(bytes(around.blocks, around) / 16);
    let left = bytes(around.bavail, around).saturating_sub(owed) / u64::from(image.bsize.max(1));
    sys::DiskSpace {
        bavail: image.bavail.min(left),
        bfree: image.bfree.min(left),
        ..image
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(blocks: u64, free: u64) -> sys::DiskSpace {
        sys::DiskSpace {
            bsize: 4096,
            blocks,
            bfree: free,
            bavail: free,
            ..sys::DiskSpace::default()
        }
    }

    #[test]
    fn an_image_has_no_more_room_than_the_disk_around_it() {
        let (image, around) = (disk(1 << 20, 900_000), disk(1 << 22, 100_000));
        let reserve = AROUND / 4096;
        let used = ((1 << 20) - 900_000) * 4096;
        assert_eq!(within(image, &around, used).bavail, 100_000 - reserve);
        assert_eq!(
            within(image, &around, used - 4096).bavail,
            100_000 - reserve - 1
        );
        assert_eq!(within(image, &disk(1 << 22, 1 << 21), used), image);
        assert_eq!(within(image, &disk(1 << 22, 10), used).bavail, 0);
    }
}
