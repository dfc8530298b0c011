//! The rows as types, and what can be asked of them.

use std::ops::Deref;

use super::open::MetaError;
use crate::model::{
    Attrs, Bid, Bytes, ConflictId, ConflictKind, Cookie, Dirty, Epoch, Hash, Ino, IntentId,
    LiveStat, Name, ObjectId, RelPath, Stamp, Time, Who, Xattrs,
};

/// An object of the live tree.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub(super) db: &'a rusqlite::Connection,
}

type Result<T> = std::result::Result<T, MetaError>;

#[allow(unused_variables)]
impl Rows<'_> {
    /// The node of that number.
    pub fn node(&self, ino: Ino) -> Result<Option<Node>> {
        todo!()
    }
    /// The entry of that name.
    pub fn entry(&self, parent: Ino, name: &Name) -> Result<Option<Entry>> {
        todo!()
    }
    /// Up to `limit` entries with a cookie greater than `after`, in cookie order.
    pub fn entries(&self, parent: Ino, after: Cookie, limit: usize) -> Result<Vec<Entry>> {
        todo!()
    }
    /// True when the directory has no entry.
    pub fn is_empty(&self, parent: Ino) -> Result<bool> {
        todo!()
    }
    /// Every name of a node, oldest first.
    pub fn names(&self, ino: Ino) -> Result<Vec<(Ino, Name)>> {
        todo!()
    }
    /// A path of a node by its first names up to the root; `None` when it has none.
    pub fn path(&self, ino: Ino) -> Result<Option<RelPath>> {
        todo!()
    }
    /// The node a path leads to, following no links.
    pub fn resolve(&self, path: &RelPath) -> Result<Option<Node>> {
        todo!()
    }
    /// Live nodes descending from a base object, lowest number first.
    pub fn nodes_of(&self, bid: Bid) -> Result<Vec<Ino>> {
        todo!()
    }
    /// Every node whose dirty set is not empty.
    pub fn dirty(&self) -> Result<Vec<Node>> {
        todo!()
    }
    /// Every node without a name (`nlink` 0).
    pub fn orphans(&self) -> Result<Vec<Ino>> {
        todo!()
    }
    /// Every node. For whole-tree work (check, export, scan).
    pub fn all_nodes(&self) -> Result<Vec<Node>> {
        todo!()
    }
    /// Directories that are not listed yet, nearest to the root first, at most `limit`.
    pub fn unlisted(&self, limit: usize) -> Result<Vec<Ino>> {
        todo!()
    }
    /// The base object of that number.
    pub fn base(&self, bid: Bid) -> Result<Option<BaseNode>> {
        todo!()
    }
    /// What base has at a name.
    pub fn base_entry(&self, parent: Bid, name: &Name) -> Result<Option<Bid>> {
        todo!()
    }
    /// All names of a base directory.
    pub fn base_entries(&self, parent: Bid) -> Result<Vec<(Name, Bid)>> {
        todo!()
    }
    /// Every name of a base object.
    pub fn base_places(&self, bid: Bid) -> Result<Vec<(Bid, Name)>> {
        todo!()
    }
    /// A path of a base object by its first names up to the root.
    pub fn base_path(&self, bid: Bid) -> Result<Option<RelPath>> {
        todo!()
    }
    /// The base object a path leads to.
    pub fn base_resolve(&self, path: &RelPath) -> Result<Option<Bid>> {
        todo!()
    }
    /// Base objects whose stamp has this lower number.
    pub fn base_of_lower(&self, lower_ino: u64) -> Result<Vec<Bid>> {
        todo!()
    }
    /// The row of a sealed object.
    pub fn sealed(&self, id: ObjectId) -> Result<Option<Sealed>> {
        todo!()
    }
    /// Every sealed row.
    pub fn all_sealed(&self) -> Result<Vec<Sealed>> {
        todo!()
    }
    /// Sealed rows that nothing names (base, past bytes, intents, conflicts): may be swept.
    pub fn garbage(&self) -> Result<Vec<ObjectId>> {
        todo!()
    }
    /// The current epoch.
    pub fn epoch(&self) -> Result<Epoch> {
        todo!()
    }
    /// Snapshots, oldest first.
    pub fn views(&self) -> Result<Vec<View>> {
        todo!()
    }
    /// The node as it was in `epoch`; `None` if it did not exist then.
    pub fn node_at(&self, epoch: Epoch, ino: Ino) -> Result<Option<Node>> {
        todo!()
    }
    /// The entries of a directory as they were in `epoch`, in cookie order.
    pub fn entries_at(&self, epoch: Epoch, parent: Ino) -> Result<Vec<Entry>> {
        todo!()
    }
    /// Where the bytes of `epoch` are: a sealed object, or `None` when the live file still has them.
    pub fn bytes_at(&self, epoch: Epoch, ino: Ino) -> Result<Option<ObjectId>> {
        todo!()
    }
    /// Journal rows with `seq` below `before`, newest first, only of `ino` if given.
    pub fn records(&self, ino: Option<Ino>, before: u64, limit: usize) -> Result<Vec<Record>> {
        todo!()
    }
    /// Open intents, oldest first.
    pub fn intents(&self) -> Result<Vec<Intent>> {
        todo!()
    }
    /// Open conflicts, oldest first.
    pub fn conflicts(&self) -> Result<Vec<Conflict>> {
        todo!()
    }
    /// Conflicts of one node.
    pub fn conflicts_of(&self, ino: Ino) -> Result<Vec<Conflict>> {
        todo!()
    }
    /// A setting by key (identity, mask, link switch, …).
    pub fn setting(&self, key: &str) -> Result<Option<String>> {
        todo!()
    }
}

