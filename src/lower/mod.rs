//! What the remote says, and how long it may take.
//!
//! [`Lower`] is everything driftfs may ask of the server's directory. Three implementations share one contract suite
//! (`tests/lower_contract`): [`Posix`] (in process; what the agent runs), [`AgentClient`] (the same in another process,
//! with deadlines, killed and replaced when it hangs), and [`Fake`] (scripted faults over a `Posix`).
//!
//! Every mutation of a user-visible name has one end in an *attempt* directory `.driftfs/tx/<client>-<txn>.<n>/` with
//! the slots `new` and `old`, so that a call of a killed agent that executes late can be fenced: [`Lower::fence`] moves
//! what an attempt holds into the next one and removes the first; a late rename then finds nothing. [`Lower::set`] is
//! the exception (attributes cannot be fenced).

use std::fs::File;
use std::time::Duration;

use crate::model::{
    Attrs, Hash, Listing, Mask, Name, Observed, RelPath, Stamp, Time, TxnId, Xattrs,
};
use serde::{Deserialize, Serialize};

/// Why the lower did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum LowerError {
    /// No answer, or an error of the link (EIO, ETIMEDOUT, EHOSTDOWN, EAGAIN, ESTALE, ENET*, ECONN*): the outcome is
    /// *unknown*; a mutation may have happened or may still happen.
    #[error("the server did not answer ({what}: {why})")]
    Link {
        /// What was tried.
        what: String,
        /// Error or deadline.
        why: String,
    },
    /// It is surely not there.
    #[error("not found: {0}")]
    NotFound(RelPath),
    /// Something else is there than expected; carries what (None: nothing is there).
    #[error("changed meanwhile: {path}")]
    Changed {
        /// Where.
        path: RelPath,
        /// What is there now.
        found: Option<Box<Observed>>,
    },
    /// A directory that must be empty is not.
    #[error("directory not empty: {0}")]
    NotEmpty(RelPath),
    /// The lower said no (EACCES, EPERM, EROFS, ENOSPC, EDQUOT, ENOTSUP, ENAMETOOLONG, …). Nothing happened.
    #[error("the server refused {what}: {why}")]
    Refused {
        /// What was tried.
        what: String,
        /// The error number.
        errno: i32,
        /// Its text.
        why: String,
    },
    /// A component of the path is a symlink, or leads out of the root.
    #[error("outside of the share: {0}")]
    Outside(RelPath),
    /// The file was written while it was read, twice.
    #[error("{0} is being written on the server")]
    Unstable(RelPath),
    /// Our own copy could not be written or read (cache disk).
    #[error("the local copy failed: {why}")]
    Local {
        /// Error number.
        errno: i32,
        /// Its text.
        why: String,
    },
}

/// Result of asking the lower.
pub type Answer<T> = Result<T, LowerError>;

/// By what we know a lower again after it was away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Content of `.driftfs/id`, if there is one.
    pub id: Option<String>,
    /// File system type (`f_type` of statfs).
    pub fs_type: i64,
    /// Source of the mount (from mountinfo), if found.
    pub source: Option<String>,
    /// Inode number of the root.
    pub root_ino: u64,
}

/// Answer of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Who it is.
    pub identity: Identity,
    /// The root directory.
    pub root: Observed,
    /// True when the root has no entry besides `.driftfs`.
    pub empty: bool,
    /// Block size, blocks, free, available, files, free files, longest name (statfs).
    pub space: Space,
    /// Which stamp fields count here.
    pub mask: Mask,
}

/// What `statfs` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Fragment size in bytes.
    pub bsize: u32,
    /// Blocks of that size.
    pub blocks: u64,
    /// Free blocks.
    pub bfree: u64,
    /// Free blocks for users.
    pub bavail: u64,
    /// Inodes.
    pub files: u64,
    /// Free inodes.
    pub ffree: u64,
    /// Longest name in bytes.
    pub namelen: u32,
}

/// What a write to a name expects to find there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// This very object, unchanged.
    Is(Stamp),
    /// This very object; its bytes and attributes may have changed (moving a directory others work in).
    Object(Stamp),
}

