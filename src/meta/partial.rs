//! Which parts of a large file are here while the whole is not.

use rusqlite::params;

use super::codec::{Cols, blob};
use super::open::MetaError;
use super::rows::Rows;
use super::txn::WriteTxn;
use crate::model::{Ino, Stamp};

type Result<T> = std::result::Result<T, MetaError>;

/// A file of which a part is in `part/`. The node's own row says that its bytes are not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The node.
    pub ino: Ino,
    /// The server's file the parts belong to.
    pub stamp: Stamp,
    /// Ranges of bytes that are in the file and synced: sorted, apart from each other, half-open.
    pub ranges: Vec<(u64, u64)>,
}

fn word(cols: &Cols<'_>) -> Result<Partial> {
    Ok(Partial {
        ino: Ino(cols.number(0)?),
        stamp: cols.blob(1)?,
        ranges: cols.blob(2)?,
    })
}

impl Rows<'_> {
    /// The parts of a node.
    pub fn partial(&self, ino: Ino) -> Result<Option<Partial>> {
        let query = "SELECT ino, stamp, ranges FROM partial WHERE ino = ?1";
        self.one("partial", query, [ino.0 as i64], word)
    }

    /// Every node of which only parts are here.
    pub fn partials(&self) -> Result<Vec<Partial>> {
        let query = "SELECT ino, stamp, ranges FROM partial ORDER BY ino";
        self.many("partial", query, [], word)
    }
}

impl WriteTxn<'_> {
    /// Stores which parts are here. Their bytes must be on disk.
    pub fn put_partial(&self, partial: &Partial) -> Result<()> {
        let command = "INSERT OR REPLACE INTO partial(ino, stamp, ranges) VALUES(?1, ?2, ?3)";
        let with = params![
            partial.ino.0 as i64,
            blob(&partial.stamp),
            blob(&partial.ranges)
        ];
        self.run("store parts of a file", command, with).map(|_| ())
    }

    /// Forgets the parts of a node.
    pub fn drop_partial(&self, ino: Ino) -> Result<()> {
        let command = "DELETE FROM partial WHERE ino = ?1";
        self.run("forget parts of a file", command, [ino.0 as i64])
            .map(|_| ())
    }
}
