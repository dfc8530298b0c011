//! Opening the database, and the two kinds of transaction.

use std::path::Path;

use super::rows::{Rows, WriteTxn};

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// SQLite said no.
    #[error("the database could not {what}: {source}")]
    Sql {
        /// What was tried.
        what: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The disk is full: nothing was changed.
    #[error("no space left for the database")]
    Full,
    /// Written by a newer driftfs.
    #[error(
        "this state directory has format {found}, and this driftfs knows formats up to {known}; install a newer driftfs"
    )]
    Version {
        /// Found in the file.
        found: i64,
        /// Known here.
        known: i64,
    },
    /// A row that cannot be what we wrote.
    #[error("damaged row in {table}: {why}")]
    Damaged {
        /// Where.
        table: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// The database.
pub struct Meta {}

#[allow(unused_variables)]
impl Meta {
    /// Opens `meta.db` in `dir`, making it when there is none. The root node, root base object and epoch 1 exist afterwards.
    pub fn open(dir: &Path) -> Result<Meta, MetaError> {
        todo!()
    }

    /// Reads one moment of the database. Never waits for a writer.
    pub fn read<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&Rows<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        todo!()
    }

    /// Runs `work` in the one write transaction; an error takes all of it back.
    pub fn write<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&WriteTxn<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        todo!()
    }

    /// Syncs the log: everything committed before this call survives power loss afterwards.
    pub fn flush(&self) -> Result<(), MetaError> {
        todo!()
    }
}
