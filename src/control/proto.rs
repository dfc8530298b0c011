//! The requests and refusals of the protocol, version 1.

use crate::model::Take;
use serde::{Deserialize, Serialize};

use super::answers::Answer;
use super::path::JsonPath;

/// Version of the protocol; a daemon and a command of different versions refuse each other with a sentence.
pub const VERSION: u32 = 1;

/// What a person asks of a daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How is it?
    Status,
    /// Disconnect by hand.
    Offline,
    /// Connect again and merge; `wait`: answer when settled.
    Online {
        /// Answer only when everything is merged, or surely is not.
        wait: bool,
    },
    /// Go on where the brake holds, or accept another identity.
    Approve {
        /// Accept the share that is there now as ours.
        identity: bool,
    },
    /// Push and pull now; answers when done.
    Sync,
    /// What differs: base against live, or base against the server (`server`).
    Diff {
        /// Only this path and what is beneath it.
        path: JsonPath,
        /// The server's changes instead of ours.
        server: bool,
    },
    /// What a sync would do.
    Plan,
    /// The journal, newest first.
    Log {
        /// Only this object.
        path: Option<JsonPath>,
        /// At most so many.
        limit: usize,
    },
    /// Conflicts.
    Conflicts,
    /// Decide conflicts.
    Resolve {
        /// Which version.
        take: Take,
        /// Which paths (a directory means every conflict in it).
        paths: Vec<JsonPath>,
    },
    /// Unmount and end.
    Stop,
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}")]
pub struct Refusal {
    /// Class.
    pub code: Code,
    /// What happened, why, and the next command to type.
    pub what: String,
}

impl Refusal {
    /// A refusal of a class with its sentence.
    pub fn new(code: Code, what: impl Into<String>) -> Refusal {
        Refusal {
            code,
            what: what.into(),
        }
    }
}

/// Class of a refusal; each has an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// It failed.
    Error,
    /// The request makes no sense.
    Usage,
    /// Not while disconnected.
    Offline,
    /// A person has to approve first.
    NeedsApproval,
    /// It would lose data.
    WouldLose,
}

/// One line of a client.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) v: u32,
    pub(super) request: Request,
}

/// One line of the daemon.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) v: u32,
    #[serde(flatten)]
    pub(super) body: Body,
}

/// What a line of the daemon says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body {
    /// Done.
    Answer(Box<Answer>),
    /// Not done.
    Refused(Refusal),
}
