//! The rows as types, and one moment of the database to read them from.

use std::cell::RefCell;

use rusqlite::{Connection, Params};
use serde::{Deserialize, Serialize};

use super::cache::{Cache, Pending};
use super::codec::{Cols, sql};
use super::late::Late;
use super::open::MetaError;
use super::write::Store;
use crate::model::{
    Attrs, Bid, Bytes, ConflictId, ConflictKind, Cookie, Dirty, Epoch, Hash, Ino, IntentId,
    LiveStat, Name, ObjectId, RelPath, Stamp, Time, Who, Xattrs,
};

/// An object of the live tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its number.
    pub ino: Ino,
    /// The base object it descends from.
    pub bid: Option<Bid>,
    /// Its attributes, true while `live_stat` holds (see [`LiveStat`]).
    pub attrs: Attrs,
    /// Names of a file, or 2 plus the subdirectories of a directory. 0: kept only for open handles.
    pub nlink: u32,
    /// Target of a symlink.
    pub target: Option<Vec<u8>>,
    /// Extended attributes.
    pub xattrs: Xattrs,
    /// Epoch of this row's last change. Set by [`WriteTxn::put_node`], which keeps the pre-image of older epochs.
    pub since: Epoch,
    /// Epoch in which the bytes of the live file were made ready for change; older snapshots have theirs in `past_bytes`.
    pub bytes_since: Epoch,
    /// Grows with every change of bytes or attributes that a push must notice.
    pub rev: u64,
    /// What may differ from base.
    pub dirty: Dirty,
    /// User of the last writer.
    pub writer: u32,
    /// See [`LiveStat`].
    pub live_stat: Option<LiveStat>,
    /// True when the live file was synced since its last change by us.
    pub durable: bool,
    /// Directories: epoch since which all names are known.
    pub listed: Option<Epoch>,
    /// Files: epoch in which the bytes were fetched (a snapshot taken before does not have them).
    pub fetched: Option<Epoch>,
    /// Files: how much is here.
    pub bytes: Bytes,
}

/// One name in a directory of the live tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The directory.
    pub parent: Ino,
    /// The name.
    pub name: Name,
    /// What it names.
    pub ino: Ino,
    /// Position in the directory; monotonic from 3, never reused.
    pub cookie: Cookie,
    /// Epoch of the last change of this row.
    pub since: Epoch,
}

/// An object of the base tree: what lower and client last agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseNode {
    /// Its number.
    pub bid: Bid,
    /// Its attributes.
    pub attrs: Attrs,
    /// Target of a symlink.
    pub target: Option<Vec<u8>>,
    /// Extended attributes; `None` while nobody asked the lower for them.
    pub xattrs: Option<Xattrs>,
    /// Fingerprint of the lower object at that moment.
    pub stamp: Stamp,
    /// The agreed bytes, sealed, once the live file has moved on. `None` with a clean live file here: that one has them.
    pub object: Option<ObjectId>,
    /// Hash of the agreed bytes, if ever computed.
    pub hash: Option<Hash>,
}

/// A sealed object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its number; its file is `sealed/xx/<id>`.
    pub id: ObjectId,
    /// Bytes.
    pub size: u64,
    /// Hash, if computed.
    pub hash: Option<Hash>,
    /// True once synced.
    pub durable: bool,
}

/// A snapshot of the live tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// It shows rows that were true in this epoch.
    pub epoch: Epoch,
    /// When it was taken.
    pub created: Time,
    /// Why (`offline`, `before-merge`, …).
    pub reason: String,
}

/// One row of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Grows by one; 0 before it is stored.
    pub seq: u64,
    /// When.
    pub when: Time,
    /// On whose behalf.
    pub who: Who,
    /// Name of the program (`comm`), or `driftfs`.
    pub program: String,
    /// The node, if one.
    pub ino: Option<Ino>,
    /// Its path at that moment.
    pub path: RelPath,
    /// One word: `create` `mkdir` `write` `rename` `link` `unlink` `rmdir` `setattr` `xattr` `pull` `push` `merge` `conflict` `resolve` `offline` `online` …
    pub verb: String,
    /// What else a person wants to know, or empty.
    pub detail: String,
}

/// One durable intention. The room that wrote it knows the body (JSON, documented in docs/formats.md).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Its number.
    pub id: IntentId,
    /// Which body.
    pub kind: String,
    /// JSON.
    pub body: String,
    /// Sealed objects that must not be swept meanwhile.
    pub objects: Vec<ObjectId>,
}

/// One stored conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Its number.
    pub id: ConflictId,
    /// What about.
    pub kind: ConflictKind,
    /// The live node, if there is one.
    pub ino: Option<Ino>,
    /// The base object, if there is one.
    pub bid: Option<Bid>,
    /// Its path when it was found (the live path where there is one).
    pub path: RelPath,
    /// When it was found.
    pub since: Time,
    /// Terms (base, client, server), JSON; reintegrate and variants know it.
    pub terms: String,
    /// Sealed objects the terms name.
    pub objects: Vec<ObjectId>,
}

/// One moment of the database, to be read.
pub struct Rows<'a> {
    pub(super) db: Db<'a>,
    /// The rows in memory, where they are of the same moment.
    pub(super) cache: Option<&'a Cache>,
    /// What the transaction these rows are of has changed.
    pub(super) pending: Option<&'a RefCell<Pending>>,
}

/// Where rows that are not in memory come from.
pub(super) enum Db<'a> {
    /// This connection.
    Is(&'a Connection),
    /// One that is taken when it is needed.
    Later(&'a Late<'a>),
    /// Whatever a write transaction has.
    Writing(&'a dyn Store),
}

impl Db<'_> {
    /// A connection that answers `query` as of this moment.
    fn get(&self, query: &str) -> Result<&Connection> {
        match self {
            Db::Is(db) => Ok(db),
            Db::Later(late) => late.get(query),
            Db::Writing(writing) => writing.reader(query),
        }
    }

    /// True when the database has all that was changed so far.
    pub(super) fn has_all(&self) -> bool {
        match self {
            Db::Is(_) => true,
            Db::Later(late) => late.has_all(),
            Db::Writing(writing) => writing.has_all(),
        }
    }
}

type Result<T> = std::result::Result<T, MetaError>;

impl Rows<'_> {
    /// Every row of a query, made into words by `word`. `table` is for messages about damaged rows.
    pub(super) fn many<T>(
        &self,
        table: &'static str,
        query: &str,
        with: impl Params,
        mut word: impl FnMut(&Cols<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let what = "read";
        let mut statement = self
            .db
            .get(query)?
            .prepare_cached(query)
            .map_err(sql(what))?;
        let mut rows = statement.query(with).map_err(sql(what))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(sql(what))? {
            found.push(word(&Cols { row, table })?);
        }
        Ok(found)
    }

    /// The first row of a query, if there is one.
    pub(super) fn one<T>(
        &self,
        table: &'static str,
        query: &str,
        with: impl Params,
        word: impl FnOnce(&Cols<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let what = "read";
        let mut statement = self
            .db
            .get(query)?
            .prepare_cached(query)
            .map_err(sql(what))?;
        let mut rows = statement.query(with).map_err(sql(what))?;
        match rows.next().map_err(sql(what))? {
            Some(row) => word(&Cols { row, table }).map(Some),
            None => Ok(None),
        }
    }
}
