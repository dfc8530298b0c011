//! What is mounted where, by `/proc/self/mountinfo`; and taking mounts away.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The type our mounts are shown as.
pub const FS_TYPE: &str = "fuse.driftfs";

/// One line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub point: PathBuf,
    /// Device number as `major:minor`, as it stands in `/proc/PID/maps` too (there in hexadecimal).
    pub device: (u32, u32),
    /// File system type.
    pub fs_type: String,
    /// Source.
    pub source: OsString,
}

/// Everything mounted in this mount namespace, in the order of mounting.
pub fn mounts() -> io::Result<Vec<Mount>> {
    let text = std::fs::read("/proc/self/mountinfo")?;
    Ok(text
        .split(|byte| *byte == b'\n')
        .filter_map(parse_line)
        .collect())
}

/// The mount a path (absolute, without links) lies on: the deepest one, and of several at one point the last.
pub fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.as_os_str().len())
        .map(|deepest| {
            let top = mounts.iter().rev().find(|m| m.point == deepest.point);
            top.unwrap_or(deepest)
        })
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    // 36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw: optional fields end at the lone dash.
    let mut fields = line.split(|byte| *byte == b' ');
    let device = fields.nth(2)?;
    let point = fields.nth(1)?;
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    Some(Mount {
        point: PathBuf::from(unescape(point)),
        device: parse_device(device)?,
        fs_type: String::from_utf8_lossy(rest.next()?).into_owned(),
        source: unescape(rest.next()?),
    })
}

fn parse_device(field: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) = std::str::from_utf8(field).ok()?.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Mountinfo writes blank, tab, newline and backslash as `\ooo`.
fn unescape(field: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(field.len());
    let mut at = 0;
    while at < field.len() {
        let digits = field.get(at + 1..at + 4);
        let octal = digits.and_then(|d| std::str::from_utf8(d).ok());
        match octal.and_then(|d| u8::from_str_radix(d, 8).ok()) {
            Some(byte) if field[at] == b'\\' => {
                out.push(byte);
                at += 4;
            }
            _ => {
                out.push(field[at]);
                at += 1;
            }
        }
    }
    OsString::from_vec(out)
}

/// Takes a mount away; `lazy` detaches it while programs still use it. Without root's rights `fusermount3` does it.
pub fn unmount(point: &Path, lazy: bool) -> io::Result<()> {
    if nix::unistd::geteuid().is_root() {
        let flags = if lazy {
            nix::mount::MntFlags::MNT_DETACH
        } else {
            nix::mount::MntFlags::empty()
        };
        return nix::mount::umount2(point, flags).map_err(io::Error::from);
    }
    let mut helper = Command::new("fusermount3");
    helper.arg("-u").arg("-q");
    if lazy {
        helper.arg("-z");
    }
    let ended = helper.arg("--").arg(point).stdin(Stdio::null()).output()?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    let busy = said.contains("busy");
    let kind = if busy {
        io::ErrorKind::ResourceBusy
    } else {
        io::ErrorKind::Other
    };
    Err(io::Error::new(kind, said))
}

/// A program that keeps a mount busy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Its name.
    pub program: String,
    /// One path it holds.
    pub path: PathBuf,
}

/// Programs with a file, a directory, a program or a mapping on the mount at `point` (as far as we may look).
/// Only names of links in `/proc` are read, so a mount that does not answer cannot make this wait.
pub fn holders(point: &Path, device: (u32, u32)) -> Vec<Holder> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mine = std::process::id();
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != mine)
        .filter_map(|pid| {
            let path = held_path(pid, point, device)?;
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            Some(Holder {
                pid,
                program: name.trim().to_owned(),
                path,
            })
        })
        .collect()
}

fn held_path(pid: u32, point: &Path, device: (u32, u32)) -> Option<PathBuf> {
    let base = PathBuf::from(format!("/proc/{pid}"));
    let fixed = ["cwd", "root", "exe"].map(|name| base.join(name));
    let open = std::fs::read_dir(base.join("fd"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|fd| fd.path());
    fixed
        .into_iter()
        .chain(open)
        .filter_map(|link| std::fs::read_link(link).ok())
        .find(|target| target.starts_with(point))
        .or_else(|| mapped_path(&base, device))
}

fn mapped_path(process: &Path, (major, minor): (u32, u32)) -> Option<PathBuf> {
    let maps = std::fs::read(process.join("maps")).ok()?;
    let wanted = format!("{major:02x}:{minor:02x}");
    maps.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line
            .split(|byte| *byte == b' ')
            .filter(|field| !field.is_empty());
        let path = (fields.nth(3)? == wanted.as_bytes()).then(|| fields.nth(1))??;
        Some(PathBuf::from(std::ffi::OsStr::from_bytes(path)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_mount_points_are_unescaped() {
        let line = b"36 35 0:52 / /mnt/my\\040share\\134x rw,nosuid shared:1 - fuse.driftfs /srv/my\\040nas rw";
        let mount = parse_line(line).expect("a good line");
        assert_eq!(mount.point, Path::new("/mnt/my share\\x"));
        assert_eq!(mount.source, "/srv/my nas");
        assert_eq!(mount.fs_type, FS_TYPE);
        assert_eq!(mount.device, (0, 52));
    }

    #[test]
    fn the_deepest_and_latest_mount_is_the_one() {
        let at = |point: &str, source: &str| Mount {
            point: point.into(),
            device: (0, 1),
            fs_type: "x".into(),
            source: source.into(),
        };
        let all = [at("/", "a"), at("/m", "b"), at("/m", "c"), at("/mm", "d")];
        let found = |path: &str| mount_of(&all, Path::new(path)).map(|m| m.source.clone());
        assert_eq!(found("/m/x"), Some("c".into()));
        assert_eq!(found("/mm"), Some("d".into()));
        assert_eq!(found("/n"), Some("a".into()));
    }
}
