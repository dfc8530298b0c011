//! Three kinds of trouble: a conflict (two honest versions), a problem (one path that would not go), an error
//! (which stops the job and lives in its room).

use serde::{Deserialize, Serialize};

use super::name::RelPath;

/// One path that would not go, and why, in a sentence with the next command to type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Beneath the root.
    pub path: RelPath,
    /// What happened, why, what next.
    pub reason: String,
}

/// What two honest changes disagree about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictKind {
    /// Both changed the bytes (or a symlink's target, or a device number).
    Content,
    /// Both created something of that name.
    Created,
    /// One removed what the other edited.
    Deleted,
    /// Both gave it different names or places.
    Name,
    /// Both put different things at one name.
    Occupied,
    /// Mode, owner, group or an extended attribute changed differently.
    Attribute,
    /// The two sides' moves put a directory into itself.
    DirCycle,
}

impl ConflictKind {
    /// The word in messages and JSON.
    pub fn word(self) -> &'static str {
        match self {
            ConflictKind::Content => "content",
            ConflictKind::Created => "created",
            ConflictKind::Deleted => "deleted",
            ConflictKind::Name => "name",
            ConflictKind::Occupied => "occupied",
            ConflictKind::Attribute => "attribute",
            ConflictKind::DirCycle => "dir-cycle",
        }
    }
}
