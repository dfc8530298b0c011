//! The look a round begins with.

use super::conflicts::standing;
use super::run::{Mode, Reintegrate};
use super::scan::{Scan, ScanError, Scope, scan_with};
use super::trouble::{Failure, Stop};
use super::universe::Object;
use crate::meta::Conflict;
use crate::model::{ConflictKind, Mask, RelPath};
use crate::variants::Terms;

impl Reintegrate {
    /// Looks at everything a mode is about.
    pub(super) fn look(&self, mode: &Mode, mask: Mask) -> Result<Scan, Stop> {
        let scope = match mode {
            Mode::Push(_) | Mode::Send => Scope::Touched,
            Mode::Sync | Mode::Approved | Mode::Pull => Scope::Whole,
        };
        let stands = |conflict: &Conflict, object: &Object, paths: &[RelPath]| {
            let one = std::slice::from_ref(conflict);
            let of = (object.bid, object.ino);
            let same = standing(one, of, object.stamp.as_ref(), object.rev, &mask).is_some();
            same && says_where(conflict, paths)
        };
        let looked = scan_with(
            &self.tree,
            self.lower.as_ref(),
            &self.fetch,
            mask,
            scope,
            &stands,
            self.width.lanes,
        );
        looked.map_err(|error| match error {
            ScanError::Link(error) => Stop::Link(error.to_string()),
            ScanError::Tree(error) => Stop::Fatal(Failure::Tree(error)),
        })
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
