//! What a person is told of a run.

use serde::{Deserialize, Serialize};

use crate::model::{ConflictKind, Problem, RelPath};

/// Something that was done to one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Beneath the root.
    pub path: RelPath,
    /// One word: `make` `move` `link` `unlink` `remove` `bytes` `attributes`.
    pub what: String,
}

/// A conflict that was stored, or is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disagreement {
    /// Beneath the root.
    pub path: RelPath,
    /// What about.
    pub kind: ConflictKind,
}

/// The outcome of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What went to the server.
    pub pushed: Vec<Line>,
    /// What came from it.
    pub pulled: Vec<Line>,
    /// What both had changed and a driver merged.
    pub merged: Vec<RelPath>,
    /// What both had changed and nobody may decide alone.
    pub conflicts: Vec<Disagreement>,
    /// What waits, and why.
    pub pending: Vec<Problem>,
    /// Remarks that block nothing.
    pub notes: Vec<Problem>,
    /// Places where a third party's version was perhaps replaced unseen; both neighbours are kept.
    pub possible_loss: Vec<Problem>,
    /// Set when the brake holds: why, and how to release it.
    pub brake: Option<String>,
    /// Set when the server stopped answering: what was tried.
    pub unreachable: Option<String>,
    /// Set by [`super::Mode::Send`] when only a whole sync can tell.
    pub more: bool,
    /// Times the server was compared.
    pub rounds: u32,
}

impl Report {
    /// True when nothing was changed on either side.
    pub fn is_quiet(&self) -> bool {
        self.pushed.is_empty() && self.pulled.is_empty() && self.merged.is_empty()
    }

    /// True when both sides are equal now, as far as this run looked.
    pub fn is_settled(&self) -> bool {
        self.conflicts.is_empty()
            && self.pending.is_empty()
            && self.brake.is_none()
            && self.unreachable.is_none()
    }

    /// What only the last look can tell is forgotten before the next one.
    pub(super) fn next_round(&mut self) {
        self.rounds += 1;
        self.conflicts.clear();
        self.pending.clear();
        self.notes.clear();
        self.brake = None;
    }
}
