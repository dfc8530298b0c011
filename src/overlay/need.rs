//! What an operation has to get from the server, and the waiting for it.

use std::time::{Duration, Instant};

use super::{Call, Overlay, OverlayError, Result};
use crate::fetch::FetchError;
use crate::link::State;
use crate::lower::LowerError;
use crate::model::{Ino, RelPath};
use crate::sys::errno;
use crate::tree::TreeError;

/// What an operation has to get from the server first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A look at a directory whose last one is too long ago. Without an answer memory counts.
    Look(Ino),
    /// The names in a directory.
    Names(Ino),
    /// The contents of a file.
    Bytes(Ino),
    /// Enough of the contents to open a file.
    Begin(Ino),
    /// A part of the contents of an open file: where it begins, and its length.
    Piece(Ino, u64, u64),
    /// What was written to a file must reach the server before close(2) returns.
    Push(Ino),
}

/// Longest wait for news of what memory can answer.
const LOOK_LIMIT: Duration = Duration::from_secs(1);
/// Longest wait for names that are not here: nothing but the server can answer, and a directory of a hundred thousand, or a
/// busy machine, takes its time. A server that is silent ends it sooner, with its own deadline.
const NAMES_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for the contents of a small file; larger ones get [`BYTES_PER_SECOND`] on top.
const BYTES_LIMIT: Duration = Duration::from_secs(10);
/// The slowest transfer that is waited for.
const BYTES_PER_SECOND: u64 = 1 << 20;
/// Longest time close(2) takes with `--push close`.
const PUSH_LIMIT: Duration = Duration::from_secs(30);

impl Overlay {
    /// How long a caller is kept waiting for `need`.
    pub fn patience(&self, need: Need) -> Duration {
        match need {
            Need::Look(_) => LOOK_LIMIT,
            Need::Names(_) => NAMES_LIMIT,
            Need::Push(_) => PUSH_LIMIT,
            Need::Begin(_) => BYTES_LIMIT,
            Need::Piece(_, _, len) => BYTES_LIMIT + Duration::from_secs(len / BYTES_PER_SECOND),
            Need::Bytes(ino) => {
                let size = self.tree.stat(ino).map_or(0, |seen| seen.node.attrs.size);
                BYTES_LIMIT + Duration::from_secs(size / BYTES_PER_SECOND)
            }
        }
    }

    /// Gets `need` from the server, at most until `deadline`. Called where waiting is allowed.
    pub fn satisfy(&self, need: Need, call: &mut Call, deadline: Instant) -> Result<()> {
        match need {
            Need::Look(dir) => {
                call.looked = true;
                // Whatever the look brought, memory answers now: an unreachable server is no error here.
                if let Err(error) = self.fetch.refresh(dir, deadline) {
                    tracing::debug!(%dir, %error, "looking at the server failed");
                }
                self.fresh.mark(dir);
                Ok(())
            }
            Need::Names(dir) => self
                .fetch
                .names(dir, deadline)
                .map_err(|error| self.not_had(error, need, call)),
            Need::Bytes(ino) => self
                .fetch
                .bytes(ino, deadline)
                .map_err(|error| self.not_had(error, need, call)),
            Need::Begin(ino) => self
                .fetch
                .begin(ino, deadline)
                .map_err(|error| self.not_had(error, need, call)),
            Need::Piece(ino, at, len) => self
                .fetch
                .piece(ino, (at, len), deadline)
                .map_err(|error| self.not_had(error, need, call)),
            Need::Push(ino) => {
                call.pushed = true;
                self.hooks.wait_pushed(ino, deadline);
                Ok(())
            }
        }
    }

    /// Runs an operation to its end, waiting for the server where it must. For callers that have a thread to spare.
    pub fn patiently<T>(&self, call: Call, op: impl Fn(&Overlay, &Call) -> Result<T>) -> Result<T> {
        let mut call = call;
        let (began, mut patience) = (Instant::now(), Duration::ZERO);
        loop {
            let need = match op(self, &call) {
                Err(OverlayError::Wait(need)) => need,
                done => return done,
            };
            patience = patience.max(self.patience(need));
            let deadline = began + patience;
            if Instant::now() >= deadline {
                call = given_up(call);
                continue;
            }
            self.satisfy(need, &mut call, deadline)?;
        }
    }

