//! What an object is: kind, attributes, extended attributes, and how much of it is here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Type of an object, as in `st_mode & S_IFMT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Kind {
    /// Regular file.
    File = 1,
    /// Directory.
    Dir = 2,
    /// Symbolic link.
    Symlink = 3,
    /// Named pipe.
    Fifo = 4,
    /// Unix socket.
    Socket = 5,
    /// Character device.
    Char = 6,
    /// Block device.
    Block = 7,
}

impl Kind {
    /// The kind stored as number `n` (see the enum), if it is one.
    pub fn from_number(n: u8) -> Option<Kind> {
        [
            Kind::File,
            Kind::Dir,
            Kind::Symlink,
            Kind::Fifo,
            Kind::Socket,
            Kind::Char,
            Kind::Block,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == n)
    }

    /// The word a person reads.
    pub fn word(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Dir => "directory",
            Kind::Symlink => "symlink",
            Kind::Fifo => "fifo",
            Kind::Socket => "socket",
            Kind::Char | Kind::Block => "device",
        }
    }
}

/// A point in time: seconds since 1970 (may be negative) and nanoseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Time {
    /// Seconds since 1970-01-01 UTC.
    pub sec: i64,
    /// 0 to 999,999,999.
    pub nsec: u32,
}

/// The attributes of an object, as `stat` shows them. `size` of a directory is not meaningful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attrs {
    /// Type of the object.
    pub kind: Kind,
    /// Permission bits with set-id and sticky bits (`mode & 07777`).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number as in `st_rdev`; 0 unless a device.
    pub rdev: u64,
    /// Bytes of a file or of a symlink's target.
    pub size: u64,
    /// Last change of the bytes.
    pub mtime: Time,
    /// Last change of anything.
    pub ctime: Time,
    /// Last access (set by utimensat; reading does not move it).
    pub atime: Time,
}

/// Extended attributes by full name (`user.x`, `system.posix_acl_access`).
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// The stat of a live file when its row was last true. While it is unchanged the row's attributes hold;
/// otherwise the bytes were written and size, mtime and ctime come from the live file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveStat {
    /// Bytes.
    pub size: u64,
    /// Last write.
    pub mtime: Time,
    /// Last change of the inode of the live file.
    pub ctime: Time,
}

/// How much of a regular file's bytes is in its live file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Bytes {
    /// None: only attributes are known.
    Absent = 0,
    /// All.
    Here = 1,
}

/// What of a node differs, or may differ, from its base. A set of flags; empty means clean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dirty(pub u32);

impl Dirty {
    /// Nothing.
    pub const CLEAN: Dirty = Dirty(0);
    /// The bytes (or a symlink's target) may differ.
    pub const BYTES: Dirty = Dirty(1);
    /// Mode, owner, group or mtime may differ.
    pub const ATTRS: Dirty = Dirty(2);
    /// Extended attributes may differ.
    pub const XATTRS: Dirty = Dirty(4);
    /// The node's own names may differ (created, renamed, linked, unlinked).
    pub const NAMES: Dirty = Dirty(8);
    /// Entries of this directory were added or removed.
    pub const ENTRIES: Dirty = Dirty(16);

    /// True when every flag of `other` is set.
    pub fn has(self, other: Dirty) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Dirty) -> Dirty {
        Dirty(self.0 | other.0)
    }

    /// This set less `other`.
    #[must_use]
    pub fn without(self, other: Dirty) -> Dirty {
        Dirty(self.0 & !other.0)
    }

    /// True when nothing is set.
    pub fn is_clean(self) -> bool {
        self.0 == 0
    }
}
