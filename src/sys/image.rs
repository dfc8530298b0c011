//! A file system in a file: made, attached to a loop device, and mounted. For root.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::MsFlags;

/// Makes the file `path` with an empty XFS of `size` bytes that can clone files. All its room is taken
/// from the disk at once: a file system whose disk fills up beneath it loses what was written to it. The file appears whole or
/// not at all.
pub fn make_image(path: &Path, size: u64) -> io::Result<()> {
    let new = path.with_extension("new");
    let made = fill_and_format(&new, size).and_then(|()| std::fs::rename(&new, path));
    if made.is_err() {
        // A half made one only takes room.
        let _ = std::fs::remove_file(&new);
        return made;
    }
    match path.parent() {
        Some(dir) => std::fs::File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

fn fill_and_format(new: &Path, size: u64) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(new)?;
    let length = libc::off_t::try_from(size).map_err(io::Error::other)?;
    nix::fcntl::fallocate(&file, nix::fcntl::FallocateFlags::empty(), 0, length)?;
    // -K: what was allocated stays so.
    let words = ["-q", "-f", "-K", "-m", "reflink=1"].map(OsStr::new);
    run("mkfs.xfs", words.into_iter().chain([new.as_os_str()]))?;
    file.sync_all()
}

/// Bytes of the file, and whether it is there at all.
pub fn image_size(path: &Path) -> io::Result<Option<u64>> {
    match std::fs::metadata(path) {
        Ok(meta) => Ok(Some(meta.len())),
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(other) => Err(other),
    }
}

/// The loop devices that show the file now.
pub fn loops_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    let path = std::fs::canonicalize(path)?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/sys/block")?.flatten() {
        // Other devices have no such file, and one that is free none either.
        let shown = std::fs::read(entry.path().join("loop/backing_file")).unwrap_or_default();
        let shown = shown.strip_suffix(b"\n").unwrap_or(&shown);
        if shown == path.as_os_str().as_encoded_bytes() {
            found.push(Path::new("/dev").join(entry.file_name()));
        }
    }
    Ok(found)
}

/// Mounts the image at `point`. What is freed in it stays allocated in the file (no `discard`). The loop device goes with the mount.
pub fn mount_image(path: &Path, point: &Path) -> io::Result<()> {
    let attach = |direct: &str| {
        let words = ["--find", "--show", direct].map(OsStr::new);
        run("losetup", words.into_iter().chain([path.as_os_str()]))
    };
    // Without the second copy of everything in memory, where the file system below can.
    let said = attach("--direct-io=on").or_else(|_| attach("--direct-io=off"))?;
    let device = PathBuf::from(said.trim());
    // Room it sets aside ahead of a growing file (as much again, by default) would count as used.
    let flags = MsFlags::MS_NOATIME | MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
    let mounted = nix::mount::mount(
        Some(&device),
        point,
        Some("xfs"),
        flags,
        Some("allocsize=1m"),
    );
    // While it is mounted, this only says that nobody needs the device afterwards.
    let released = run("losetup", [OsStr::new("--detach"), device.as_os_str()]);
    mounted?;
    released.map(drop)
}

/// Runs a program of the host to its end and gives what it printed; what it complained of is in the error.
fn run<'a>(program: &str, args: impl IntoIterator<Item = &'a OsStr>) -> io::Result<String> {
    let beside = ["/usr/sbin", "/sbin"].map(|dir| Path::new(dir).join(program));
    let found = super::program_on_path(program)
        .or_else(|| beside.into_iter().find(|file| file.is_file()))
        .ok_or_else(|| io::Error::other(format!("{program} is not installed")))?;
    let ended = Command::new(found)
        .args(args)
        .stdin(Stdio::null())
        .output()?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    Err(io::Error::other(format!("{program}: {said}")))
}
