//! Can we reach the lower, and what may we do now? One enum, one pure `step`, and the view everybody reads.

use std::time::{Duration, Instant};

use crate::model::Time;

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

/// The link as everybody sees it.
pub struct Link {}

#[allow(unused_variables)]
impl Link {
    /// The state now.
    pub fn state(&self) -> State {
        todo!()
    }
    /// Since when, and a sentence why.
    pub fn told(&self) -> (State, Time, String) {
        todo!()
    }
    /// True when the lower may be asked on behalf of a caller (Connected, Suspect, Returning).
    pub fn may_ask(&self) -> bool {
        todo!()
    }
    /// Reports that a request to the lower failed like a dead link does; the prober is woken.
    pub fn failed(&self, what: &str) {
        todo!()
    }
    /// Waits until the state is no longer `state`, or until `deadline`. Gives the state then.
    pub fn wait_change(&self, state: State, deadline: Instant) -> State {
        todo!()
    }
    /// How long an answer about the lower counts (revalidation and kernel time-outs), 1 s by default.
    pub fn fresh_for(&self) -> Duration {
        todo!()
    }
}
