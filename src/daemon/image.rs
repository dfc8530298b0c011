//! A file system in a file of the state directory, for hosts whose own cannot clone files.
//!
//! Live files, sealed objects and drafts are in it; the database stays outside. Once made it is used for ever: the files of
//! a state directory are either in its image or beside the database, never in both.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::meta::{Meta, MetaError};
use crate::sys;

/// The file.
const FILE: &str = "objects.img";
/// Where it is mounted.
const POINT: &str = "objects";
/// Setting: the files of this state directory are in an image.
const SETTING: &str = "cache-image";
/// XFS cannot be made smaller than 300 MiB.
const SMALLEST: u64 = 512 << 20;
/// A daemon that just ended gets so long to let go of the image.
const PATIENCE: Duration = Duration::from_secs(10);

/// A mounted image.
#[derive(Debug)]
pub(super) struct Image {
    file: PathBuf,
    point: PathBuf,
    closed: AtomicBool,
}

/// Makes the image of a state directory if `size` asks for one, and mounts it. `None`: it has none, its files are beside
/// the database. Every refusal is a sentence.
pub(super) fn open(state: &Path, meta: &Meta, size: Option<u64>) -> Result<Option<Image>, String> {
    let (file, point) = (state.join(FILE), state.join(POINT));
    let there = sys::image_size(&file).map_err(|e| refused(&file, "looked at", e))?;
    let promised = meta
        .read(|rows| Ok::<_, MetaError>(rows.setting(SETTING)?.is_some()))
        .map_err(|e| refused(&file, "looked for", e))?;
    match (there, size) {
        (None, _) if promised => Err(format!(
            "{} is gone: the files kept here are in it\n  next: put it back; nothing is started without it",
            file.display()
        )),
        (None, None) => Ok(None),
        (None, Some(size)) => {
            make(state, meta, &file, size)?;
            mount(file, point).map(Some)
        }
        (Some(now), wanted) => {
            // Growing it is a matter of `xfs_growfs`, which asks every mount of the host, the share among them.
            if let Some(size) = wanted.filter(|size| *size != now) {
                tracing::info!(now, size, "the cache image keeps its size");
            }
            let image = mount(file, point)?;
            promise(meta, &image.file)?;
            Ok(Some(image))
        }
    }
}

/// Mounts the image a state directory has, for a look at it with no daemon.
pub(super) fn open_existing(state: &Path) -> Result<Option<Image>, String> {
    let (file, point) = (state.join(FILE), state.join(POINT));
    match sys::image_size(&file) {
        Ok(None) => Ok(None),
        Ok(Some(_)) => mount(file, point).map(Some),
        Err(error) => Err(refused(&file, "looked at", error)),
    }
}

/// Where the files of a state directory are: in its image while that is mounted.
pub(super) fn files_of(state: PathBuf) -> PathBuf {
    let inside = state.join(POINT);
    if sys::path_exists(&inside.join("live")) {
        inside
    } else {
        state
    }
}

impl Image {
    /// The directory that holds the files.
    pub(super) fn dir(&self) -> &Path {
        &self.point
    }

    /// The file itself, open.
    pub(super) fn file(&self) -> std::io::Result<File> {
        sys::open_path(&self.file)
    }

    /// Bytes it can grow to.
    pub(super) fn size(&self) -> u64 {
        sys::image_size(&self.file).ok().flatten().unwrap_or(0)
    }

    /// Takes the mount away; what is still open keeps the file system until it is closed.
    pub(super) fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        if let Err(error) = sys::unmount(&self.point, true) {
            tracing::warn!(%error, point = %self.point.display(), "the cache image stays mounted");
        }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        self.close();
    }
}

fn refused(file: &Path, what: &str, error: impl std::fmt::Display) -> String {
    format!(
        "the cache image {} could not be {what}: {error}",
        file.display()
    )
}

