//! The look a round begins with.

use super::conflicts::standing;
use super::run::{Mode, Reintegrate};
use super::scan::{Scan, ScanError, Scope, scan};
use super::trouble::{Failure, Stop};
use super::universe::Object;
use crate::meta::Conflict;
use crate::model::Mask;

impl Reintegrate {
    /// Looks at everything a mode is about.
    pub(super) fn look(&self, mode: &Mode, mask: Mask) -> Result<Scan, Stop> {
        let scope = match mode {
            Mode::Push(_) => Scope::Touched,
            Mode::Sync | Mode::Approved | Mode::Pull => Scope::Whole,
        };
        let stands = |conflict: &Conflict, object: &Object| {
            let one = std::slice::from_ref(conflict);
            let of = (object.bid, object.ino);
            standing(one, of, object.stamp.as_ref(), object.rev, &mask).is_some()
        };
        let looked = scan(
            &self.tree,
            self.lower.as_ref(),
            &self.fetch,
            mask,
            scope,
            &stands,
        );
        looked.map_err(|error| match error {
            ScanError::Link(error) => Stop::Link(error.to_string()),
            ScanError::Tree(error) => Stop::Fatal(Failure::Tree(error)),
        })
    }
}