/// One attempt to carry out a transaction on the lower; the next attempt has `n + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The transaction.
    pub txn: TxnId,
    /// Counts from 1.
    pub n: u32,
}

/// The two places in an attempt directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slot {
    /// What shall get a user-visible name.
    New,
    /// What lost its name.
    Old,
}

/// An object to be made in slot `new`. `attrs.kind` says which; bytes come separately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct New {
    /// Kind, mode, owner, rdev, mtime.
    pub attrs: Attrs,
    /// Target of a symlink.
    pub target: Option<Vec<u8>>,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

/// Changes of attributes in place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAttrs {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// mtime.
    pub mtime: Option<Time>,
    /// Extended attributes to set (`Some`) or remove (`None`).
    pub xattrs: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// What is there after a mutation, and what of the attributes the server would not take (in words).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The object now.
    pub seen: Observed,
    /// Attributes that could not be set, each in a few words.
    pub refused: Vec<String>,
    /// Set by [`Lower::publish`] when the replaced inode was perhaps not the one kept (a third party renamed in between).
    pub possible_loss: bool,
}

/// What a whole-file read brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// The file after reading (its stamp equals the one before, and has `hash`).
    pub seen: Observed,
    /// Hash of the bytes.
    pub hash: Hash,
}

/// One file of [`Lower::read_many`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// The file as it was before and after reading. Hashed only when a stamp cannot vouch for the bytes (racy).
    pub seen: Observed,
    /// Where its bytes begin in the file they were copied into; there are `seen.stamp.size` of them.
    pub at: u64,
}

/// A part of a file that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOf {
    /// The file.
    pub path: RelPath,
    /// Where the part begins.
    pub at: u64,
    /// Its length; what lies past the end of the file is not there.
    pub len: u64,
    /// Taken also when the file is written meanwhile.
    pub torn: bool,
}

/// What a part of a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The file before and after reading.
    pub seen: Observed,
    /// Bytes that were moved; those of holes are not.
    pub moved: u64,
}

/// What an attempt directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptState {
    /// True when the directory is there.
    pub exists: bool,
    /// Slot `new`.
    pub new: Option<Observed>,
    /// Slot `old`.
    pub old: Option<Observed>,
}

/// A directory to be told of, and the number it is told by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Chosen by the caller.
    pub key: u64,
    /// The directory.
    pub dir: RelPath,
}

/// What came of a wish to be told of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Watches last as long as this number stays the same: another one means that all earlier ones are gone, and that
    /// what they would have told is lost.
    pub session: u64,
    /// False: this kind of lower tells of nothing, ask no more.
    pub able: bool,
    /// The keys that are watched from now on: every change after this answer is told.
    pub placed: Vec<u64>,
}

/// What happened in watched directories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// See [`Watched::session`].
    pub session: u64,
    /// Something in these changed.
    pub changed: Vec<u64>,
    /// Those of them whose names or own attributes did.
    pub names: Vec<u64>,
    /// These have another path now, with everything in them, or none any more.
    pub moved: Vec<u64>,
    /// These are watched no more (they are among the changed or moved ones too).
    pub ended: Vec<u64>,
    /// Anything may have changed.
    pub lost: bool,
}

impl Events {
    /// True when nothing happened.
    pub fn is_quiet(&self) -> bool {
        !self.lost && self.changed.is_empty() && self.moved.is_empty() && self.ended.is_empty()
    }
}

