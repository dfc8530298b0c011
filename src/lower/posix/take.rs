//! Moving an object out of sight, and giving it further names.

use super::attempt::{self, Tx};
use super::root::Opened;
use super::{Place, expect, moves};
use crate::lower::error::{is, meaning, no};
use crate::lower::{Answer, Expect, LowerError, Slot};
use crate::model::{Kind, Observed, RelPath};
use crate::sys;

/// Moves the object at `from` into a slot.
pub(super) fn take(
    opened: &Opened,
    tx: &Tx,
    from: &RelPath,
    wanted: &Expect,
    slot: Slot,
) -> Answer<Observed> {
    let place = Place::find(opened, from)?;
    let found = expect::present(opened, &place, wanted)?;
    if found.stamp.kind == Kind::Dir && slot == Slot::Old {
        must_be_empty(&place.dir, &place.name, from)?;
    }
    let out = out(opened, tx, &place, wanted, &found, slot)?;
    if found.stamp.kind == Kind::Dir && slot == Slot::Old {
        // Somebody may have put something in between the look and the move.
        if let Err(e) = must_be_empty(&tx.dir, attempt::name(slot), from) {
            put_back(tx, &place, slot)?;
            return Err(e);
        }
    }
    sys::dir::sync_dir(&place.dir).map_err(|e| meaning("sync", from, e))?;
    tx.sync()?;
    Ok(out)
}

fn must_be_empty(dir: &std::fs::File, name: &std::ffi::OsStr, path: &RelPath) -> Answer<()> {
    let names = sys::dir::open_dir_in(dir, name)
        .and_then(|dir| sys::dir::names_of(&dir))
        .map_err(|e| meaning("list", path, e))?;
    if names.is_empty() {
        Ok(())
    } else {
        Err(LowerError::NotEmpty(path.clone()))
    }
}

/// Moves `found` from its place into a free slot and compares again there; what is not the one goes back.
pub(super) fn out(
    opened: &Opened,
    tx: &Tx,
    place: &Place,
    wanted: &Expect,
    found: &Observed,
    slot: Slot,
) -> Answer<Observed> {
    match moves::onto_nothing(&place.dir, &place.name, &tx.dir, attempt::name(slot)) {
        Ok(()) => {}
        Err(e) if is(&e, no::ENOENT) => {
            return Err(expect::changed(&place.path, expect::find(opened, place)?));
        }
        Err(e) => return Err(meaning("take", &place.path, e)),
    }
    let out = tx.must(opened, slot)?;
    if expect::survived(opened, wanted, found, &out) {
        return Ok(out);
    }
    put_back(tx, place, slot)?;
    Err(expect::changed(
        &place.path,
        expect::find(opened, place)?.or(Some(out)),
    ))
}

/// Gives what is in a slot its name again. When somebody took the name meanwhile it stays, in slot `old` if that is free:
/// slot `new` is removed at the end of an attempt.
pub(super) fn put_back(tx: &Tx, place: &Place, slot: Slot) -> Answer<()> {
    let name = attempt::name(slot);
    match moves::onto_nothing(&tx.dir, name, &place.dir, &place.name) {
        Ok(()) => sys::dir::sync_dir(&place.dir).map_err(|e| meaning("sync", &place.path, e)),
        Err(e) if is(&e, no::EEXIST) && slot == Slot::New => {
            moves::onto_nothing(&tx.dir, name, &tx.dir, attempt::name(Slot::Old))
                .map_err(|e| meaning("keep", &tx.path, e))
        }
        Err(e) if is(&e, no::EEXIST) => Ok(()),
        Err(e) => Err(meaning("put back", &place.path, e)),
    }
}

/// Makes slot `new` one more name of the object at `from`.
pub(super) fn link(opened: &Opened, tx: &Tx, from: &RelPath, wanted: &Expect) -> Answer<Observed> {
    let place = Place::find(opened, from)?;
    let found = expect::present(opened, &place, wanted)?;
    tx.clear_new(opened)?;
    let new = attempt::name(Slot::New);
    match sys::dir::link_between(&place.dir, &place.name, &tx.dir, new) {
        Ok(()) => {}
        Err(e) if is(&e, no::ENOENT) => {
            return Err(expect::changed(from, expect::find(opened, &place)?));
        }
        Err(e) => return Err(meaning("link", from, e)),
    }
    let linked = tx.must(opened, Slot::New)?;
    if !expect::survived(opened, wanted, &found, &linked) {
        tx.clear_new(opened)?;
        return Err(expect::changed(from, expect::find(opened, &place)?));
    }
    tx.sync()?;
    Ok(linked)
}
