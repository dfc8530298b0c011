//! Which mount is meant: from a path inside it, from `-m`, or from the current directory.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::exit::{Exit, Failure};
use crate::control::{self, Answer, JsonPath, Request};
use crate::model::RelPath;
use crate::sys::{self, Mount};

/// A mount that was found, and its state directory.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) mount: Mount,
    pub(super) state_dir: PathBuf,
    /// True when `-m` named it: the current directory then need not be in it.
    named: bool,
}

/// A daemon that does not answer a question about its root within this time is not waited for.
const PATIENCE: Duration = Duration::from_secs(3);

impl Found {
    /// Asks the daemon of this mount.
    pub(super) fn ask(&self, request: Request) -> Result<Answer, Failure> {
        Ok(control::ask(&self.state_dir, request)?)
    }

    /// A person's path as a path beneath the root of this mount. The last name is not followed if it is a link.
    pub(super) fn rel(&self, path: &Path) -> Result<RelPath, Failure> {
        let real = real_but_last(path)?;
        let point = &self.mount.point;
        let inside = match real.strip_prefix(point) {
            Ok(inside) => Some(inside.to_owned()),
            Err(_) => self.as_printed(path),
        };
        let inside = inside.ok_or_else(|| {
            Failure::usage(format!(
                "{} is not inside {}",
                path.display(),
                point.display()
            ))
        })?;
        RelPath::parse(inside.as_os_str().as_bytes())
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
    }

    /// The same, no link followed. What the commands print are paths beneath the root, and what was a directory in one
    /// may be a link by now, leading elsewhere. With `-m` they may be typed anywhere outside of the mount.
    pub(super) fn as_printed(&self, path: &Path) -> Option<PathBuf> {
        let typed = as_typed(path)?;
        match typed.strip_prefix(&self.mount.point) {
            Ok(inside) => Some(inside.to_owned()),
            Err(_) => (self.named && path.is_relative()).then(|| path.to_owned()),
        }
    }

    /// [`Found::rel`] for the protocol.
    pub(super) fn json(&self, path: &Path) -> Result<JsonPath, Failure> {
        Ok(JsonPath::of(&self.rel(path)?))
    }
}

/// The mount `given` names (`-m`), or the one `path` is in, or the one the current directory is in.
pub(super) fn find(given: Option<&Path>, path: Option<&Path>) -> Result<Found, Failure> {
    let mount = find_mount(given, path)?;
    let state_dir = state_dir_of(&mount)?;
    let named = given.is_some();
    Ok(Found {
        mount,
        state_dir,
        named,
    })
}

/// The same without asking the daemon anything.
pub(super) fn find_mount(given: Option<&Path>, path: Option<&Path>) -> Result<Mount, Failure> {
    let mounts = sys::mounts()
        .map_err(|error| Failure::error(format!("the mount table could not be read: {error}")))?;
    if let Some(mount) = given.and_then(|name| by_name(&mounts, name)) {
        return Ok(mount);
    }
    let start = given.or(path).unwrap_or(Path::new("."));
    let real = sys::canonical(start).or_else(|_| real_but_last(start))?;
    let ours = |path: &Path| {
        let mount = sys::mount_of(&mounts, path);
        mount.filter(|mount| mount.fs_type == sys::FS_TYPE)
    };
    let found = ours(&real).or_else(|| ours(&as_typed(start)?));
    match found {
        Some(mount) => Ok(mount.clone()),
        None => Err(Failure::usage(format!(
            "{} is not inside a driftfs mount\n  next: driftfs ls   shows all mounts; then -m MOUNT, or cd into one",
            start.display()
        ))),
    }
}

/// A mount by the last name of its mount point or of its source, if only one has it.
fn by_name(mounts: &[Mount], name: &Path) -> Option<Mount> {
    if name.components().count() != 1 || name.is_absolute() {
        return None;
    }
    let named = |mount: &&Mount| {
        mount.fs_type == sys::FS_TYPE
            && (mount.point.file_name() == Some(name.as_os_str())
                || Path::new(&mount.source).file_name() == Some(name.as_os_str()))
    };
    let mut found = mounts.iter().filter(named);
    let first = found.next()?;
    found.next().is_none().then(|| first.clone())
}

