//! Is a file being run as a program?

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::mounts::{mount_of, mounts};

/// True when some process runs the file with number `ino` of the file system mounted at `mount`, as far as we may look.
///
/// Asks no file system: what the kernel has in memory of each running program answers, so that a daemon may ask about
/// its own mount.
pub fn is_executed(mount: &Path, ino: u64) -> bool {
    let Some(device) = device_at(mount) else {
        return false;
    };
    let Ok(processes) = fs::read_dir("/proc") else {
        return false;
    };
    processes
        .flatten()
        .filter(|entry| entry.file_name().as_bytes()[0].is_ascii_digit())
        .any(|entry| program_of(&entry.path()) == Some((device, ino)))
}

fn device_at(mount: &Path) -> Option<(u32, u32)> {
    let all = mounts().ok()?;
    mount_of(&all, mount).map(|mount| mount.device)
}

/// Device and number of the program a process runs.
fn program_of(process: &Path) -> Option<((u32, u32), u64)> {
    let exe = CString::new(process.join("exe").into_os_string().as_bytes()).ok()?;
    let mut stat = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: a path that ends with NUL, and room for one answer.
    let done = unsafe {
        libc::statx(
            libc::AT_FDCWD,
            exe.as_ptr(),
            // Not asking is the point: the file system may be ours, and the thread that would answer be this one.
            libc::AT_STATX_DONT_SYNC,
            libc::STATX_INO,
            stat.as_mut_ptr(),
        )
    };
    if done != 0 {
        return None;
    }
    // SAFETY: zeroed, which is a valid value, and filled by the call.
    let stat = unsafe { stat.assume_init() };
    Some(((stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn this_very_program_runs_and_a_text_does_not() {
        let exe = std::env::current_exe().unwrap();
        let ino = fs::metadata(&exe).unwrap().ino();
        let text = fs::metadata(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        assert!(is_executed(&exe, ino));
        assert!(!is_executed(&exe, text.ino()));
    }
}
