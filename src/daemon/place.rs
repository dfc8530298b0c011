//! Where a mount lives: which state directory belongs to it, and which places refuse each other. Pure.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::look::{Found, Looked};
use crate::sys;

/// The three directories of a mount, absolute and without links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) lower: PathBuf,
    pub(super) mount: PathBuf,
    pub(super) state: PathBuf,
}

impl Place {
    /// True when the mount hides its own lower.
    pub(super) fn covers(&self) -> bool {
        self.lower == self.mount
    }
}

/// The default state directory of a lower: its last name for people, a hash of its path to tell equal names apart.
pub(super) fn default_state(lower: &Path) -> Result<PathBuf, String> {
    let mut name = OsString::from(lower.file_name().unwrap_or("root".as_ref()));
    name.push("-");
    name.push(sys::short_hash(lower.as_os_str().as_bytes()));
    Ok(state_home()?.join(name))
}

fn state_home() -> Result<PathBuf, String> {
    if sys::euid() == 0 {
        return Ok("/var/lib/driftfs".into());
    }
    let from = |variable: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    from("XDG_STATE_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".local/state")))
        .map(|home| home.join("driftfs"))
        .ok_or_else(|| {
            "neither XDG_STATE_HOME nor HOME is set\n  next: driftfs mount --state DIR …".to_owned()
        })
}

/// Checks the three places against each other. `known`: the state directory was used before, so the lower may be away.
pub(super) fn check(
    lower: &Looked,
    mount: &Looked,
    state: &Looked,
    known: bool,
) -> Result<Place, String> {
    check_lower(lower, known)?;
    check_mount(mount)?;
    if matches!(state.found, Found::Other) {
        return Err(format!("{} is not a directory", state.path.display()));
    }
    let place = Place {
        lower: lower.path.clone(),
        mount: mount.path.clone(),
        state: state.path.clone(),
    };
    check_mount_and_lower(&place.mount, &place.lower)?;
    for (other, word) in [(&place.lower, "lower"), (&place.mount, "mount point")] {
        let s = &place.state;
        if s.starts_with(other) || other.starts_with(s) {
            return Err(format!(
                "the state directory {} and the {word} {} lie inside each other\n  next: choose another with --state DIR",
                s.display(),
                other.display()
            ));
        }
    }
    Ok(place)
}

fn check_mount_and_lower(m: &Path, l: &Path) -> Result<(), String> {
    let (mount, lower) = (m.display(), l.display());
    if l != m && m.starts_with(l) {
        return Err(format!(
            "the mount point {mount} lies inside the lower {lower}: it would show itself\n  next: choose a mount point elsewhere, or {lower} itself"
        ));
    }
    if l != m && l.starts_with(m) {
        return Err(format!(
            "the lower {lower} lies inside the mount point {mount}: the mount would hide it\n  next: choose a mount point elsewhere, or {mount} itself"
        ));
    }
    Ok(())
}

fn check_lower(lower: &Looked, known: bool) -> Result<(), String> {
    let path = lower.path.display();
    match &lower.found {
        Found::Dir => Ok(()),
        Found::Other => Err(format!("{path} is not a directory")),
        _ if known => Ok(()),
        Found::Missing => Err(format!(
            "{path} does not exist, and it was never mounted here before\n  next: mount the share, then try again"
        )),
        Found::Dead => Err(format!(
            "{path} lies on a mount whose daemon is gone, and it was never mounted here before"
        )),
        Found::Silent => Err(format!(
            "{path} does not answer, and it was never mounted here before: nothing is known of it\n  next: try again when the server answers"
        )),
        Found::Error(why) => Err(format!("{path} cannot be looked at: {why}")),
    }
}

fn check_mount(mount: &Looked) -> Result<(), String> {
    let path = mount.path.display();
    match &mount.found {
        Found::Dir | Found::Dead => Ok(()),
        Found::Missing => Err(format!(
            "the mount point {path} does not exist\n  next: mkdir -p {path}"
        )),
        Found::Other => Err(format!("the mount point {path} is not a directory")),
        Found::Silent => Err(format!(
            "the mount point {path} does not answer\n  next: driftfs umount {path}"
        )),
        Found::Error(why) => Err(format!("the mount point {path} cannot be used: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, found: Found) -> Looked {
        Looked {
            path: path.into(),
            found,
        }
    }

    fn places(lower: &str, mount: &str, state: &str) -> Result<Place, String> {
        check(
            &at(lower, Found::Dir),
            &at(mount, Found::Dir),
            &at(state, Found::Missing),
            false,
        )
    }

    #[test]
    fn places_inside_each_other_are_refused() {
        assert!(
            places("/l", "/l/m", "/s")
                .unwrap_err()
                .contains("show itself")
        );
        assert!(places("/m/l", "/m", "/s").unwrap_err().contains("hide it"));
        assert!(places("/l", "/m", "/l/s").is_err());
        assert!(places("/l", "/m", "/m/s").is_err());
        assert!(places("/s/l", "/m", "/s").is_err());
        assert!(places("/l", "/lm", "/ls").is_ok());
    }

    #[test]
    fn a_mount_over_its_own_lower_works() {
        assert!(places("/l", "/l", "/s").unwrap().covers());
    }

    #[test]
    fn a_lower_that_is_away_needs_an_earlier_mount() {
        let mount = at("/m", Found::Dir);
        let state = at("/s", Found::Dir);
        for away in [Found::Missing, Found::Silent, Found::Error("x".into())] {
            let lower = at("/l", away);
            assert!(check(&lower, &mount, &state, false).is_err());
            assert!(check(&lower, &mount, &state, true).is_ok());
        }
        let file = at("/l", Found::Other);
        assert!(check(&file, &mount, &state, true).is_err());
    }

    #[test]
    fn equal_names_get_different_states() {
        let a = default_state(Path::new("/a/work")).unwrap();
        let b = default_state(Path::new("/b/work")).unwrap();
        assert_ne!(a, b);
        let name = a.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.starts_with("work-") && name.len() == 13, "{name}");
    }
}
