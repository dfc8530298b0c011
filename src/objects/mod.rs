//! Where the sealed bytes are: immutable local copies in `sealed/xx/<id>`, drafts on their way there, live files in
//! `live/xx/<ino>`. Rows are `meta`'s business; this room moves files. Everything is relative to the state directory.
//!
//! `xx` is the low byte of the number as two hex digits, the number itself is decimal. Order of things: a file is in
//! place before its row is committed, and goes after its row is gone; so a file without a row is waste, never loss.

mod draft;
mod live;
mod places;
mod sealed;
mod small;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::model::Hash;
use crate::sys;

pub use draft::Draft;

/// The files of a state directory.
pub struct Objects {
    root: Arc<File>,
    drafts: AtomicU64,
}

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
        })
    }

    /// Opens the files of a state directory without changing anything there: drafts stay, nothing is made.
    pub fn open_untouched(dir: &Path) -> io::Result<Objects> {
        Ok(Objects {
            root: Arc::new(sys::open_dir(dir)?),
            drafts: AtomicU64::new(1),
        })
    }

    /// The room on the disk that holds the files.
    pub fn disk(&self) -> io::Result<sys::DiskSpace> {
        sys::disk_space_of(&self.root)
    }

    /// BLAKE3 of a whole file.
    pub fn hash(&self, file: &File) -> io::Result<Hash> {
        sys::hash_file(file)
    }
}
