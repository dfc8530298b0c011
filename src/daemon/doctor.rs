//! What this host and a share can do. Writes nothing.

use std::path::Path;

use serde::Serialize;

use super::look::{self, Found};
use crate::sys;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// Is it there?
    pub ok: bool,
    /// What was found, and what follows.
    pub what: String,
}

/// All findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// True when driftfs can work here.
    pub usable: bool,
    /// In order.
    pub findings: Vec<Finding>,
}

/// Looks at the host, and at a server's directory if one is named.
pub fn doctor(lower: Option<&Path>) -> Health {
    let mut findings = vec![kernel(), fuse(), helper(), passthrough(), reflink(lower)];
    if let Some(lower) = lower {
        findings.extend(share(lower));
    }
    // Passthrough and reflinks make it faster; everything works without them.
    let needed = |finding: &&Finding| !matches!(finding.name, "passthrough" | "reflink");
    Health {
        usable: findings.iter().filter(needed).all(|finding| finding.ok),
        findings,
    }
}

fn kernel() -> Finding {
    let release = sys::kernel_release();
    let ok = at_least(&release, (5, 11));
    Finding {
        name: "kernel",
        ok,
        what: if ok {
            release
        } else {
            format!("{release}; driftfs needs Linux 5.11 or newer")
        },
    }
}

fn at_least(release: &str, wanted: (u32, u32)) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) >= wanted,
        _ => false,
    }
}

fn fuse() -> Finding {
    match sys::fuse_device() {
        Ok(()) => Finding {
            name: "fuse",
            ok: true,
            what: "/dev/fuse opens".into(),
        },
        Err(error) => Finding {
            name: "fuse",
            ok: false,
            what: format!(
                "/dev/fuse: {error}; next: modprobe fuse, or give the container the device"
            ),
        },
    }
}

fn helper() -> Finding {
    let root = sys::euid() == 0;
    let found = sys::program_on_path("fusermount3");
    Finding {
        name: "fusermount3",
        ok: root || found.is_some(),
        what: match (found, root) {
            (Some(path), _) => path.display().to_string(),
            (None, true) => "not installed; root does not need it".into(),
            (None, false) => "not installed; next: apt install fuse3".into(),
        },
    }
}

fn passthrough() -> Finding {
    let kernel = at_least(&sys::kernel_release(), (6, 9));
    let rights = sys::has_sys_admin();
    Finding {
        name: "passthrough",
        ok: kernel && rights,
        what: match (kernel, rights) {
            (false, _) => "needs Linux 6.9; the daemon serves all reads and writes".into(),
            (true, false) => "needs root; the daemon serves all reads and writes".into(),
            (true, true) => {
                "the kernel reads and writes files that are here; -o nopassthrough switches it off"
                    .into()
            }
        },
    }
}

fn reflink(lower: Option<&Path>) -> Finding {
    let lower = lower.unwrap_or(Path::new("/x"));
    let dir = super::place::default_state(lower).map(super::image::files_of);
    let tried = dir.as_deref().ok().and_then(sys::can_reflink);
    let shown = dir.map_or_else(|why| why, |dir| dir.display().to_string());
    Finding {
        name: "reflink",
        ok: tried == Some(true),
        what: match tried {
            Some(true) => format!("files in {shown} are cloned in place"),
            Some(false) => format!(
                "{shown} cannot clone files: the first write to a file copies it; XFS, btrfs and bcachefs can, and as root: driftfs mount --cache-image 20G …"
            ),
            None => format!("could not be tried in {shown}"),
        },
    }
}

fn share(lower: &Path) -> Vec<Finding> {
    let looked = look::look_at(&[lower]);
    let found = looked.ok().and_then(|all| all.into_iter().next());
    let (path, found) = match found {
        Some(looked) => (looked.path, looked.found),
        None => (lower.to_owned(), Found::Silent),
    };
    let what = match &found {
        Found::Dir => format!("{} answers", path.display()),
        Found::Other => format!("{} is not a directory", path.display()),
        Found::Missing => format!("{} does not exist", path.display()),
        Found::Dead => format!("{} is a mount whose daemon is gone", path.display()),
        Found::Silent => format!("{} does not answer", path.display()),
        Found::Error(why) => format!("{}: {why}", path.display()),
    };
    let mut all = vec![Finding {
        name: "share",
        ok: found == Found::Dir,
        what,
    }];
    let mounts = sys::mounts().unwrap_or_default();
    if let Some(mount) = sys::mount_of(&mounts, &path) {
        all.push(Finding {
            name: "share is on",
            ok: mount.fs_type != sys::FS_TYPE,
            what: format!("{} from {}", mount.fs_type, mount.source.to_string_lossy()),
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert!(at_least("6.10.3-generic", (6, 9)));
        assert!(!at_least("5.4.0-1-amd64", (5, 11)));
        assert!(!at_least("unknown", (5, 11)));
    }
}
