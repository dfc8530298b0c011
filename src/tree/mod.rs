//! What is live now, and how it changes: namespace operations, bytes, sealing, snapshots. The one door for change.
//!
//! [`Tree::commit`] is one transaction: node, entry, past and base rows and the record together. Namespace operations
//! here are built on it; `fetch` and `reintegrate` use it for what comes from the server.
//!
//! | question | file |
//! |---|---|
//! | names: create, link, unlink, rmdir, rename | `names.rs`, `rename.rs`, what goes with them in `nameless.rs` |
//! | which node inherits a base object after an editor's save | `inherit.rs` |
//! | attributes and extended attributes | `attrs.rs`, `xattrs.rs`, access control lists in `acl.rs` |
//! | looking: stat, lookup, list | `stat.rs` |
//! | bytes: open, read, write, truncate | `bytes.rs`, `truncate.rs`, `copy.rs` |
//! | writers nobody sees: passthrough, mappings | `silent.rs`, how their files are looked at `quiet.rs` and `watched.rs` |
//! | handles and the lock of a node | `live.rs` |
//! | what must be kept before the first write | `seal.rs` |
//! | bytes from the server | `incoming.rs`, many small files at once `placing.rs`, `replace.rs`, clean or not in `clean.rs` |
//! | snapshots | `snapshot.rs` |
//! | many nodes in one transaction | `together.rs` |
//! | order to disk, removing files, what is kept free | `barrier.rs`, `purge.rs`, `clearing.rs`, `room.rs` |
//! | after an unclean end | `start.rs` |
//!
//! **Locks, in order**: `names` (one namespace change at a time), `gate` (shared by everything that changes bytes, taken
//! alone by a snapshot), node locks by number, then the database.

mod acl;
mod attrs;
mod barrier;
mod bytes;
#[cfg(test)]
mod bytes_test;
mod clean;
mod clearing;
mod commit;
mod copy;
#[cfg(test)]
mod crash_test;
mod incoming;
mod inherit;
mod live;
mod nameless;
mod names;
#[cfg(test)]
mod names_test;
mod placing;
mod purge;
mod quiet;
mod record;
mod rename;
mod replace;
mod room;
mod ruled;
mod seal;
mod silent;
#[cfg(test)]
mod silent_test;
mod snapshot;
mod start;
mod stat;
#[cfg(test)]
mod testing;
mod together;
mod truncate;
mod types;
mod watched;
mod xattrs;

use std::sync::{Arc, Mutex};

pub use live::{Handle, InParts};
pub use placing::Small;
pub use ruled::Staying;
pub use types::{
    HowOpen, NewNode, RenameMode, Result, Seek, Seen, SetAttrs, SetTime, SetXattr, TreeError,
};

use crate::rules::Rules;
use clearing::Clearer;
use commit::Core;
use types::io;

/// The live tree.
pub struct Tree {
    /// Ended first.
    clearer: Mutex<Option<Clearer>>,
    core: Arc<Core>,
    rules: Rules,
}
