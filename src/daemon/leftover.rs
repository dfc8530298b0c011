//! What an earlier daemon left at the mount point.

use std::path::Path;
use std::time::{Duration, Instant};

use super::launch::StartError;
use super::look::{self, Found};
use super::start::failed;
use crate::sys;

/// Longest that a mount is given to die after its daemon.
const DEATH: Duration = Duration::from_millis(500);

/// Takes a dead mount off. One whose daemon was killed a moment ago may not be dead yet: its teller ends a little later.
pub(super) fn take_off_dead(point: &Path) -> Result<(), StartError> {
    let looking = |error| failed("the mount point could not be looked at", error);
    let until = Instant::now() + DEATH;
    loop {
        let looked = look::look_at(&[point]).map_err(looking)?.remove(0);
        if looked.found == Found::Dead {
            tracing::info!(mount = %looked.path.display(), "a dead mount is taken off");
            return sys::unmount(&looked.path, true).map_err(|error| {
                let what = looked.path.display();
                failed(
                    &format!("the dead mount at {what} could not be taken off"),
                    error,
                )
            });
        }
        if Instant::now() >= until || not_mounted_yet(&looked.path).is_ok() {
            return Ok(());
        }
        sys::sleep(DEATH / 10);
    }
}

/// Refuses a place that is a living mount of ours.
pub(super) fn not_mounted_yet(point: &Path) -> Result<(), StartError> {
    let mounts = sys::mounts().map_err(|error| failed("the mount table", error))?;
    let top = mounts.iter().rev().find(|mount| mount.point == point);
    match top {
        Some(mount) if mount.fs_type == sys::FS_TYPE => Err(StartError::Usage(format!(
            "{0} is mounted already, from {1}\n  next: driftfs -m {0} st, or driftfs umount {0}",
            point.display(),
            mount.source.to_string_lossy()
        ))),
        _ => Ok(()),
    }
}