fn make(state: &Path, meta: &Meta, file: &Path, size: u64) -> Result<(), String> {
    if size < SMALLEST {
        return Err(format!(
            "a cache image of {size} bytes is too small for XFS\n  next: --cache-image 512M, or more"
        ));
    }
    if !sys::is_root() {
        return Err(
            "--cache-image mounts a file system, which only root may\n  next: sudo driftfs mount …, or a state directory on XFS or btrfs"
                .into(),
        );
    }
    if sys::path_exists(&state.join("live")) {
        return Err(format!(
            "the state directory {} keeps its files without an image already\n  next: mount without --cache-image, or with another --state DIR",
            state.display()
        ));
    }
    sys::make_image(file, size).map_err(|error| {
        format!(
            "{}\n  next: give it no more than the disk has free, apt install xfsprogs if it is missing, or mount without --cache-image",
            refused(file, "made", error)
        )
    })?;
    promise(meta, file)
}

/// Written before the first file is put into it: from now on a state directory without its image is not started.
fn promise(meta: &Meta, file: &Path) -> Result<(), String> {
    meta.write(|txn| txn.set_setting(SETTING, Some("1")))
        .map_err(|error: MetaError| refused(file, "written down", error))
}

fn mount(file: PathBuf, point: PathBuf) -> Result<Image, String> {
    let fail = |error: &dyn std::fmt::Display| {
        format!(
            "{}\n  next: losetup -j {}   shows who uses it; loop devices and XFS are needed",
            refused(&file, "mounted", error),
            file.display()
        )
    };
    if !is_mounted(&file, &point).map_err(|e| fail(&e))? {
        if !sys::is_root() {
            return Err(fail(&"only root may"));
        }
        sys::make_private_dir(&point).map_err(|e| fail(&e))?;
        sys::mount_image(&file, &point).map_err(|e| fail(&e))?;
    }
    Ok(Image {
        file,
        point,
        closed: AtomicBool::new(false),
    })
}

/// True when a killed daemon left it mounted. One that is still being let go of is waited for: shown by two devices at
/// once it would be destroyed.
fn is_mounted(file: &Path, point: &Path) -> std::io::Result<bool> {
    let until = Instant::now() + PATIENCE;
    loop {
        let devices = sys::loops_of(file)?;
        let mounts = sys::mounts()?;
        let top = mounts.iter().rev().find(|mount| mount.point == point);
        match top {
            Some(mount) if devices.iter().any(|device| mount.source == *device) => return Ok(true),
            Some(_) => return Err(std::io::Error::other("something else is mounted there")),
            None if devices.is_empty() => return Ok(false),
            None if Instant::now() >= until => {
                return Err(std::io::Error::other("another loop device shows it"));
            }
            None => sys::sleep(Duration::from_millis(50)),
        }
    }
}

/// Reads a size as people write it: `20G`, `500M`, or bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let unit = text.chars().last().map(|last| last.to_ascii_uppercase());
    let shift = match unit {
        Some('K') => 10,
        Some('M') => 20,
        Some('G') => 30,
        Some('T') => 40,
        _ => 0,
    };
    let digits = if shift > 0 {
        &text[..text.len() - 1]
    } else {
        text
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| "a size is a number of bytes, or one with K, M, G or T".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse_size("20G"), Ok(20 << 30));
        assert_eq!(parse_size("512m"), Ok(512 << 20));
        assert_eq!(parse_size("4096"), Ok(4096));
        for wrong in ["", "G", "1.5G", "-1", "99999999T", "3é"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_state_directory_without_its_promised_image_is_not_started() {
        let dir = tempfile::tempdir().unwrap();
        let meta = Meta::open(dir.path()).unwrap();
        assert!(open(dir.path(), &meta, None).unwrap().is_none());
        promise(&meta, dir.path()).unwrap();
        let why = open(dir.path(), &meta, None).unwrap_err();
        assert!(why.contains("is gone"), "{why}");
    }

    #[test]
    fn files_beside_the_database_stay_there() {
        let dir = tempfile::tempdir().unwrap();
        let meta = Meta::open(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("live")).unwrap();
        assert!(
            open(dir.path(), &meta, Some(1))
                .unwrap_err()
                .contains("too small")
        );
        assert!(open(dir.path(), &meta, Some(1 << 30)).is_err());
        assert!(!dir.path().join(FILE).exists());
    }
}
