//! The command's end.

use std::io::{self, BufReader};
use std::path::Path;

use super::answers::Answer;
use super::codec::{ANSWER_MAX, receive, send};
use super::proto::{Asked, Body, Refusal, Request, Told, VERSION};
use crate::sys;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there.
    #[error("no driftfs daemon is running for this state directory")]
    NotRunning,
    /// The daemon ended before it answered.
    #[error("the daemon ended before it answered")]
    Ended,
    /// The daemon said no.
    #[error(transparent)]
    Refused(Refusal),
    /// The socket.
    #[error("the daemon could not be asked: {0}")]
    Io(io::Error),
}

/// Asks the daemon of a state directory one thing and waits for the answer, as long as it takes.
pub fn ask(state_dir: &Path, request: Request) -> Result<Answer, AskError> {
    let mut stream = sys::connect_control(state_dir).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NotRunning,
        _ => AskError::Io(error),
    })?;
    let asked = Asked {
        v: VERSION,
        request,
    };
    send(&mut stream, &asked).map_err(AskError::Io)?;
    let told = receive::<Told>(&mut BufReader::new(stream), ANSWER_MAX);
    match told {
        Ok(Some(told)) => match told.body {
            Body::Answer(answer) => Ok(*answer),
            Body::Refused(refusal) => Err(AskError::Refused(refusal)),
        },
        Ok(None) => Err(AskError::Ended),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(AskError::Ended),
        Err(error) => Err(AskError::Io(error)),
    }
}
