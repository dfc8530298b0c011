//! What is durably in the namespace: the SQLite database `meta.db`. All SQL is in this room.
//!
//! Reading and writing are closures over one transaction: [`Meta::read`] sees one moment of the database and never
//! waits for a writer; [`Meta::write`] is the only way to change a row, handed to the kernel before it returns
//! (WAL, `synchronous=NORMAL`): `kill -9` loses nothing. [`Meta::flush`] is the one place where the log is synced.

mod bases;
mod cache;
#[cfg(test)]
mod cache_test;
mod codec;
mod comparing;
mod conflicts;
mod doctor;
mod entries;
mod first;
mod intents;
mod known;
mod nodes;
mod open;
mod partial;
mod paths;
mod records;
mod rows;
mod schema;
mod sealed;
mod settings;
mod txn;
mod views;

#[cfg(test)]
mod calls_test;
#[cfg(test)]
mod history_test;

pub use cache::Changed;
pub use open::{Meta, MetaError};
pub use partial::Partial;
pub use rows::{BaseNode, Conflict, Entry, Intent, Node, Record, Rows, Sealed, View};
pub use txn::WriteTxn;
