//! A whole directory in one answer.

use super::root::Opened;
use super::{hidden, look};
use crate::lower::error::{is_link, meaning};
use crate::lower::{Answer, progress};
use crate::model::{Listed, Listing, Name, RelPath};
use crate::sys;

/// Every entry of `path` with its attributes. Opening the directory makes a network client ask for its names anew.
pub(super) fn list(opened: &Opened, path: &RelPath, xattrs: bool) -> Answer<Listing> {
    let fail = |e| meaning("list", path, e);
    let dir = opened.dir(path)?;
    let mut listing = Listing {
        dir: look::of_dir(opened, &dir, xattrs).map_err(fail)?,
        entries: Vec::new(),
        unknown: Vec::new(),
    };
    for (nth, raw) in sys::dir::names_of(&dir).map_err(fail)?.iter().enumerate() {
        if nth % 64 == 63 {
            progress::beat();
        }
        if hidden::is_silly(raw) || hidden::is_ours(&dir, raw).map_err(fail)? {
            continue;
        }
        // The kernel gives no malformed names; a longer one than ours cannot be shown by any program.
        let Ok(name) = Name::from_os(raw) else {
            continue;
        };
        match look::at(opened, &dir, raw, xattrs) {
            Ok(Some(seen)) => listing.entries.push(Listed { name, seen }),
            // Gone between the names and the look: a listing a moment later would not have it.
            Ok(None) => {}
            // A link that fails half way makes everything after it unknown: better no listing than half of one.
            Err(e) if is_link(&e) => return Err(fail(e)),
            Err(e) => listing.unknown.push((name, e.to_string())),
        }
    }
    Ok(listing)
}
