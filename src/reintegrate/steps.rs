//! What a plan consists of. Steps are in order; each needs those before it that it names.
//!
//! Every step, once done on its side, is applied to the base tree in the same way (one transaction): afterwards client,
//! server and base agree on what it did. A merge of bytes is two steps: the merged bytes become the live file while base
//! becomes the server's version (one transaction), then the live file is an ordinary one-sided change and is pushed.
//!
//! What a step does to base, exactly. `Make`: base becomes the other side's version with that one place, whatever base
//! said before. On [`Side::Base`] both made it alike, and base becomes the client's version less the xattrs the server
//! has not: what else differs then looks like the server's change, also to a run after a crash, and follows as `Attrs`. `Move`, `Link`, `Unlink`: the same change of the places.
//! `Remove`: the base object goes. `Bytes`, `Attrs`: the same values ([`Side::Base`]: those both sides have). A `Make` of
//! a directory gives its owner at least `rwx`; when its mode says less, an `Attrs` step at the end sets it, so that it
//! can be filled meanwhile. Every step leaves all three trees valid trees: no name held twice, no directory in itself.

use super::universe::{Key, Place};
use crate::lower::SetAttrs;
use crate::model::{ConflictKind, Problem, RelPath};

/// The tree a step changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The live tree (a pull).
    Client,
    /// The lower (a push).
    Server,
    /// Neither: both already agree, only base moves.
    Base,
}

/// One change of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create it at a place from the other side's version (bytes, attributes, xattrs, target and all).
    Make(Place),
    /// Give it another name instead of one it has.
    Move {
        /// Old name.
        from: Place,
        /// New name.
        to: Place,
    },
    /// Give it one more name.
    Link(Place),
    /// Take one of its names away; others stay.
    Unlink(Place),
    /// Take its last name away (directories are empty by then).
    Remove(Place),
    /// Give it the other side's bytes (or target, or device number) with their mtime.
    Bytes,
    /// Three-way merge by a driver: see the page's head. Only on the client side. When the driver says conflict, a
    /// conflict of kind `content` is stored instead and the following step of this object is dropped.
    Merge,
    /// Give it these attributes.
    Attrs(SetAttrs),
}

impl Action {
    /// The word in messages and JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Action::Make(_) => "make",
            Action::Move { .. } => "move",
            Action::Link(_) => "link",
            Action::Unlink(_) => "unlink",
            Action::Remove(_) => "remove",
            Action::Bytes => "bytes",
            Action::Merge => "merge",
            Action::Attrs(_) => "attributes",
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The object.
    pub key: Key,
    /// Where it happens.
    pub side: Side,
    /// What happens.
    pub action: Action,
    /// Its path on the side it happens, when all earlier steps are done and this one is not (`Make`, `Link`: the new
    /// path; [`Side::Base`]: the live path, or the base path where the client has none).
    pub path: RelPath,
    /// The rule that decided, by its name in docs/semantics.md.
    pub rule: &'static str,
    /// Earlier steps (by index) without which this one must not be tried.
    pub needs: Vec<usize>,
}

/// Two honest changes nobody may decide alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The object.
    pub key: Key,
    /// The second object, where two objects want one name.
    pub other: Option<Key>,
    /// What about.
    pub kind: ConflictKind,
    /// Live path (server path where the client has none).
    pub path: RelPath,
    /// The rule.
    pub rule: &'static str,
}

/// What the planner decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// Conflicts to be stored (or kept).
    pub clashes: Vec<Clash>,
    /// What waits, and why.
    pub pending: Vec<Problem>,
    /// Remarks that block nothing (attributes the server cannot keep, …).
    pub notes: Vec<Problem>,
}
