//! Can we reach the lower, and what may we do now? One enum, one pure `step`, and the view everybody reads.

mod state;
mod view;

pub use state::Event;
pub use view::{Link, Timing};

/// Why we are disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// `driftfs offline`.
    Forced,
    /// The server does not answer.
    Lost,
    /// Something else is there than the share we know (empty, foreign).
    Identity,
    /// It answers, but does not let us in.
    Credentials,
}

/// The state of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything goes through.
    Connected,
    /// One failure: callers wait until their deadline.
    Suspect,
    /// Callers are answered from here at once.
    Disconnected(Why),
    /// Two good probes: changes are being merged.
    Returning,
}

impl State {
    /// The word in messages and JSON.
    pub fn word(self) -> &'static str {
        match self {
            State::Connected => "connected",
            State::Suspect => "suspect",
            State::Disconnected(_) => "disconnected",
            State::Returning => "returning",
        }
    }
}

impl Why {
    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Why::Forced => "forced",
            Why::Lost => "lost",
            Why::Identity => "identity",
            Why::Credentials => "credentials",
        }
    }
}