/// The server's directory. Paths are beneath its root and are followed component by component, never through a symlink.
pub trait Lower: Send + Sync {
    /// Asks who and how it is; reads only. Opens the root anew by path, so that a share mounted again is found.
    fn probe(&self) -> Answer<Probe>;
    /// A whole directory with attributes, each file opened if needed to see fresh ones.
    fn list(&self, dir: &RelPath, xattrs: bool) -> Answer<Listing>;
    /// One object; `None`: surely absent (its directory is there and the name is not).
    fn look(&self, path: &RelPath, xattrs: bool) -> Answer<Option<Observed>>;
    /// Copies a whole file into `into` (a local file, holes kept), stamps compared before and after.
    fn read(&self, path: &RelPath, into: &File) -> Answer<Fetched>;
    /// Copies small files of one directory one behind the other into `into` (a local file), stamps compared before and
    /// after; each has an answer of its own. One larger than `most` is refused. An error of the link ends it all.
    fn read_many(
        &self,
        dir: &RelPath,
        names: &[Name],
        most: u64,
        into: &File,
    ) -> Answer<Vec<Answer<Packed>>> {
        let _ = (names, most, into);
        Err(LowerError::Refused {
            what: format!("read many files of {dir} at once"),
            errno: crate::sys::errno::EOPNOTSUPP,
            why: "not known here".into(),
        })
    }
    /// Copies a part of a file to the same place in `into`, stamps compared before and after. Holes are skipped: `into`
    /// must have nothing there.
    fn read_part(&self, part: &PartOf, into: &File) -> Answer<Part> {
        let _ = into;
        Err(LowerError::Refused {
            what: format!("read a part of {}", part.path),
            errno: crate::sys::errno::EOPNOTSUPP,
            why: "not known here".into(),
        })
    }
    /// Makes `.driftfs/`, `.driftfs/id` (once) and the attempt directory. Repeating is fine.
    fn begin(&self, attempt: Attempt) -> Answer<()>;
    /// Makes an object in slot `new`: written, fsynced, attributes set (the mtime last). An old `new` is replaced.
    fn stage(&self, attempt: Attempt, new: &New, bytes: Option<&File>) -> Answer<Done>;
    /// Gives slot `new` the name `to`, comparing right before. [`Expect::Absent`]: never replaces. [`Expect::Is`]: the
    /// replaced object is kept in slot `old`.
    fn publish(&self, attempt: Attempt, to: &RelPath, expect: &Expect) -> Answer<Done>;
    /// Moves the object at `from` into a slot after comparing, and compares again there (put back if it is not the one).
    /// A directory going to [`Slot::Old`] must be empty.
    fn take(
        &self,
        attempt: Attempt,
        from: &RelPath,
        expect: &Expect,
        slot: Slot,
    ) -> Answer<Observed>;
    /// Makes slot `new` one more name of the object at `from`.
    fn link(&self, attempt: Attempt, from: &RelPath, expect: &Expect) -> Answer<Observed>;
    /// Changes attributes in place after comparing. Not fenced.
    fn set(&self, path: &RelPath, expect: &Expect, change: &SetAttrs) -> Answer<Done>;
    /// What the attempt holds.
    fn attempt(&self, attempt: Attempt) -> Answer<AttemptState>;
    /// Moves what `from` holds into `to` (made if missing) and removes `from`; late calls of `from` then fail.
    fn fence(&self, from: Attempt, to: Attempt) -> Answer<AttemptState>;
    /// Ends an attempt: `old` goes to `.driftfs/retained/<label>` if `retain` is given (else it is removed), `new` is
    /// removed, the directory goes.
    fn end(&self, attempt: Attempt, retain: Option<&str>) -> Answer<()>;
    /// Asks to be told of changes in `dirs` by [`Lower::events`], and no more of those in `drop`. Only a lower on a disk of
    /// this host can: there every change goes through this kernel. A directory that cannot be watched is left out.
    fn watch(&self, dirs: &[Watch], drop: &[u64]) -> Answer<Watched> {
        let _ = (dirs, drop);
        Ok(Watched::default())
    }
    /// Waits until something happened in watched directories, at most `wait`, which must be shorter than deadlines are.
    fn events(&self, wait: Duration) -> Answer<Events> {
        let _ = wait;
        Ok(Events::default())
    }
    /// Drops every handle of the server (stale ones go on showing old content). Calls under way may fail as by a dead link.
    fn renew(&self) {}
}

mod agent;
mod client;
mod error;
mod fake;
mod posix;
mod process;
mod progress;
mod spawner;
mod wire;

pub use agent::agent_main;
pub use client::{Accept, AgentClient, AgentConfig};
pub use fake::{Fake, Fault, Step, When};
pub use posix::Posix;
pub use wire::Call;
