//! What is asked of the tree and what it answers.

use crate::meta::{MetaError, Node};
use crate::model::{Ino, Kind, Time};

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

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct HowOpen {
    /// For writing.
    pub write: bool,
    /// For reading too, if for writing: only then a mapping can write.
    pub maps: bool,
    /// Emptied by the open.
    pub truncate: bool,
    /// The kernel may read and write the live file without asking.
    pub passthrough: bool,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

impl From<MetaError> for TreeError {
    fn from(error: MetaError) -> TreeError {
        match error {
            MetaError::Full => TreeError::NoSpace,
            other => TreeError::Meta(other),
        }
    }
}

/// Turns what the host said of a local file into our error: what a program may meet on any disk keeps its meaning.
pub(super) fn io(what: &'static str) -> impl Fn(std::io::Error) -> TreeError {
    use std::io::ErrorKind;
    move |source| match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => TreeError::NoSpace,
        ErrorKind::FileTooLarge => TreeError::TooLarge,
        ErrorKind::Unsupported => TreeError::Unsupported,
        ErrorKind::InvalidInput => TreeError::Invalid,
        _ => TreeError::Io { what, source },
    }
}
