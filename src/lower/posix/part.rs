//! A part of a file, read between two equal looks.

use std::fs::File;

use super::Place;
use super::read::{calm, open, seen};
use super::root::Opened;
use crate::lower::error::{local, meaning, no};
use crate::lower::{Answer, LowerError, Part, PartOf, progress};
use crate::sys::{self, CopyError};

/// Copies a part of a file to the same place in `into`.
pub(super) fn read_part(opened: &Opened, part: &PartOf, into: &File) -> Answer<Part> {
    let place = Place::find(opened, &part.path)?;
    let (file, before) = open(opened, &place)?;
    if !sys::can_hold(into, before.attrs.size).map_err(local)? {
        return Err(LowerError::Refused {
            what: format!("read {}", place.path),
            errno: no::EFBIG,
            why: "it is larger than the whole disk that would keep it here".into(),
        });
    }
    let copied = sys::copy_part(&file, into, part.at, part.len, &mut progress::beat);
    let moved = copied.map_err(|e| match e {
        CopyError::From(e) => meaning("read", &place.path, e),
        CopyError::To(e) => local(e),
    })?;
    let after = seen(opened, &place, &file)?;
    if calm(opened, &before, &after) {
        return Ok(Part {
            seen: before,
            moved,
        });
    }
    if part.torn {
        return Ok(Part { seen: after, moved });
    }
    Err(LowerError::Unstable(place.path))
}
