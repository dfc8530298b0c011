//! The look a round begins with.

use super::conflicts::standing;
use super::run::{Mode, Reintegrate};
use super::scan::{Scan, ScanError, Scope, scan_with};
use super::trouble::{Failure, Stop};
use super::universe::Object;
use crate::meta::Conflict;
use crate::model::{ConflictKind, Mask, RelPath};
use crate::tree::TreeError;
use crate::variants::Terms;

/// A file that is removed while it is compared is no reason to stop: the next look does not have it.
const TRIES: usize = 4;

impl Reintegrate {
    /// Looks at everything a mode is about.
    pub(super) fn look(&self, mode: &Mode, mask: Mask) -> Result<Scan, Stop> {
        let scope = match mode {
            Mode::Push(_) | Mode::Send => Scope::Touched,
            Mode::Sync | Mode::Approved | Mode::Pull => Scope::Differing,
        };
        let stands = |conflict: &Conflict, object: &Object, paths: &[RelPath]| {
            let one = std::slice::from_ref(conflict);
            let of = (object.bid, object.ino);
            let same = standing(one, of, object.stamp.as_ref(), object.rev, &mask).is_some();
            same && says_where(conflict, paths)
        };
        let once = || {
            let (lower, lanes) = (self.lower.as_ref(), self.width.lanes);
            scan_with(&self.tree, lower, &self.fetch, mask, scope, &stands, lanes)
        };
        let mut looked = once();
        for _ in 1..TRIES {
            if !looked.as_ref().is_err_and(vanished) {
                break;
            }
            looked = once();
        }
        looked.map_err(|error| match error {
            ScanError::Link(error) => Stop::Link(error.to_string()),
            ScanError::Tree(error) => Stop::Fatal(Failure::Tree(error)),
        })
    }
}

/// True when something went while it was looked at.
fn vanished(error: &ScanError) -> bool {
    match error {
        ScanError::Tree(TreeError::NotFound) => true,
        ScanError::Tree(TreeError::Io { source, .. }) => {
            source.kind() == std::io::ErrorKind::NotFound
        }
        _ => false,
    }
}

/// True when the terms of a conflict still say where the server has the object: deciding goes by these paths, and a
/// directory above may have been renamed since. What was deleted on one side keeps its terms whatever happens.
fn says_where(conflict: &Conflict, paths: &[RelPath]) -> bool {
    if conflict.kind == ConflictKind::Deleted {
        return true;
    }
    let Ok(terms) = Terms::parse(&conflict.terms) else {
        return false;
    };
    let mut told = terms.server.map_or(Vec::new(), |term| term.places);
    told.sort();
    told == paths
}