    /// Asks for a look at `dir` when the last one is too long ago and the server may be asked.
    pub(super) fn look_first(&self, call: &Call, dir: Ino) -> Result<()> {
        let fresh =
            call.looked || !self.link.may_ask() || self.fresh.is_fresh(dir, self.fresh_for(dir));
        if fresh {
            Ok(())
        } else {
            Err(OverlayError::Wait(Need::Look(dir)))
        }
    }

    /// Turns what the tree misses into a need, or into the final answer when nothing can be waited for.
    pub(super) fn missing(&self, call: &Call, error: TreeError) -> OverlayError {
        let need = match error {
            TreeError::NotListed(dir) => Need::Names(dir),
            TreeError::NoBytes(ino) => Need::Bytes(ino),
            other => return OverlayError::Tree(other),
        };
        let patient = !call.nonblock || self.link.state() == State::Connected;
        if self.link.may_ask() && patient && !call.gave_up {
            return OverlayError::Wait(need);
        }
        if call.gave_up && self.link.may_ask() {
            return OverlayError::TimedOut;
        }
        self.away(need, call)
    }

    /// The answer when `need` is out of reach.
    fn away(&self, need: Need, call: &Call) -> OverlayError {
        match need {
            Need::Bytes(ino) | Need::Begin(ino) | Need::Piece(ino, _, _) => {
                self.say(ino, |path| bytes_sentence(path));
                OverlayError::BytesAway {
                    ino,
                    nonblock: call.nonblock,
                }
            }
            Need::Look(dir) | Need::Names(dir) | Need::Push(dir) => {
                self.say(dir, |path| names_sentence(path));
                OverlayError::NamesAway(dir)
            }
        }
    }

    /// The answer when asking for `need` failed.
    fn not_had(&self, error: FetchError, need: Need, call: &Call) -> OverlayError {
        match error {
            // Gone on the server is no ENOENT here: programs would create the file anew over one that is still merged.
            FetchError::Unreachable | FetchError::Gone => self.away(need, call),
            FetchError::Lower(error) => {
                let said = error.to_string();
                let ino = need.ino();
                self.say(ino, |path| {
                    format!(
                        "{path}: {said}. Look at the server's side, then try again; `driftfs st` shows the link."
                    )
                });
                match error {
                    LowerError::Refused { errno, .. } if errno == errno::EFBIG => {
                        OverlayError::Tree(TreeError::TooLarge)
                    }
                    _ => OverlayError::Refused(said),
                }
            }
            FetchError::Tree(error @ (TreeError::NotListed(_) | TreeError::NoBytes(_))) => {
                tracing::debug!(%error, "not had after asking");
                self.away(need, call)
            }
            FetchError::Tree(error @ TreeError::NoSpace) => {
                self.say(need.ino(), |path| {
                    format!(
                        "{path}: {error}. Make room there, then try again; `driftfs st` names it."
                    )
                });
                OverlayError::Tree(error)
            }
            FetchError::Tree(error) => OverlayError::Tree(error),
        }
    }
}

impl Need {
    /// The node it is about.
    pub fn ino(self) -> Ino {
        match self {
            Need::Look(ino)
            | Need::Names(ino)
            | Need::Bytes(ino)
            | Need::Begin(ino)
            | Need::Piece(ino, _, _)
            | Need::Push(ino) => ino,
        }
    }
}

/// The same call, answered from here whatever is missing.
pub fn given_up(call: Call) -> Call {
    Call {
        looked: true,
        pushed: true,
        gave_up: true,
        ..call
    }
}

fn bytes_sentence(path: &RelPath) -> String {
    format!(
        "{path}: the contents are not here (only the name and attributes are), and the server is not reachable. \
         Type `driftfs st` to see the link and `driftfs online --wait` to reconnect; then open the file again."
    )
}

fn names_sentence(path: &RelPath) -> String {
    format!(
        "{path}: the names in this directory were never read, and the server is not reachable. \
         Type `driftfs st` to see the link and `driftfs online --wait` to reconnect; then list the directory again."
    )
}
