//! Changing attributes in place.

use super::root::Opened;
use super::{Place, attrs, expect, look};
use crate::lower::error::{is, meaning, no};
use crate::lower::{Answer, Done, Expect, LowerError, SetAttrs};
use crate::model::{Observed, RelPath};
use crate::sys;

/// Applies `change` to the object at `path` if it is the one expected.
pub(super) fn set(
    opened: &Opened,
    path: &RelPath,
    wanted: &Expect,
    change: &SetAttrs,
) -> Answer<Done> {
    if path.is_root() {
        return set_root(opened, wanted, change);
    }
    let place = Place::find(opened, path)?;
    let found = expect::present(opened, &place, wanted)?;
    let handle = match sys::dir::handle_in(&place.dir, &place.name) {
        Ok(handle) => handle,
        Err(e) if is(&e, no::ENOENT) => return Err(expect::changed(path, None)),
        Err(e) => return Err(meaning("open", path, e)),
    };
    // From here on the handle decides: a name that changes hands cannot lead us to another object.
    let stat = sys::statx_of(&handle).map_err(|e| meaning("look at", path, e))?;
    if stat.ino != found.stamp.ino {
        return Err(expect::changed(path, expect::find(opened, &place)?));
    }
    let kind = found.stamp.kind;
    let mut refused = attrs::apply(&handle, kind, path, change)?;
    attrs::sync(&place.dir, &place.name, kind, path)?;
    let seen = look::must(opened, &place.dir, &place.name, path, true)?;
    attrs::silently_ignored(opened, change, &seen, &mut refused);
    Ok(done(seen, refused))
}

/// The root of the share itself.
fn set_root(opened: &Opened, wanted: &Expect, change: &SetAttrs) -> Answer<Done> {
    let path = RelPath::root();
    let fail = |e| meaning("look at", &path, e);
    let found = look::of_dir(opened, &opened.root, false).map_err(fail)?;
    let same = match wanted {
        Expect::Absent => false,
        Expect::Is(stamp) | Expect::Object(stamp) => stamp.same_object(&found.stamp, &opened.mask),
    };
    if !same {
        return Err(LowerError::Changed {
            path: path.clone(),
            found: Some(Box::new(found)),
        });
    }
    let mut refused = attrs::apply(&opened.root, found.stamp.kind, &path, change)?;
    sys::dir::sync_dir(&opened.root).map_err(|e| meaning("sync", &path, e))?;
    let seen = look::of_dir(opened, &opened.root, true).map_err(fail)?;
    attrs::silently_ignored(opened, change, &seen, &mut refused);
    Ok(done(seen, refused))
}

fn done(seen: Observed, refused: Vec<String>) -> Done {
    Done {
        seen,
        refused,
        possible_loss: false,
    }
}
