//! Renames as far as each server promises them.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::attempt::Tx;
use super::root::{Family, Opened};
use crate::lower::error::{is, is_unsupported, no};
use crate::sys::{self, dir::Onto};

/// Names of the two files of a trial exchange.
const TRIALS: [&str; 2] = ["try1", "try2"];
/// A file that is being written, where it must not have the name of a slot yet.
pub(super) const DRAFT: &str = "draft";
/// All that an interrupted call may leave beside the slots; of no worth to anybody.
pub(super) const SCRAPS: [&str; 3] = [TRIALS[0], TRIALS[1], DRAFT];

/// Renames to a name that must be free; `EEXIST` when it is not. Where the server cannot promise that (NFS), a look right
/// before must do.
pub(super) fn onto_nothing(dir: &File, from: &OsStr, into: &File, to: &OsStr) -> io::Result<()> {
    match sys::dir::rename_between(dir, from, into, to, Onto::Nothing) {
        Err(e) if is_unsupported(&e) => match sys::statx_in(into, to) {
            Ok(_) => Err(io::Error::from_raw_os_error(no::EEXIST)),
            Err(e) if is(&e, no::ENOENT) => {
                sys::dir::rename_between(dir, from, into, to, Onto::Replace)
            }
            Err(e) => Err(e),
        },
        other => other,
    }
}

/// True when a failed `link` says that there are no (more) links to be had, not that something is wrong.
pub(super) fn no_links(error: &io::Error) -> bool {
    is_unsupported(error) || is(error, no::EPERM) || is(error, no::EMLINK)
}

/// Can this lower exchange two names in one step? NFS and SMB never; disks always; others are tried once with two files of
/// our own, because one that overlooks the flag would replace instead.
pub(super) fn can_exchange(opened: &Opened, tx: &Tx) -> bool {
    match opened.family {
        Family::Local => true,
        Family::Nfs | Family::Smb => false,
        Family::Other => *opened
            .exchange
            .get_or_init(|| try_exchange(&tx.dir).unwrap_or(false)),
    }
}

fn try_exchange(dir: &File) -> io::Result<bool> {
    let [a, b] = TRIALS.map(OsStr::new);
    let clear = || {
        for name in [a, b] {
            let _ = sys::dir::unlink_in(dir, name);
        }
    };
    clear();
    for name in [a, b] {
        let file = sys::create_at(dir, name.as_ref(), 0o600)?;
        file.write_all_at(name.as_encoded_bytes(), 0)?;
    }
    let tried = sys::dir::rename_between(dir, a, dir, b, Onto::Exchange);
    let swapped = tried.is_ok() && holds(dir, a, b)? && holds(dir, b, a)?;
    clear();
    Ok(swapped)
}

fn holds(dir: &File, name: &OsStr, text: &OsStr) -> io::Result<bool> {
    let mut bytes = [0; 8];
    let length = sys::dir::open_file_in(dir, name)?.read_at(&mut bytes, 0)?;
    Ok(&bytes[..length] == text.as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_exchange_tells_and_leaves_nothing() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = sys::open_dir(tmp.path()).unwrap();
        assert!(try_exchange(&dir).unwrap());
        assert!(sys::dir::names_of(&dir).unwrap().is_empty());
    }

    #[test]
    fn a_taken_name_is_never_replaced() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = sys::open_dir(tmp.path()).unwrap();
        std::fs::write(tmp.path().join("a"), "a").unwrap();
        std::fs::write(tmp.path().join("b"), "b").unwrap();
        let taken = onto_nothing(&dir, "a".as_ref(), &dir, "b".as_ref()).unwrap_err();
        assert!(is(&taken, no::EEXIST));
        assert_eq!(std::fs::read(tmp.path().join("b")).unwrap(), b"b");
    }
}
