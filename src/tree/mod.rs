//! What is live now, and how it changes: namespace operations, bytes, sealing, snapshots. The one door for change.
//!
//! [`Tree::commit`] is one transaction: node, entry, past and base rows and the record together. Namespace operations
//! here are built on it; `fetch` and `reintegrate` use it for what comes from the server. Lock order: node locks by
//! number, then the database.

use std::sync::Arc;

use crate::meta::{BaseNode, Entry, Meta, MetaError, Node, View, WriteTxn};
use crate::model::{Bid, Cookie, Ino, Kind, Name, ObjectId, Time, Who};
use crate::objects::{Draft, Objects};

/// Why the tree did not do it. `fuse::errno` decides the number.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// No such node or name.
    #[error("not found")]
    NotFound,
    /// The name is taken.
    #[error("already exists")]
    Exists,
    /// The directory has entries.
    #[error("directory not empty")]
    NotEmpty,
    /// Not a directory.
    #[error("not a directory")]
    NotDir,
    /// A directory where none may be.
    #[error("is a directory")]
    IsDir,
    /// A directory would go into itself, or the root was named.
    #[error("would make a loop")]
    Loop,
    /// Not possible on this kind of object, or a bad value.
    #[error("invalid")]
    Invalid,
    /// Too many names.
    #[error("too many links")]
    TooManyLinks,
    /// Larger than the store can hold.
    #[error("too large")]
    TooLarge,
    /// No such extended attribute.
    #[error("no such attribute")]
    NoAttribute,
    /// The names of this directory are not all known here.
    #[error("the names in this directory are not known here")]
    NotListed(Ino),
    /// The bytes of this file are not here.
    #[error("the contents are not here")]
    NoBytes(Ino),
    /// A writer, a mapping or an open handle is in the way.
    #[error("in use")]
    Busy,
    /// The cache disk is full.
    #[error("no space left in the state directory")]
    NoSpace,
    /// Not supported by the store.
    #[error("not supported by the file system of the state directory")]
    Unsupported,
    /// The database.
    #[error(transparent)]
    Meta(MetaError),
    /// A local file.
    #[error("{what} failed: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the host said.
        source: std::io::Error,
    },
}

/// Result of a tree operation.
pub type Result<T> = std::result::Result<T, TreeError>;

/// What to create.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// Type.
    pub kind: Kind,
    /// Permission bits, umask applied already.
    pub mode: u32,
    /// Device number.
    pub rdev: u64,
    /// Target of a symlink.
    pub target: Option<Vec<u8>>,
}

/// A time to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// The present.
    Now,
    /// This one.
    To(Time),
}

/// Attributes to be set; `None` leaves one alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetAttrs {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Bytes (truncate, extend).
    pub size: Option<u64>,
    /// Last access.
    pub atime: Option<SetTime>,
    /// Last write.
    pub mtime: Option<SetTime>,
}

/// How a rename treats its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameMode {
    /// Replaces what is there.
    Replace,
    /// Fails when something is there.
    NoReplace,
    /// Exchanges both.
    Exchange,
}

/// How xattr values are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetXattr {
    /// Either.
    Any,
    /// Must be new.
    Create,
    /// Must exist.
    Replace,
}

/// What `seek` looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// Next data at or after the offset.
    Data,
    /// Next hole at or after the offset.
    Hole,
}

/// A node with attributes true at this moment (live file looked at) and its 512-byte blocks.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The node.
    pub node: Node,
    /// 512-byte blocks.
    pub blocks: u64,
}

/// An open file. Closing (dropping) the last one of a nameless node lets it be purged. Clones share the opening.
#[derive(Clone)]
pub struct Handle {}

/// The live tree.
pub struct Tree {}

