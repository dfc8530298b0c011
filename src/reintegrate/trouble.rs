//! Why a step was not done: later, never without help, or the whole run stops.

use crate::fetch::FetchError;
use crate::lower::LowerError;
use crate::meta::MetaError;
use crate::tree::TreeError;

/// What stops a run. Everything done so far is recorded; the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The live tree or the cache disk.
    #[error(transparent)]
    Tree(TreeError),
    /// The database.
    #[error(transparent)]
    Meta(MetaError),
    /// A sealed object could not be written or read.
    #[error("a stored copy could not be used: {0}")]
    Objects(std::io::Error),
    /// A recorded intention cannot be read.
    #[error("a recorded change of the server cannot be read ({0})")]
    Intent(String),
    /// The lower could not be compared with base.
    #[error("the server's tree could not be read: {0}")]
    Scan(String),
    /// The cache disk, while talking to the lower.
    #[error("the local copy failed: {0}")]
    Local(String),
}

/// Why one step was not done.
#[derive(Debug)]
pub enum Stop {
    /// Something moved since the plan: the next round looks again.
    Later(String),
    /// It will not go without a person; the sentence says why and what next.
    Pending(String),
    /// A merge became a conflict, which is stored; what needed the merge is dropped.
    Conflict,
    /// The server does not answer: what it did last is unknown.
    Link(String),
    /// The run ends here.
    Fatal(Failure),
}

impl From<MetaError> for Stop {
    fn from(error: MetaError) -> Stop {
        Stop::Fatal(Failure::Meta(error))
    }
}

impl From<TreeError> for Stop {
    fn from(error: TreeError) -> Stop {
        match error {
            TreeError::Busy
            | TreeError::NotFound
            | TreeError::Exists
            | TreeError::NotEmpty
            | TreeError::NotDir
            | TreeError::IsDir
            | TreeError::Loop => Stop::Later(error.to_string()),
            // Its file went while it was worked on.
            TreeError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Stop::Later(error.to_string())
            }
            TreeError::NoBytes(_) => Stop::Pending(
                "its contents are not here and could not be read on the server; next: driftfs sync"
                    .into(),
            ),
            other => Stop::Fatal(Failure::Tree(other)),
        }
    }
}

impl From<LowerError> for Stop {
    fn from(error: LowerError) -> Stop {
        match error {
            LowerError::Link { .. } => Stop::Link(error.to_string()),
            LowerError::NotFound(_)
            | LowerError::Changed { .. }
            | LowerError::NotEmpty(_)
            | LowerError::Unstable(_)
            | LowerError::Outside(_) => Stop::Later(error.to_string()),
            LowerError::Refused { what, errno, why } => Stop::Pending(refusal(&what, errno, &why)),
            LowerError::Local { why, .. } => Stop::Fatal(Failure::Local(why)),
        }
    }
}

impl From<FetchError> for Stop {
    fn from(error: FetchError) -> Stop {
        match error {
            FetchError::Unreachable => Stop::Link(error.to_string()),
            FetchError::Gone => Stop::Later(error.to_string()),
            FetchError::Lower(error) => error.into(),
            FetchError::Tree(error) => error.into(),
        }
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Stop {
        Stop::Fatal(Failure::Objects(error))
    }
}

// Linux error numbers as the lower reports them.
const EPERM: i32 = 1;
const EACCES: i32 = 13;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const ENAMETOOLONG: i32 = 36;
const EDQUOT: i32 = 122;

/// The sentence for something the server refused, with the next command to type.
fn refusal(what: &str, errno: i32, why: &str) -> String {
    let next = match errno {
        ENOSPC | EDQUOT => {
            "make room on the server (replaced versions are in its .driftfs/retained), then: driftfs sync"
        }
        EACCES | EPERM => "ask the owner of the share for the right to do it, then: driftfs sync",
        EROFS => "the share is read-only; when it can be written again: driftfs sync",
        ENAMETOOLONG => "give it a shorter name, then: driftfs sync",
        _ => "when the cause is gone: driftfs sync",
    };
    format!("the server refused {what} ({why}); your version is kept here. Next: {next}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_link_is_never_taken_for_a_refusal() {
        let error = LowerError::Link {
            what: "rename".into(),
            why: "EIO".into(),
        };
        assert!(matches!(Stop::from(error), Stop::Link(_)));
    }

    #[test]
    fn a_full_server_tells_what_to_do() {
        let error = LowerError::Refused {
            what: "writing a".into(),
            errno: ENOSPC,
            why: "No space left on device".into(),
        };
        let Stop::Pending(text) = Stop::from(error) else {
            panic!("a refusal is one path's problem")
        };
        assert!(text.contains("make room") && text.contains("driftfs sync"));
    }
}
