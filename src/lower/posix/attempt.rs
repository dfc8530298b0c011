//! `.driftfs/tx/<client>-<txn>.<n>/`: where every change of a visible name has one end.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;

use super::retained;
use super::root::Opened;
use super::{hidden, look, moves};
use crate::lower::error::{is, meaning, no};
use crate::lower::{Answer, Attempt, AttemptState, LowerError, Slot};
use crate::model::{Kind, Observed, RelPath};
use crate::sys;

/// Everybody may make an entry here and nobody may remove those of others: several users share one lower.
const SHARED: u32 = 0o1777;
/// What is staged here may be meant for a directory that others cannot enter.
const PRIVATE: u32 = 0o700;

/// An open attempt directory.
pub(super) struct Tx {
    pub dir: File,
    /// For messages.
    pub path: RelPath,
}

/// The name of a slot.
pub(super) fn name(slot: Slot) -> &'static OsStr {
    OsStr::new(match slot {
        Slot::New => "new",
        Slot::Old => "old",
    })
}

impl Tx {
    /// What is in a slot.
    pub fn look(&self, opened: &Opened, slot: Slot) -> Answer<Option<Observed>> {
        look::at(opened, &self.dir, name(slot), false)
            .map_err(|e| meaning("look at", &self.path, e))
    }

    /// What is in a slot that must hold something.
    pub fn must(&self, opened: &Opened, slot: Slot) -> Answer<Observed> {
        self.look(opened, slot)?
            .ok_or_else(|| LowerError::NotFound(self.path.clone()))
    }

    /// Removes what is in slot `new` (a directory must be empty).
    pub fn clear_new(&self, opened: &Opened) -> Answer<()> {
        let Some(seen) = self.look(opened, Slot::New)? else {
            return Ok(());
        };
        remove(&self.dir, name(Slot::New), seen.stamp.kind)
            .map_err(|e| meaning("clear", &self.path, e))
    }

    /// Waits until the slots are on disk.
    pub fn sync(&self) -> Answer<()> {
        sys::dir::sync_dir(&self.dir).map_err(|e| meaning("sync", &self.path, e))
    }
}

/// Removes a name; fine when it is gone.
pub(super) fn remove(dir: &File, name: &OsStr, kind: Kind) -> io::Result<()> {
    let done = match kind {
        Kind::Dir => sys::dir::rmdir_in(dir, name),
        _ => sys::dir::unlink_in(dir, name),
    };
    match done {
        Err(e) if is(&e, no::ENOENT) => Ok(()),
        other => other,
    }
}

fn dir_name(client: &str, attempt: Attempt) -> OsString {
    format!("{client}-{}.{}", attempt.txn, attempt.n).into()
}

fn path_of(client: &str, attempt: Attempt) -> RelPath {
    let text = format!("{}/tx/{client}-{}.{}", hidden::OURS, attempt.txn, attempt.n);
    RelPath::parse(text.as_bytes()).unwrap_or_default()
}

/// Opens the directory of an attempt that was begun.
pub(super) fn open(opened: &Opened, client: &str, attempt: Attempt) -> Answer<Tx> {
    let path = path_of(client, attempt);
    let dir = opened.dir(&path)?;
    Ok(Tx { dir, path })
}

/// Makes what is missing of `.driftfs/`, `id`, `tx/` and the attempt directory.
pub(super) fn begin(opened: &Opened, client: &str, attempt: Attempt) -> Answer<Tx> {
    let path = path_of(client, attempt);
    let make = || {
        let ours = make_dir(&opened.root, OsStr::new(hidden::OURS), SHARED)?;
        claim(&ours, client)?;
        let all = make_dir(&ours, OsStr::new("tx"), SHARED)?;
        make_dir(&all, &dir_name(client, attempt), PRIVATE)
    };
    let dir = make().map_err(|e| meaning("make", &path, e))?;
    Ok(Tx { dir, path })
}

/// Makes a directory unless it is there, and opens it.
pub(super) fn make_dir(dir: &File, name: &OsStr, mode: u32) -> io::Result<File> {
    match sys::dir::mkdir_in(dir, name, mode) {
        Ok(()) => {
            let made = sys::dir::open_dir_in(dir, name)?;
            // The umask of this process had a say; some servers keep modes of their own.
            let _ = sys::set_mode(&made, mode);
            sys::dir::sync_dir(dir)?;
            Ok(made)
        }
        Err(e) if is(&e, no::EEXIST) => sys::dir::open_dir_in(dir, name),
        Err(e) => Err(e),
    }
}

/// Writes `id` once. Two clients doing it at the same moment agree on one: the name is given by `link`, which never
/// replaces.
fn claim(ours: &File, client: &str) -> io::Result<()> {
    if hidden::id_of(ours)?.is_some() {
        return Ok(());
    }
    let known = |name: &OsString| name == "tx" || name == "retained" || is_draft(name);
    if !sys::dir::names_of(ours)?.iter().all(known) {
        // Another attempt of ours, or another client, may have claimed it between the two looks.
        if hidden::id_of(ours)?.is_some() {
            return Ok(());
        }
        // A directory of that name that holds something else belongs to somebody.
        return Err(io::Error::from_raw_os_error(no::EEXIST));
    }
    let draft = OsString::from(format!("id.{client}.{}", hex(&sys::random()?[..4])));
    let file = sys::create_at(ours, draft.as_ref(), 0o644)?;
    let _ = sys::chmod(&file, 0o644);
    let text = format!("{}{}\n", hidden::ID_PREFIX, hex(&sys::random()?));
    std::os::unix::fs::FileExt::write_all_at(&file, text.as_bytes(), 0)?;
    sys::sync(&file)?;
    drop(file);
    let id = OsStr::new(hidden::ID);
    let placed = match sys::dir::link_between(ours, &draft, ours, id) {
        Err(e) if moves::no_links(&e) => moves::onto_nothing(ours, &draft, ours, id),
        other => other,
    };
    let _ = sys::dir::unlink_in(ours, &draft);
    match placed {
        Err(e) if is(&e, no::EEXIST) => {}
        other => other?,
    }
    sys::dir::sync_dir(ours)
}

