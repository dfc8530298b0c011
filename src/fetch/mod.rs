//! How a lower file becomes local bytes, and a lower directory local names. One copy of each fetch at a time.

use std::sync::Arc;
use std::time::Instant;

use crate::link::Link;
use crate::lower::{Lower, LowerError};
use crate::model::Ino;
use crate::tree::{Tree, TreeError};

/// Why something could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// We are disconnected, or the server did not answer before the deadline.
    #[error("the server is not reachable")]
    Unreachable,
    /// The server says it is gone (the caller's view will be merged by the next sync).
    #[error("gone on the server")]
    Gone,
    /// The server said something else.
    #[error(transparent)]
    Lower(LowerError),
    /// The tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Brings names and bytes here.
pub struct Fetch {}

#[allow(unused_variables)]
impl Fetch {
    /// Joins the parts.
    pub fn new(tree: Arc<Tree>, lower: Arc<dyn Lower>, link: Arc<Link>) -> Fetch {
        todo!()
    }
    /// Makes sure that a directory is listed here.
    pub fn names(&self, dir: Ino, deadline: Instant) -> Result<(), FetchError> {
        todo!()
    }
    /// Makes sure that the bytes of a file are here.
    pub fn bytes(&self, ino: Ino, deadline: Instant) -> Result<(), FetchError> {
        todo!()
    }
    /// Looks at a directory on the server again if that was longer ago than the link's revalidation time, and takes
    /// what only the server changed. Waits at most until `deadline` (or 1 s), then memory answers. Does nothing when
    /// disconnected. Nodes whose kernel caches must go are queued for [`Fetch::take_stale`].
    pub fn refresh(&self, dir: Ino, deadline: Instant) -> Result<(), FetchError> {
        todo!()
    }
    /// What the kernel must forget since the last call; the notify thread waits here up to `wait`.
    pub fn take_stale(&self, wait: std::time::Duration) -> Vec<Stale> {
        todo!()
    }
    /// Adds to what the kernel must forget (used by reintegrate after a pull).
    pub fn push_stale(&self, stale: Vec<Stale>) {
        todo!()
    }
    /// True when a refresh met changes that need a whole sync (moves, removals, both-sided); reading resets it.
    pub fn wants_sync(&self) -> bool {
        todo!()
    }
}

/// Something whose kernel caches must go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stale {
    /// Attributes and bytes of a node.
    Node(Ino),
    /// A name whose object changed, appeared or vanished.
    Name(Ino, crate::model::Name),
}