/// The one write transaction.
pub struct WriteTxn<'a> {
    pub(super) rows: Rows<'a>,
}

impl<'a> Deref for WriteTxn<'a> {
    type Target = Rows<'a>;
    fn deref(&self) -> &Rows<'a> {
        &self.rows
    }
}

#[allow(unused_variables)]
impl WriteTxn<'_> {
    /// A number for a new node: `wanted` (the lower's) if `2 <= wanted < 2^52` and it was never given before, else one of ours.
    pub fn new_ino(&self, wanted: Option<u64>) -> Result<Ino> {
        todo!()
    }
    /// A number for a new base object.
    pub fn new_bid(&self) -> Result<Bid> {
        todo!()
    }
    /// Stores a node. If a snapshot may still show the old row (`since` before the current epoch), that one is kept in
    /// `past_node` first. `since` is set by this call; `bytes_since` is the caller's.
    pub fn put_node(&self, node: &Node) -> Result<()> {
        todo!()
    }
    /// Removes a node row (its pre-image is kept for snapshots that show it).
    pub fn drop_node(&self, ino: Ino) -> Result<()> {
        todo!()
    }
    /// Adds an entry, or points an existing one elsewhere (which gives it a new cookie); keeps the pre-image.
    pub fn put_entry(&self, parent: Ino, name: &Name, ino: Ino) -> Result<Cookie> {
        todo!()
    }
    /// Removes an entry; keeps the pre-image.
    pub fn drop_entry(&self, parent: Ino, name: &Name) -> Result<()> {
        todo!()
    }
    /// Says that in every epoch before the current one from which no bytes of `ino` are kept yet, its bytes are `object`.
    pub fn put_past_bytes(&self, ino: Ino, from: Epoch, object: ObjectId) -> Result<()> {
        todo!()
    }
    /// Stores a base object.
    pub fn put_base(&self, base: &BaseNode) -> Result<()> {
        todo!()
    }
    /// Removes a base object with every name of it. Nodes that descended from it lose their `bid`.
    pub fn drop_base(&self, bid: Bid) -> Result<()> {
        todo!()
    }
    /// Adds or replaces a name in the base tree.
    pub fn put_base_entry(&self, parent: Bid, name: &Name, bid: Bid) -> Result<()> {
        todo!()
    }
    /// Removes a name from the base tree.
    pub fn drop_base_entry(&self, parent: Bid, name: &Name) -> Result<()> {
        todo!()
    }
    /// Adds a sealed row. Its file must be in place before the transaction ends.
    pub fn put_sealed(&self, sealed: &Sealed) -> Result<()> {
        todo!()
    }
    /// A number for a new sealed object.
    pub fn new_object(&self) -> Result<ObjectId> {
        todo!()
    }
    /// Forgets sealed rows (their files may go afterwards).
    pub fn drop_sealed(&self, ids: &[ObjectId]) -> Result<()> {
        todo!()
    }
    /// Marks sealed objects as synced.
    pub fn set_durable(&self, ids: &[ObjectId]) -> Result<()> {
        todo!()
    }
    /// Freezes the current epoch under a name and begins the next.
    pub fn put_view(&self, name: &str, reason: &str, when: Time) -> Result<View> {
        todo!()
    }
    /// Appends a journal row; `seq` is given here.
    pub fn record(&self, record: &Record) -> Result<()> {
        todo!()
    }
    /// Adds an intent.
    pub fn add_intent(&self, kind: &str, body: &str, objects: &[ObjectId]) -> Result<IntentId> {
        todo!()
    }
    /// Changes an intent's body and objects.
    pub fn set_intent(&self, id: IntentId, body: &str, objects: &[ObjectId]) -> Result<()> {
        todo!()
    }
    /// Ends an intent.
    pub fn drop_intent(&self, id: IntentId) -> Result<()> {
        todo!()
    }
    /// Adds a conflict (its `id` is ignored) and gives its number.
    pub fn add_conflict(&self, conflict: &Conflict) -> Result<ConflictId> {
        todo!()
    }
    /// Replaces a conflict's row.
    pub fn set_conflict(&self, conflict: &Conflict) -> Result<()> {
        todo!()
    }
    /// Ends a conflict.
    pub fn drop_conflict(&self, id: ConflictId) -> Result<()> {
        todo!()
    }
    /// Stores a setting; `None` removes it.
    pub fn set_setting(&self, key: &str, value: Option<&str>) -> Result<()> {
        todo!()
    }
    /// A number for a transaction on the lower, unique for this client for ever.
    pub fn new_txn(&self) -> Result<crate::model::TxnId> {
        todo!()
    }
}
