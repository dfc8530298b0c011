//! Which versions of a path disagree, and how they are named: `.drift/{server,client,base,merged,resolved}` and `user.drift.*`.
//!
//! Without a conflict `server` and `base` are the base tree (what both last agreed on; `server` is what was last seen
//! there) and `client` is the live tree. A conflict's terms override: the object shows the version its terms give, at
//! the names they give, and is absent where its side has nothing. `merged` is the live tree with the proposals of merge
//! drivers in place of files in conflict (those without a proposal are absent). `resolved` is what a resolve left.

mod names;
mod shown;
mod standing;
mod state;
mod terms;
mod version;
mod walk;

use std::sync::{Arc, Mutex};

use crate::model::{Bid, ConflictId, Ino};
use crate::tree::Tree;

pub use names::{CONFLICTS, HIDDEN, InHidden, Key, Word, in_hidden, key};
pub use shown::Disagreement;
pub use terms::{Proposal, Second, Term, Terms};
pub use version::{Version, Where};

use standing::Standing;

/// One thing as some version has it. Good as a key while the thing is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Thing {
    /// A live node.
    Node(Ino),
    /// A base object.
    Base(Bid),
    /// What the terms of a conflict say (`true`: of its second object).
    Term(ConflictId, bool),
}

/// The versions of everything.
pub struct Variants {
    tree: Arc<Tree>,
    /// The conflicts as last read, with the number that says whether they moved since.
    standing: Mutex<Option<(u64, Arc<Standing>)>>,
}

impl Variants {
    /// The versions of what a tree holds.
    pub fn new(tree: Arc<Tree>) -> Variants {
        Variants {
            tree,
            standing: Mutex::new(None),
        }
    }
}
