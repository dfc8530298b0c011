//! Giving a staged object its name.

use std::io;

use super::attempt::{self, Tx};
use super::root::Opened;
use super::{Place, expect, look, moves, replace};
use crate::lower::error::{is, is_link, meaning, no};
use crate::lower::{Answer, Done, Expect, Slot};
use crate::model::{Kind, Observed, RelPath};
use crate::sys;

/// Gives slot `new` the name `to`. `plain`: do without exchanging names.
pub(super) fn publish(
    opened: &Opened,
    tx: &Tx,
    to: &RelPath,
    wanted: &Expect,
    plain: bool,
) -> Answer<Done> {
    let place = Place::find(opened, to)?;
    let staged = tx.must(opened, Slot::New)?;
    let possible_loss = match wanted {
        Expect::Absent => {
            fresh_name(opened, tx, &place, &staged)?;
            false
        }
        _ => replace::replace(opened, tx, &place, &staged, wanted, plain)?,
    };
    sys::dir::sync_dir(&place.dir).map_err(|e| meaning("sync", to, e))?;
    tx.sync()?;
    let seen =
        look::at(opened, &place.dir, &place.name, true).map_err(|e| meaning("look at", to, e))?;
    match seen {
        Some(seen) if is_staged(&staged, &seen) => Ok(Done {
            seen,
            refused: Vec::new(),
            possible_loss,
        }),
        // It had the name, and somebody else has changed that since.
        found => Err(expect::changed(to, found)),
    }
}

/// True when `seen` is the very object that was staged. Numbers count even where they do not last: not a second went by.
pub(super) fn is_staged(staged: &Observed, seen: &Observed) -> bool {
    let (a, b) = (&staged.stamp, &seen.stamp);
    a.kind == b.kind
        && a.ino == b.ino
        && a.size == b.size
        && (a.kind == Kind::Dir || a.mtime == b.mtime)
}

/// Gives slot `new` a name that must be free: by a link, which never replaces; directories by a rename.
pub(super) fn fresh_name(opened: &Opened, tx: &Tx, place: &Place, staged: &Observed) -> Answer<()> {
    let new = attempt::name(Slot::New);
    match expect::find(opened, place)? {
        None => {}
        // Linked before, and interrupted before slot `new` was emptied.
        Some(seen) if staged.nlink > 1 && is_staged(staged, &seen) => return unlink_new(tx),
        found => return Err(expect::changed(&place.path, found)),
    }
    if staged.stamp.kind != Kind::Dir {
        match sys::dir::link_between(&tx.dir, new, &place.dir, &place.name) {
            Ok(()) => return unlink_new(tx),
            Err(e) if moves::no_links(&e) => {}
            Err(e) => {
                settle(opened, place, staged, e)?;
                return unlink_new(tx);
            }
        }
    }
    match moves::onto_nothing(&tx.dir, new, &place.dir, &place.name) {
        Ok(()) => Ok(()),
        Err(e) => settle(opened, place, staged, e),
    }
}

fn unlink_new(tx: &Tx) -> Answer<()> {
    attempt::remove(&tx.dir, attempt::name(Slot::New), Kind::File)
        .map_err(|e| meaning("clear", &tx.path, e))
}

/// After a change that failed: a reply may be lost or repeated, so the server's state decides, not the number.
pub(super) fn settle(
    opened: &Opened,
    place: &Place,
    staged: &Observed,
    error: io::Error,
) -> Answer<()> {
    if is_link(&error) {
        return Err(meaning("name", &place.path, error));
    }
    let found = expect::find(opened, place)?;
    if found.as_ref().is_some_and(|seen| is_staged(staged, seen)) {
        return Ok(());
    }
    let taken = [no::EEXIST, no::ENOTEMPTY, no::ENOTDIR, no::EISDIR]
        .iter()
        .any(|n| is(&error, *n));
    if taken && found.is_some() {
        return Err(expect::changed(&place.path, found));
    }
    Err(meaning("name", &place.path, error))
}
