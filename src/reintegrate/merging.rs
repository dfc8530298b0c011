//! Both sides changed the bytes: a driver merges them, or the disagreement is stored.

use super::job::Job;
use super::taking::{agree_bytes, journal};
use super::trouble::Stop;
use super::universe::Key;
use crate::fetch::Stale;
use crate::merge::{Labels, Outcome};
use crate::model::{Bid, Dirty, ObjectId, Observed, RelPath, Time};

/// Three sealed versions.
struct Versions {
    base: Option<ObjectId>,
    client: ObjectId,
    server: ObjectId,
    /// The look the server's bytes belong to.
    seen: Observed,
    /// Revision of the client's.
    rev: u64,
}
