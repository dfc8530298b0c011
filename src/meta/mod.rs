//! What is durably in the namespace: the SQLite database `meta.db`. All SQL is in this room.
//!
//! Reading and writing are closures over one transaction. [`Meta::quick`] reads a few rows, from memory where they are
//! there; [`Meta::read`] reads one moment of the database itself. [`Meta::write`] is the only way to change a row, handed to
//! the kernel before it returns: `kill -9` loses nothing. What it changes goes into the redo journal (`redo`) and is stored
//! in SQLite some moments later (`settle`), or into SQLite at once (`write`). [`Meta::flush`] is the one place where both
//! logs are synced.

mod bases;
mod cache;
#[cfg(test)]
mod cache_test;
mod change;
mod codec;
mod comparing;
mod conflicts;
mod doctor;
mod entries;
mod first;
mod flush;
mod intents;
mod known;
mod late;
mod nodes;
mod open;
mod partial;
mod paths;
mod records;
mod redo;
mod rows;
mod schema;
mod sealed;
mod settings;
mod settle;
mod setup;
mod txn;
mod views;
mod write;

#[cfg(test)]
mod calls_test;
#[cfg(test)]
mod history_test;
#[cfg(test)]
mod redo_test;

pub use cache::Changed;
pub use open::{Meta, MetaError};
pub use partial::Partial;
pub use rows::{BaseNode, Conflict, Entry, Intent, Node, Record, Rows, Sealed, View};
pub use txn::WriteTxn;
