//! Check and rescue of a state directory with nothing running: no daemon, no mount, no server.

mod check;
mod copies;
mod export;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::image::{self, Image};
use crate::meta::{Meta, MetaError};
use crate::objects::Objects;
use crate::sys::{self, StateLock};

pub use check::{Checked, check};
pub use export::{Exported, Rescued, export};

/// Why a state directory could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum RescueError {
    /// There is no database in it.
    #[error(
        "{0} is no state directory of driftfs (it has no meta.db)\n  next: `driftfs ls` shows the state directories in use; the usual place is ~/.local/state/driftfs or /var/lib/driftfs"
    )]
    NotOne(PathBuf),
    /// A daemon holds it.
    #[error(
        "{0} is in use by a running driftfs\n  next: driftfs umount MOUNTPOINT, then the same command again"
    )]
    InUse(PathBuf),
    /// The target has something in it.
    #[error(
        "{0} is not empty, and nothing is overwritten\n  next: name a directory that does not exist yet"
    )]
    NotEmpty(PathBuf),
    /// The image with the files cannot be reached.
    #[error("{0}")]
    Image(String),
    /// The database.
    #[error("the database of the state directory cannot be read: {0}")]
    Meta(#[from] MetaError),
    /// A file.
    #[error("{what} failed: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the host said.
        source: std::io::Error,
    },
}

type Result<T> = std::result::Result<T, RescueError>;

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> RescueError {
    let what = what.into();
    move |source| RescueError::Io { what, source }
}

/// A daemon that was just killed may hold the lock until the kernel is through with it.
const PATIENCE: Duration = Duration::from_secs(3);

/// A state directory that nobody else uses meanwhile.
struct Still {
    meta: Meta,
    objects: Objects,
    // After the files that are open in it, before the lock.
    _image: Option<Image>,
    _lock: StateLock,
}

impl Still {
    fn open(dir: &Path) -> Result<Still> {
        // Before the lock, which makes its file: a directory named by mistake stays as it is.
        if !sys::path_exists(&dir.join("meta.db")) {
            return Err(RescueError::NotOne(dir.to_owned()));
        }
        let lock = sys::lock_state(dir, PATIENCE).map_err(io("locking the state directory"))?;
        let lock = lock.ok_or_else(|| RescueError::InUse(dir.to_owned()))?;
        let meta = Meta::open(dir)?;
        let image = image::open_existing(dir).map_err(RescueError::Image)?;
        let files = image.as_ref().map_or(dir, Image::dir);
        Ok(Still {
            meta,
            objects: Objects::open_untouched(files).map_err(io("opening the state directory"))?,
            _image: image,
            _lock: lock,
        })
    }
}
