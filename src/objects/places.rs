//! Which file a number has.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::sys;

pub(super) const LIVE: &str = "live";
pub(super) const SEALED: &str = "sealed";
pub(super) const PART: &str = "part";
pub(super) const DRAFT: &str = "draft";

/// Makes a place with its 256 directories. They are made in order, so the last one tells that all are there.
pub(super) fn make(root: &File, place: &str) -> io::Result<()> {
    if sys::stat_at(root, &shard(place, 0xff))?.is_some() {
        return Ok(());
    }
    sys::make_dir_at(root, Path::new(place), 0o700)?;
    for byte in 0..=0xff {
        sys::make_dir_at(root, &shard(place, byte), 0o700)?;
    }
    Ok(())
}

/// The file of a number.
pub(super) fn path(place: &str, number: u64) -> PathBuf {
    shard(place, number as u8).join(number.to_string())
}

/// Waits until the directory entry of a number is on disk.
pub(super) fn sync_entry(root: &File, place: &str, number: u64) -> io::Result<()> {
    sys::sync(&sys::open_at(root, &shard(place, number as u8), false)?)
}

/// Every number that has a file. Files that are no numbers are not ours and are left alone.
pub(super) fn all(root: &File, place: &str) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for byte in 0..=0xff {
        let names = match sys::list_at(root, &shard(place, byte)) {
            Ok(names) => names,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        found.extend(
            names
                .iter()
                .filter_map(|name| name.to_str()?.parse::<u64>().ok()),
        );
    }
    found.sort_unstable();
    Ok(found)
}

fn shard(place: &str, byte: u8) -> PathBuf {
    PathBuf::from(format!("{place}/{byte:02x}"))
}