fn is_draft(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with("id.")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What an attempt holds.
pub(super) fn state(opened: &Opened, client: &str, attempt: Attempt) -> Answer<AttemptState> {
    match open(opened, client, attempt) {
        Ok(tx) => held(opened, &tx),
        Err(LowerError::NotFound(_)) => Ok(AttemptState::default()),
        Err(e) => Err(e),
    }
}

fn held(opened: &Opened, tx: &Tx) -> Answer<AttemptState> {
    Ok(AttemptState {
        exists: true,
        new: tx.look(opened, Slot::New)?,
        old: tx.look(opened, Slot::Old)?,
    })
}

/// Moves what `from` holds to `to` and removes `from`. A call of `from` that executes after that finds no directory; one
/// that executes in between is met by the next round.
pub(super) fn fence(
    opened: &Opened,
    client: &str,
    from: Attempt,
    to: Attempt,
) -> Answer<AttemptState> {
    let into = begin(opened, client, to)?;
    let all = opened.dir(&tx_root())?;
    for _ in 0..8 {
        let tx = match open(opened, client, from) {
            Ok(tx) => tx,
            Err(LowerError::NotFound(_)) => return held(opened, &into),
            Err(e) => return Err(e),
        };
        for slot in [Slot::New, Slot::Old] {
            carry(
                opened,
                &tx,
                &into,
                slot,
                &format!("fenced/{client}-{}.{}", from.txn, from.n),
            )?;
        }
        into.sync()?;
        drop_scraps(&tx);
        match sys::dir::rmdir_in(&all, &dir_name(client, from)) {
            Err(e) if is(&e, no::ENOTEMPTY) || is(&e, no::EEXIST) => {}
            Err(e) if is(&e, no::ENOENT) => return held(opened, &into),
            Err(e) => return Err(meaning("remove", &tx.path, e)),
            Ok(()) => {
                sys::dir::sync_dir(&all).map_err(|e| meaning("sync", &tx.path, e))?;
                return held(opened, &into);
            }
        }
    }
    Err(LowerError::NotEmpty(path_of(client, from)))
}

fn tx_root() -> RelPath {
    RelPath::parse(format!("{}/tx", hidden::OURS).as_bytes()).unwrap_or_default()
}

/// One slot to the next attempt; kept aside when that one is taken already.
fn carry(opened: &Opened, from: &Tx, to: &Tx, slot: Slot, label: &str) -> Answer<()> {
    let name = name(slot);
    match moves::onto_nothing(&from.dir, name, &to.dir, name) {
        Ok(()) => Ok(()),
        Err(e) if is(&e, no::ENOENT) => Ok(()),
        Err(e) if is(&e, no::EEXIST) => retained::keep(opened, from, slot, label),
        Err(e) => Err(meaning("fence", &from.path, e)),
    }
}

/// What an interrupted call left beside the slots.
fn drop_scraps(tx: &Tx) {
    for scrap in moves::SCRAPS {
        let _ = sys::dir::unlink_in(&tx.dir, OsStr::new(scrap));
    }
}

/// Ends an attempt; see the trait. A directory with something in it is never removed but kept.
pub(super) fn end(
    opened: &Opened,
    client: &str,
    attempt: Attempt,
    retain: Option<&str>,
) -> Answer<()> {
    let tx = match open(opened, client, attempt) {
        Ok(tx) => tx,
        Err(LowerError::NotFound(_)) => return Ok(()),
        Err(e) => return Err(e),
    };
    let spare = format!("unexpected/{client}-{}.{}", attempt.txn, attempt.n);
    match retain {
        Some(label) => retained::keep(opened, &tx, Slot::Old, label)?,
        None => drop_or_keep(opened, &tx, Slot::Old, &spare)?,
    }
    drop_or_keep(opened, &tx, Slot::New, &spare)?;
    drop_scraps(&tx);
    let all = opened.dir(&tx_root())?;
    let gone = remove(&all, &dir_name(client, attempt), Kind::Dir);
    gone.and_then(|()| sys::dir::sync_dir(&all))
        .map_err(|e| meaning("remove", &tx.path, e))
}

fn drop_or_keep(opened: &Opened, tx: &Tx, slot: Slot, label: &str) -> Answer<()> {
    let Some(seen) = tx.look(opened, slot)? else {
        return Ok(());
    };
    match remove(&tx.dir, name(slot), seen.stamp.kind) {
        Err(e) if is(&e, no::ENOTEMPTY) || is(&e, no::EEXIST) => {
            retained::keep(opened, tx, slot, label)
        }
        other => other.map_err(|e| meaning("remove", &tx.path, e)),
    }
}
