//! What this host can do: kernel, FUSE, passthrough, reflinks. For `driftfs doctor`; nothing is left behind.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Release of the running kernel (`6.18.2`).
pub fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(|text| text.trim().to_owned())
        .unwrap_or_else(|_| "unknown".to_owned())
}

/// True when this process has CAP_SYS_ADMIN (which passthrough needs).
pub fn has_sys_admin() -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    effective.is_some_and(|bits| bits & (1 << CAP_SYS_ADMIN) != 0)
}

/// Where a program of that name lies on `PATH`.
pub fn program_on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// True when files in `dir` (or its nearest existing parent) can be cloned. Tried on two nameless files.
/// `None`: it could not be tried.
pub fn can_reflink(dir: &Path) -> Option<bool> {
    let there = dir.ancestors().find(|dir| dir.is_dir())?;
    let nameless = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_TMPFILE)
            .mode(0o600)
            .open(there)
    };
    let (mut from, to) = (nameless().ok()?, nameless().ok()?);
    from.write_all(&[1; 4096]).ok()?;
    Some(reflink_copy::reflink_file(&from, &to).is_ok())
}

/// True when we are root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Number of processors we may run on; at least 1.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}
