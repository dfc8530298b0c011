//! Why an operation was not done.

use crate::model::{Ino, Name, NameError};
use crate::tree::TreeError;

use super::need::Need;

/// Why an operation was not done. `fuse::errno` decides the number, in one table.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// Ask the server first ([`super::Overlay::satisfy`]), then call again.
    #[error("the server has to be asked first")]
    Wait(Need),
    /// The names in this directory are not known here and the server is out of reach.
    #[error("the names in this directory are not known here, and the server is not reachable")]
    NamesAway(Ino),
    /// The contents are not here and the server is out of reach.
    #[error("the contents are not here, and the server is not reachable")]
    BytesAway {
        /// The file.
        ino: Ino,
        /// The caller asked not to wait.
        nonblock: bool,
    },
    /// The server did not answer in time; it still counts as reachable.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The caller got a signal.
    #[error("interrupted")]
    Interrupted,
    /// The server said no.
    #[error("the server refused: {0}")]
    Refused(String),
    /// The name belongs to driftfs.
    #[error("{0} is a name of driftfs itself")]
    Reserved(Name),
    /// Versions and snapshots cannot be changed.
    #[error("this is a stored version, which cannot be changed")]
    ReadOnly,
    /// A name that cannot be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No such open file.
    #[error("not an open file")]
    BadHandle,
    /// The file is a program that runs.
    #[error("a program that runs cannot be emptied")]
    Running,
    /// Past the end.
    #[error("no data there")]
    PastEnd,
    /// Something this file system does not do.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// A setting that was refused, in a sentence.
    #[error("{0}")]
    BadValue(String),
    /// The operation panicked: what it did is unknown, as after a crash, and the same repairs hold.
    #[error("driftfs met a bug; daemon.log in the state directory has the details")]
    Bug,
    /// The tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Result of an operation.
pub type Result<T> = std::result::Result<T, OverlayError>;