/// The state directory, as the root of the mount tells it.
pub(super) fn state_dir_of(mount: &Mount) -> Result<PathBuf, Failure> {
    let (tell, told) = mpsc::channel();
    let point = mount.point.clone();
    // In a thread of its own: a daemon that hangs must not hang the command that is to help.
    std::thread::spawn(move || tell.send(sys::path_xattr(&point, "user.drift.state-dir")));
    match told.recv_timeout(PATIENCE) {
        Ok(Ok(Some(dir))) => Ok(PathBuf::from(std::ffi::OsStr::from_bytes(&dir))),
        Ok(Ok(None)) => Err(Failure::error(format!(
            "{} does not tell its state directory",
            mount.point.display()
        ))),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(
            Failure::error(format!("{} belongs to another user", mount.point.display())),
        ),
        Ok(Err(_)) => Err(not_running(mount)),
        Err(_) => Err(Failure::new(
            Exit::NotRunning,
            format!(
                "the daemon of {0} does not answer\n  next: driftfs umount {0}",
                mount.point.display()
            ),
        )),
    }
}

fn not_running(mount: &Mount) -> Failure {
    Failure::new(
        Exit::NotRunning,
        format!(
            "the daemon of {0} is not running\n  next: driftfs mount {1} {0}   continues where it stopped; nothing is lost",
            mount.point.display(),
            mount.source.to_string_lossy()
        ),
    )
}

/// An absolute path with no link followed; `None` where `..` would then mean something else.
fn as_typed(path: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(path).ok()?;
    let up = |part: Component<'_>| part == Component::ParentDir;
    (!whole.components().any(up)).then_some(whole)
}

/// An absolute path with the links of its directories followed as far as they exist. What is gone may still have
/// versions to be shown, so a missing tail is kept as it was typed.
fn real_but_last(path: &Path) -> Result<PathBuf, Failure> {
    let wrong = |why: String| Failure::usage(format!("{}: {why}", path.display()));
    let whole = std::path::absolute(path).map_err(|error| wrong(error.to_string()))?;
    if whole.ends_with("..") {
        return sys::canonical(&whole).map_err(|error| wrong(error.to_string()));
    }
    let Some(parent) = whole.parent() else {
        return Ok(whole);
    };
    for ancestor in parent.ancestors() {
        let Ok(real) = sys::canonical(ancestor) else {
            continue;
        };
        let rest = whole.strip_prefix(ancestor).unwrap_or(Path::new(""));
        if rest.components().any(|part| part.as_os_str() == "..") {
            return Err(wrong("no such directory".into()));
        }
        return Ok(real.join(rest));
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tail_is_kept_and_links_on_the_way_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let real = sys::canonical(dir.path()).unwrap();
        std::fs::create_dir(real.join("a")).unwrap();
        std::os::unix::fs::symlink("a", real.join("l")).unwrap();
        let got = |path: &str| real_but_last(&real.join(path)).unwrap();
        assert_eq!(got("l/gone/x"), real.join("a/gone/x"));
        assert_eq!(got("l"), real.join("l"));
        assert_eq!(got("l/.."), real);
        assert!(real_but_last(&real.join("gone/../x")).is_err());
    }

    #[test]
    fn a_printed_path_means_the_same_with_a_link_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = sys::canonical(dir.path()).unwrap();
        let point = root.join("mnt");
        std::fs::create_dir_all(point.join("a")).unwrap();
        std::fs::create_dir(root.join("outside")).unwrap();
        std::os::unix::fs::symlink("../outside", point.join("l")).unwrap();
        let found = |named| Found {
            mount: Mount {
                point: point.clone(),
                device: (0, 1),
                fs_type: sys::FS_TYPE.into(),
                source: "/srv".into(),
            },
            state_dir: PathBuf::new(),
            named,
        };
        let rel = |named, path: &Path| found(named).rel(path).ok().map(|rel| rel.to_string());
        let within = |path: &str| rel(false, &point.join(path));
        assert_eq!(within("a/x"), Some("a/x".into()));
        assert_eq!(within("l/x"), Some("l/x".into()), "it leads out");
        assert_eq!(within("l/../x"), None);
        let elsewhere = Path::new("no-such-directory/x");
        assert_eq!(rel(false, elsewhere), None);
        assert_eq!(rel(true, elsewhere), Some("no-such-directory/x".into()));
        assert_eq!(rel(true, Path::new("/etc/passwd")), None);
    }

    #[test]
    fn a_name_that_two_mounts_have_names_neither() {
        let mount = |point: &str, source: &str| Mount {
            point: point.into(),
            device: (0, 1),
            fs_type: sys::FS_TYPE.into(),
            source: source.into(),
        };
        let all = [mount("/a/work", "/srv/x"), mount("/b/work", "/srv/y")];
        assert_eq!(by_name(&all, Path::new("work")), None);
        assert_eq!(
            by_name(&all, Path::new("y")).map(|m| m.point),
            Some("/b/work".into())
        );
    }
}
