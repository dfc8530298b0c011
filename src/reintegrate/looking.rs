//! The look a round begins with, and when a stored conflict is still the same one.

use super::run::{Mode, Reintegrate};
use super::scan::{Scan, ScanError, Scope, scan};
use super::trouble::{Failure, Stop};
use super::universe::{Object, Server};
use crate::meta::Conflict;
use crate::model::{Mask, Sameness};
use crate::variants::Terms;

impl Reintegrate {
    /// Looks at everything a mode is about.
    pub(super) fn look(&self, mode: &Mode, mask: Mask) -> Result<Scan, Stop> {
        let scope = match mode {
            Mode::Push(_) => Scope::Touched,
            Mode::Sync | Mode::Approved | Mode::Pull => Scope::Whole,
        };
        let standing = |conflict: &Conflict, object: &Object| stands(conflict, object, &mask);
        let looked = scan(
            &self.tree,
            self.lower.as_ref(),
            &self.fetch,
            mask,
            scope,
            &standing,
        );
        looked.map_err(|error| match error {
            ScanError::Link(error) => Stop::Link(error.to_string()),
            ScanError::Tree(error) => Stop::Fatal(Failure::Tree(error)),
        })
    }
}

/// True when neither side changed since the conflict was stored.
fn stands(conflict: &Conflict, object: &Object, mask: &Mask) -> bool {
    let Ok(terms) = Terms::parse(&conflict.terms) else {
        return false;
    };
    let client = match (&terms.client, &object.client) {
        (Some(_), Some(_)) => terms.rev == object.rev,
        (None, None) => true,
        _ => false,
    };
    let stored = terms.server.as_ref().and_then(|term| term.stamp);
    let server = match (stored, object.stamp, &object.server) {
        (Some(then), Some(now), Server::Present(_)) => {
            let seen = then.compare(&now, mask);
            matches!(seen, Sameness::Same | Sameness::Unverified)
        }
        (None, _, Server::Absent) => true,
        _ => false,
    };
    client && server
}
