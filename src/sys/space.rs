//! How much room a file system has.

use std::fs::File;
use std::io;
use std::path::Path;

/// What `statvfs` says of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskSpace {
    /// Fragment size in bytes.
    pub bsize: u32,
    /// Blocks of that size.
    pub blocks: u64,
    /// Free blocks.
    pub bfree: u64,
    /// Free blocks for users.
    pub bavail: u64,
    /// Inodes.
    pub files: u64,
    /// Free inodes.
    pub ffree: u64,
}

/// Can `file` ever grow to `size` where it is? Not beyond what its whole file system holds.
pub fn can_hold(file: &File, size: u64) -> io::Result<bool> {
    let stat = nix::sys::statvfs::fstatvfs(file).map_err(io::Error::from)?;
    let whole = stat.blocks().saturating_mul(stat.fragment_size());
    Ok(whole == 0 || size <= whole)
}

/// The room on the file system that holds `path`.
pub fn disk_space(path: &Path) -> io::Result<DiskSpace> {
    let stat = nix::sys::statvfs::statvfs(path).map_err(io::Error::from)?;
    Ok(told(&stat))
}

/// The room on the file system that holds an open file.
pub fn disk_space_of(file: &File) -> io::Result<DiskSpace> {
    let stat = nix::sys::statvfs::fstatvfs(file).map_err(io::Error::from)?;
    Ok(told(&stat))
}

fn told(stat: &nix::sys::statvfs::Statvfs) -> DiskSpace {
    DiskSpace {
        bsize: u32::try_from(stat.fragment_size()).unwrap_or(4096),
        blocks: stat.blocks(),
        bfree: stat.blocks_free(),
        bavail: stat.blocks_available(),
        files: stat.files(),
        ffree: stat.files_free(),
    }
}
