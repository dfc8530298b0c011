//! Is there what the caller expects? Asked right before each change, and again of what a change took away.

use std::ffi::OsStr;
use std::fs::File;

use super::root::Opened;
use super::{Place, look};
use crate::lower::error::meaning;
use crate::lower::{Answer, Expect, LowerError, progress};
use crate::model::{Hash, Kind, Mask, Observed, RelPath, Sameness, Stamp};
use crate::sys;

/// The object at `place` when it is the one expected; [`LowerError::Changed`] otherwise. Not for [`Expect::Absent`].
pub(super) fn present(opened: &Opened, place: &Place, expect: &Expect) -> Answer<Observed> {
    let found = find(opened, place)?;
    match (expect, found) {
        (Expect::Is(stamp), Some(seen)) if is(opened, place, stamp, &seen, &opened.mask)? => {
            Ok(seen)
        }
        (Expect::Object(stamp), Some(seen)) if stamp.same_object(&seen.stamp, &opened.mask) => {
            Ok(seen)
        }
        (_, found) => Err(changed(&place.path, found)),
    }
}

/// As [`present`], for an object whose ctime a link of our own has moved. Bytes of known hash are read to be sure.
pub(super) fn present_but_for_ctime(
    opened: &Opened,
    place: &Place,
    expect: &Expect,
) -> Answer<Observed> {
    let found = find(opened, place)?;
    let (Expect::Is(stamp) | Expect::Object(stamp)) = expect else {
        return Err(changed(&place.path, found));
    };
    let Some(seen) = found else {
        return Err(changed(&place.path, None));
    };
    let calm = match expect {
        Expect::Object(_) => stamp.same_object(&seen.stamp, &opened.mask),
        _ => is(opened, place, stamp, &seen, &without_ctime(opened))?,
    };
    if calm {
        Ok(seen)
    } else {
        Err(changed(&place.path, Some(seen)))
    }
}

fn without_ctime(opened: &Opened) -> Mask {
    Mask {
        ctime: false,
        ..opened.mask
    }
}

/// What is at `place`.
pub(super) fn find(opened: &Opened, place: &Place) -> Answer<Option<Observed>> {
    look::at(opened, &place.dir, &place.name, false).map_err(|e| meaning("look at", &place.path, e))
}

/// The answer when something else was there.
pub(super) fn changed(path: &RelPath, found: Option<Observed>) -> LowerError {
    LowerError::Changed {
        path: path.clone(),
        found: found.map(Box::new),
    }
}

fn is(opened: &Opened, place: &Place, stamp: &Stamp, seen: &Observed, mask: &Mask) -> Answer<bool> {
    match stamp.compare(&seen.stamp, mask) {
        Sameness::Same => Ok(true),
        Sameness::Attributes | Sameness::Different => Ok(false),
        // Too little to tell by: the bytes must speak, if we know what they were.
        Sameness::Unverified => match stamp.hash {
            Some(hash) if stamp.kind == Kind::File => {
                Ok(hash_of(opened, &place.dir, &place.name, &place.path, seen)? == Some(hash))
            }
            _ => Ok(true),
        },
    }
}

/// Hash of the file `name` as long as it is still `seen`; `None` when it is not.
pub(super) fn hash_of(
    opened: &Opened,
    dir: &File,
    name: &OsStr,
    path: &RelPath,
    seen: &Observed,
) -> Answer<Option<Hash>> {
    let fail = |e| meaning("read", path, e);
    let file = sys::dir::open_file_in(dir, name).map_err(fail)?;
    let (hash, _) = sys::hash_beating(&file, &mut progress::beat).map_err(fail)?;
    let stat = sys::statx_of(&file).map_err(fail)?;
    let after = look::observed(opened, &stat, None, None);
    let calm = matches!(
        seen.stamp.compare(&after.stamp, &opened.mask),
        Sameness::Same | Sameness::Unverified
    );
    Ok(calm.then_some(hash))
}

/// True when `now` is `found` after a rename or a link of our own, which move ctime and nothing else.
pub(super) fn survived(opened: &Opened, expect: &Expect, found: &Observed, now: &Observed) -> bool {
    if matches!(expect, Expect::Object(_)) {
        return found.stamp.same_object(&now.stamp, &opened.mask);
    }
    let sameness = found.stamp.compare(&now.stamp, &without_ctime(opened));
    // A directory's bytes are its entries, which are looked at separately.
    let bytes = match found.stamp.kind {
        Kind::Dir => sameness != Sameness::Different,
        _ => matches!(sameness, Sameness::Same | Sameness::Unverified),
    };
    bytes
        && found.attrs.mode == now.attrs.mode
        && (found.attrs.uid, found.attrs.gid) == (now.attrs.uid, now.attrs.gid)
}
