//! Where the sealed bytes are: immutable local copies in `sealed/xx/<id>`, drafts on their way there, live files in
//! `live/xx/<ino>`. Rows are `meta`'s business; this room moves files. Everything is relative to the state directory.
//!
//! `xx` is the low byte of the number as two hex digits, the number itself is decimal. Order of things: a file is in
//! place before its row is committed, and goes after its row is gone; so a file without a row is waste, never loss.

mod draft;
mod live;
mod places;
mod sealed;

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
    /// Opens (and makes) `live/`, `sealed/` and `draft/` beneath `dir`; what `draft/` holds is removed.
    pub fn open(dir: &Path) -> io::Result<Objects> {
        let root = sys::open_dir(dir)?;
        for place in [places::LIVE, places::SEALED] {
            places::make(&root, place)?;
        }
        draft::clear(&root)?;
        Ok(Objects {
            root: Arc::new(root),
            drafts: AtomicU64::new(1),
            can: OnceLock::new(),
        })
    }

    /// Opens the files of a state directory without changing anything there: drafts stay, nothing is made.
    pub fn open_untouched(dir: &Path) -> io::Result<Objects> {
        Ok(Objects {
            root: Arc::new(sys::open_dir(dir)?),
            drafts: AtomicU64::new(1),
            can: OnceLock::new(),
        })
    }

    /// The room on the disk that holds the files.
    pub fn disk(&self) -> io::Result<sys::DiskSpace> {
        sys::disk_space_of(&self.root)
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
