//! A whole file in one piece: read between two equal looks, or not at all.

use std::fs::File;
use std::time::Duration;

use super::root::{Family, Opened};
use super::{Place, look};
use crate::lower::error::{is, local, meaning, no};
use crate::lower::{Answer, Fetched, LowerError, progress};
use crate::model::{Hash, Kind, Observed, RelPath, Sameness};
use crate::sys::{self, CopyError};

/// Copies `path` into `into`. Tried twice when somebody writes meanwhile.
pub(super) fn read(opened: &Opened, path: &RelPath, into: &File) -> Answer<Fetched> {
    let place = Place::find(opened, path)?;
    for _ in 0..2 {
        if let Some(fetched) = once(opened, &place, into)? {
            return Ok(fetched);
        }
    }
    Err(LowerError::Unstable(path.clone()))
}

/// One copy; `None` when the file changed while it was read.
fn once(opened: &Opened, place: &Place, into: &File) -> Answer<Option<Fetched>> {
    let (file, before) = open(opened, place)?;
    // A sparse file may claim more bytes than can be read in a lifetime, and costs its owner nothing.
    if !sys::can_hold(into, before.attrs.size).map_err(local)? {
        return Err(LowerError::Refused {
            what: format!("read {}", place.path),
            errno: no::EFBIG,
            why: "it is larger than the whole disk that would keep it here".into(),
        });
    }
    let (hash, _) = sys::copy_hashed(&file, into, &mut progress::beat).map_err(|e| match e {
        CopyError::From(e) => meaning("read", &place.path, e),
        CopyError::To(e) => local(e),
    })?;
    let after = seen(opened, place, &file)?;
    if !calm(opened, &before, &after) {
        return Ok(None);
    }
    if opened.family == Family::Smb && before.stamp.racy && !settled(opened, place, &before, hash)?
    {
        return Ok(None);
    }
    // Racy as of the first look: what was written since then is in neither.
    let mut seen = before;
    seen.stamp.hash = Some(hash);
    // Who believes this stamp does not ask for them again. Set since the last look, they moved the ctime past it.
    seen.xattrs = look::read_xattrs(&file).map_err(|e| meaning("look at", &place.path, e))?;
    Ok(Some(Fetched { seen, hash }))
}

/// Opens a regular file and looks at it through that opening (which asks the server).
pub(super) fn open(opened: &Opened, place: &Place) -> Answer<(File, Observed)> {
    let fail = |e| meaning("open", &place.path, e);
    let now = look::must(opened, &place.dir, &place.name, &place.path, false)?;
    if now.stamp.kind != Kind::File {
        return Err(LowerError::Changed {
            path: place.path.clone(),
            found: Some(Box::new(now)),
        });
    }
    let file = match sys::dir::open_file_in(&place.dir, &place.name) {
        Ok(file) => file,
        // Somebody on this host holds a lease and is asked to give it up: a writer at work.
        Err(e) if is(&e, no::EAGAIN) => return Err(LowerError::Unstable(place.path.clone())),
        Err(e) => return Err(fail(e)),
    };
    if opened.family != Family::Local {
        sys::forget_cached(&file);
    }
    let before = seen(opened, place, &file)?;
    Ok((file, before))
}

pub(super) fn seen(opened: &Opened, place: &Place, file: &File) -> Answer<Observed> {
    let stat = sys::statx_of(file).map_err(|e| meaning("look at", &place.path, e))?;
    Ok(look::observed(opened, &stat, None, None))
}

pub(super) fn calm(opened: &Opened, before: &Observed, after: &Observed) -> bool {
    matches!(
        before.stamp.compare(&after.stamp, &opened.mask),
        Sameness::Same | Sameness::Unverified
    )
}

/// For up to a second after a change, SMB clients were seen to give the new size with old bytes. So a file that young is
/// read again once that second is over, and both readings must agree.
fn settled(opened: &Opened, place: &Place, before: &Observed, hash: Hash) -> Answer<bool> {
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(500));
        progress::beat();
    }
    let (file, again) = open(opened, place)?;
    let (second, _) = sys::hash_beating(&file, &mut progress::beat)
        .map_err(|e| meaning("read", &place.path, e))?;
    Ok(second == hash && calm(opened, before, &again))
}