#[allow(unused_variables)]
impl Tree {
    /// Opens the tree of a state directory and repairs what an unclean end left: nameless nodes purged, objects
    /// without rows swept, live files compared with their rows.
    pub fn open(meta: Arc<Meta>, objects: Arc<Objects>) -> Result<Tree> {
        todo!()
    }
    /// The database, for reading.
    pub fn meta(&self) -> &Meta {
        todo!()
    }
    /// The files.
    pub fn objects(&self) -> &Objects {
        todo!()
    }
    /// The door: one transaction. `work` may run again from the start if it must. For what no operation below covers.
    pub fn commit<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&WriteTxn<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        todo!()
    }

    // Looking.

    /// A node with attributes as of now.
    pub fn stat(&self, ino: Ino) -> Result<Seen> {
        todo!()
    }
    /// The node at a name. `NotFound`: surely none; `NotListed`: not known here.
    pub fn lookup(&self, parent: Ino, name: &Name) -> Result<Seen> {
        todo!()
    }
    /// Up to `limit` entries after a cookie, with their nodes. `NotListed` when the directory is not.
    pub fn list(&self, dir: Ino, after: Cookie, limit: usize) -> Result<Vec<(Entry, Seen)>> {
        todo!()
    }
    /// The directory a directory lies in (`..`); root for the root.
    pub fn parent(&self, dir: Ino) -> Result<Ino> {
        todo!()
    }

    // Names. Each is one transaction with its record. All check kinds, existence, emptiness and loops themselves;
    // permissions are the kernel's (default_permissions). Directories must be listed (`NotListed`).

    /// Makes a node with a name. Group and setgid follow a setgid parent directory.
    pub fn create(&self, parent: Ino, name: &Name, new: &NewNode, who: Who) -> Result<Seen> {
        todo!()
    }
    /// Gives a non-directory one more name.
    pub fn link(&self, ino: Ino, parent: Ino, name: &Name, who: Who) -> Result<Seen> {
        todo!()
    }
    /// Removes a name of a non-directory.
    pub fn unlink(&self, parent: Ino, name: &Name, who: Who) -> Result<Ino> {
        todo!()
    }
    /// Removes an empty directory.
    pub fn rmdir(&self, parent: Ino, name: &Name, who: Who) -> Result<Ino> {
        todo!()
    }
    /// Renames; gives the node that lost its name, if one.
    pub fn rename(
        &self,
        from: (Ino, &Name),
        to: (Ino, &Name),
        mode: RenameMode,
        who: Who,
    ) -> Result<Option<Ino>> {
        todo!()
    }

    // Attributes.

    /// Sets attributes; `kill_suid` clears set-id bits as a change of size by a user without privilege does.
    pub fn set_attrs(&self, ino: Ino, set: &SetAttrs, kill_suid: bool, who: Who) -> Result<Seen> {
        todo!()
    }
    /// Sets an extended attribute.
    pub fn set_xattr(
        &self,
        ino: Ino,
        name: &[u8],
        value: &[u8],
        how: SetXattr,
        who: Who,
    ) -> Result<()> {
        todo!()
    }
    /// Removes an extended attribute.
    pub fn remove_xattr(&self, ino: Ino, name: &[u8], who: Who) -> Result<()> {
        todo!()
    }

    // Bytes.

    /// Opens a file. `NoBytes` when its bytes are not here (an open that truncates to nothing needs none: pass `truncate`).
    pub fn open_file(&self, ino: Ino, write: bool, truncate: bool, who: Who) -> Result<Handle> {
        todo!()
    }
    /// Reads up to `len` bytes at `offset`; fewer at the end.
    pub fn read(&self, handle: &Handle, offset: u64, len: usize) -> Result<Vec<u8>> {
        todo!()
    }
    /// Writes at `offset`, or at the end when `append`. The first write after base or a snapshot seals first.
    pub fn write(
        &self,
        handle: &Handle,
        offset: u64,
        data: &[u8],
        append: bool,
        kill_suid: bool,
        who: Who,
    ) -> Result<usize> {
        todo!()
    }
    /// `fallocate` with its mode bits.
    pub fn allocate(
        &self,
        handle: &Handle,
        offset: u64,
        len: u64,
        mode: i32,
        who: Who,
    ) -> Result<()> {
        todo!()
    }
    /// SEEK_DATA, SEEK_HOLE. `Ok(None)`: ENXIO.
    pub fn seek(&self, handle: &Handle, offset: u64, what: Seek) -> Result<Option<u64>> {
        todo!()
    }
    /// copy_file_range between two files of the store, as a clone where possible. Gives bytes copied.
    pub fn copy(
        &self,
        from: &Handle,
        from_offset: u64,
        to: &Handle,
        to_offset: u64,
        len: u64,
        who: Who,
    ) -> Result<u64> {
        todo!()
    }
    /// At close(2) of a descriptor: brings the row up to date with the live file.
    pub fn flush(&self, handle: &Handle) -> Result<()> {
        todo!()
    }
    /// fsync: bytes, then rows, on disk.
    pub fn sync(&self, handle: &Handle) -> Result<()> {
        todo!()
    }
    /// fsyncdir: all rows on disk, after the objects they name.
    pub fn sync_names(&self) -> Result<()> {
        todo!()
    }
    /// Number of the node of a handle.
    pub fn handle_ino(&self, handle: &Handle) -> Ino {
        todo!()
    }

    // The kernel's references. A nameless node is purged when neither a handle nor a reference is left.

    /// The kernel was told of the node once more.
    pub fn remember(&self, ino: Ino) {
        todo!()
    }
    /// The kernel forgot `count` of them.
    pub fn forget(&self, ino: Ino, count: u64) {
        todo!()
    }
    /// Nodes with an open writable handle.
    pub fn written_now(&self) -> Vec<Ino> {
        todo!()
    }
    /// True when any handle of the node is open.
    pub fn is_open(&self, ino: Ino) -> bool {
        todo!()
    }

    // For fetch and reintegrate.

    /// Places fetched bytes as the live file of a node that has none, and records the object read as its base bytes
    /// (`base`: the base row with the stamp read). `Busy` if the node got bytes or was written meanwhile.
    pub fn place_bytes(&self, ino: Ino, draft: Draft, base: &BaseNode) -> Result<()> {
        todo!()
    }
    /// Puts server bytes (sealed) into a clean node, in the same live file when readers have it open; keeps what
    /// snapshots need. `Busy` when a writer is there, or when it is not clean (`rev: None`) or changed since `rev`
    /// (a merge result put into an edited file; its old bytes are kept for the last snapshot). `also` runs in the same
    /// transaction, before the node is stored, and may change its attributes, `bid` and dirty set.
    pub fn replace_bytes(
        &self,
        ino: Ino,
        object: ObjectId,
        rev: Option<u64>,
        also: &mut dyn FnMut(&WriteTxn<'_>, &mut Node) -> Result<()>,
    ) -> Result<()> {
        todo!()
    }
    /// A sealed clone of the live bytes, with the revision it has: what a push uploads.
    pub fn seal_now(&self, ino: Ino) -> Result<(ObjectId, u64)> {
        todo!()
    }
    /// True when the live bytes surely equal those of revision `rev` (no writer, stat unchanged or equal hash).
    pub fn unchanged_since(&self, ino: Ino, rev: u64) -> Result<bool> {
        todo!()
    }
    /// True when the live bytes surely equal base.
    pub fn is_clean(&self, ino: Ino) -> Result<bool> {
        todo!()
    }
    /// Drops the bytes of a clean, closed file (they can be fetched again).
    pub fn drop_bytes(&self, ino: Ino) -> Result<()> {
        todo!()
    }
    /// Removes a node that lost its last name in a commit of the caller, or leaves it to its handles.
    pub fn purge_if_unused(&self, ino: Ino) -> Result<()> {
        todo!()
    }
    /// Base bytes of a node or base object, sealed: the base object, or a fresh clone of the clean live file. `None`: not here.
    pub fn base_bytes(&self, bid: Bid) -> Result<Option<ObjectId>> {
        todo!()
    }

    // Snapshots.

    /// Freezes the live tree under a name: one instant for names, every file with a writer is sealed now.
    pub fn snapshot(&self, name: &str, reason: &str) -> Result<View> {
        todo!()
    }
    /// Removes files and rows nobody needs any more.
    pub fn sweep(&self) -> Result<usize> {
        todo!()
    }
}
