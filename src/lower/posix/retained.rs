//! `.driftfs/retained/<label>`: what lost its name, until its time is over.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;

use super::attempt::{self, Tx};
use super::root::Opened;
use super::{hidden, moves};
use crate::lower::error::{is, meaning, no};
use crate::lower::{Answer, LowerError, Slot};
use crate::model::RelPath;
use crate::sys;

/// Moves what is in a slot (if anything is) to `.driftfs/retained/<label>`, or `<label>.2` and so on when that is taken.
pub(super) fn keep(opened: &Opened, tx: &Tx, slot: Slot, label: &str) -> Answer<()> {
    if tx.look(opened, slot)?.is_none() {
        return Ok(());
    }
    let path = RelPath::parse(label.as_bytes())
        .ok()
        .filter(|path| !path.is_root())
        .ok_or_else(|| LowerError::Refused {
            what: format!("keeping something as {label:?}"),
            errno: no::EINVAL,
            why: "not a path".into(),
        })?;
    let fail = |e| meaning("keep", &path, e);
    let (parent, last) = path
        .split()
        .ok_or_else(|| LowerError::NotFound(path.clone()))?;
    let dir = shelf(opened, &parent).map_err(fail)?;
    place(tx, slot, &dir, last.os()).map_err(fail)?;
    tx.sync()
}

/// Opens (makes) the directories of a label. They are private: what is kept may come from a place others cannot enter. A
/// shelf of another user gets a neighbour of our own.
fn shelf(opened: &Opened, parent: &RelPath) -> io::Result<File> {
    let ours = sys::dir::open_dir_in(&opened.root, OsStr::new(hidden::OURS))?;
    let mut dir = attempt::make_dir(&ours, OsStr::new("retained"), 0o1777)?;
    for name in parent.names() {
        dir = match attempt::make_dir(&dir, name.os(), 0o700).and_then(writable) {
            Err(e) if is(&e, no::EACCES) => {
                let mut own = OsString::from(name.os());
                own.push(format!(".u{}", sys::effective_uid()));
                attempt::make_dir(&dir, &own, 0o700)?
            }
            other => other?,
        };
    }
    Ok(dir)
}

/// A directory that is ours to write, or `EACCES`.
fn writable(dir: File) -> io::Result<File> {
    let owner = sys::statx_of(&dir)?.attrs.uid;
    let me = sys::effective_uid();
    // Servers with squashed or mapped owners show somebody else as owner of what we just made: trying decides there.
    if me == 0 || owner == me || sys::dir::names_of(&dir).is_ok() {
        Ok(dir)
    } else {
        Err(io::Error::from_raw_os_error(no::EACCES))
    }
}

fn place(tx: &Tx, slot: Slot, dir: &File, name: &OsStr) -> io::Result<()> {
    for nth in 1..10_000 {
        let mut free = name.to_os_string();
        if nth > 1 {
            free.push(format!(".{nth}"));
        }
        match moves::onto_nothing(&tx.dir, attempt::name(slot), dir, &free) {
            Err(e) if is(&e, no::EEXIST) => {}
            other => {
                other?;
                return sys::dir::sync_dir(dir);
            }
        }
    }
    Err(io::Error::from_raw_os_error(no::EEXIST))
}
