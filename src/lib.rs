//! driftfs: a writable-snapshot overlay for network shares.
//!
//! The rooms, lowest floor first. A room imports only rooms on lower floors
//! (`tests/layers.rs` holds the table); `docs/architecture.md` is the map with the reasons.
//!
//! | floor | rooms |
//! |---|---|
//! | 0 | [`model`]: the words everybody uses |
//! | 1 | [`sys`]: every system call; [`rules`]: what a person wants treated otherwise |
//! | 2 | [`meta`] (SQLite), [`objects`] (sealed bytes), [`lower`] (the server's directory), [`merge`] (contents) |
//! | 3 | [`link`]: can we reach the lower? |
//! | 4 | [`tree`]: the live tree and the one door for change |
//! | 5 | [`fetch`] (server to here), [`variants`] (which versions disagree) |
//! | 6 | [`overlay`] (one file operation), [`reintegrate`] (a reconnect) |
//! | 7 | [`fuse`] (the kernel's door), [`control`] (the person's door) |
//! | 8 | [`daemon`]: starts, joins and stops all of it |
//! | 9 | [`cli`]: what a person types and sees |

pub mod cli;
pub mod control;
pub mod daemon;
pub mod fetch;
pub mod fuse;
pub mod link;
pub mod lower;
pub mod merge;
pub mod meta;
pub mod model;
pub mod objects;
pub mod overlay;
pub mod reintegrate;
pub mod rules;
pub mod sys;
pub mod tree;
pub mod variants;
