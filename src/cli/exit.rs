//! The one table of exit codes, and what ends a command early.

use std::process::ExitCode;

use crate::control::{AskError, Code};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    Error = 1,
    Usage = 2,
    Conflicts = 3,
    Offline = 4,
    Partly = 5,
    NeedsApproval = 6,
    NotRunning = 7,
    WouldLose = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command ended early: what happened, why, and the next command to type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) what: String,
}

/// What a command gives back.
pub(super) type Outcome = Result<Exit, Failure>;

impl Failure {
    pub(super) fn new(exit: Exit, what: impl Into<String>) -> Failure {
        Failure {
            exit,
            what: what.into(),
        }
    }

    pub(super) fn error(what: impl Into<String>) -> Failure {
        Failure::new(Exit::Error, what)
    }

    pub(super) fn usage(what: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, what)
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Failure {
        match error {
            AskError::NotRunning | AskError::Ended => Failure::new(
                Exit::NotRunning,
                format!(
                    "{error}\n  next: driftfs mount LOWER MOUNTPOINT   continues where it stopped"
                ),
            ),
            AskError::Refused(refusal) => Failure::new(refusal.code.into(), refusal.what),
            AskError::Io(_) => Failure::error(error.to_string()),
        }
    }
}

impl From<Code> for Exit {
    fn from(code: Code) -> Exit {
        match code {
            Code::Error => Exit::Error,
            Code::Usage => Exit::Usage,
            Code::Offline => Exit::Offline,
            Code::NeedsApproval => Exit::NeedsApproval,
            Code::WouldLose => Exit::WouldLose,
        }
    }
}
