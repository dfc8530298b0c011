//! What is mounted there: type, source, and space.

use std::fs::File;
use std::io;

use nix::sys::statfs::fstatfs;

/// What `statfs` says of the file system of an open object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FsStat {
    /// Magic number of its type.
    pub fs_type: i64,
    /// Fragment size in bytes.
    pub bsize: u64,
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
    /// Longest name in bytes.
    pub namelen: u64,
}

/// Asks the file system of an open object (network file systems ask their server each time).
pub fn statfs_of(file: &File) -> io::Result<FsStat> {
    let st = fstatfs(file)?;
    Ok(FsStat {
        fs_type: st.filesystem_type().0 as i64,
        bsize: st.block_size() as u64,
        blocks: st.blocks(),
        bfree: st.blocks_free(),
        bavail: st.blocks_available(),
        files: st.files(),
        ffree: st.files_free(),
        namelen: st.maximum_name_length() as u64,
    })
}

/// One line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// Type as a word (`nfs4`, `cifs`, `fuse.sshfs`, `ext4`).
    pub fs: String,
    /// What is mounted (`server:/export`, `/dev/sda1`).
    pub source: String,
    /// The directory of that file system that is mounted (`/` unless bound).
    pub root: String,
    /// Options of the file system, with commas.
    pub options: String,
}

/// The mount with number `mount` (see [`super::Stat::mount`]), as this process sees it. Never asks a server.
pub fn mounted(mount: u64) -> Option<Mounted> {
    let text = std::fs::read("/proc/self/mountinfo").ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| parse(line, mount))
}

fn parse(line: &str, mount: u64) -> Option<Mounted> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ');
    if left.next()?.parse::<u64>().ok()? != mount {
        return None;
    }
    let root = left.nth(2)?;
    let mut right = right.split(' ');
    Some(Mounted {
        fs: unescape(right.next()?),
        source: unescape(right.next()?),
        root: unescape(root),
        options: unescape(right.next().unwrap_or("")),
    })
}

/// mountinfo writes space, tab, newline and backslash as `\ooo`.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text
            .get(at + 1..at + 4)
            .filter(|_| bytes[at] == b'\\')
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 4 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_is_understood() {
        let line =
            r"36 35 0:34 /sub /mnt\040x rw,noatime shared:1 - nfs4 srv:/a\040b rw,vers=4.2,hard";
        let found = parse(line, 36).unwrap();
        assert_eq!(found.source, "srv:/a b");
        assert_eq!((found.fs.as_str(), found.root.as_str()), ("nfs4", "/sub"));
        assert_eq!(parse(line, 3), None);
    }

    #[test]
    fn the_mount_of_a_file_is_found() {
        let file = tempfile::tempfile().unwrap();
        let stat = crate::sys::statx_of(&file).unwrap();
        assert!(mounted(stat.mount).is_some());
    }
}
