//! A directory shown at another place as well, as plain local storage.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use nix::mount::MsFlags;

/// Shows the directory `from` at `to`. For root.
pub fn bind(from: &Path, to: &Path) -> io::Result<()> {
    let none: Option<&str> = None;
    nix::mount::mount(Some(from), to, none, MsFlags::MS_BIND, none).map_err(io::Error::from)
}

/// Makes a directory with owner, group and mode of `like`. True when it was made, false when it was there.
pub fn make_dir_like(dir: &Path, like: &Path) -> io::Result<bool> {
    let meta = std::fs::metadata(like)?;
    match std::fs::create_dir(dir) {
        Ok(()) => {}
        Err(there) if there.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(other) => return Err(other),
    }
    chown(dir, Some(meta.uid()), Some(meta.gid()))?;
    std::fs::set_permissions(dir, PermissionsExt::from_mode(meta.mode() & 0o7777))?;
    Ok(true)
}

/// True when a directory holds nothing.
pub fn is_empty_dir(dir: &Path) -> io::Result<bool> {
    Ok(std::fs::read_dir(dir)?.next().is_none())
}
