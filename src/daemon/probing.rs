//! Looking whether the server is there, and whether it is the right one.

use super::engine::Engine;
use super::gate::Verdict;
use crate::link::{Event, State, Why};
use crate::lower::{Lower, LowerError, Probe};
use crate::sys::DiskSpace;

/// Asks the lower once and carries the answer through the link. True: it is there, and it is ours.
pub(super) fn probe_once(engine: &Engine) -> bool {
    if engine.link.state() == State::Disconnected(Why::Forced) {
        return false;
    }
    let (event, what) = match engine.lower.probe() {
        Ok(probe) => judge(engine, &probe),
        Err(error) => failed(engine, &error),
    };
    let state = engine.step(&event, &what);
    let good = event == Event::Good;
    if good && state == State::Returning {
        // A merge that the link interrupted goes on.
        engine.bell.sync();
    }
    good
}

/// The prober's thread.
pub(super) fn run(engine: &Engine) {
    while engine.link.wait_for_probe() {
        probe_once(engine);
    }
}

fn judge(engine: &Engine, probe: &Probe) -> (Event, String) {
    match engine.gate.learn(probe) {
        Ok(Verdict::Ours(_)) => {
            engine.set_space(space(probe));
            if let Err(error) = engine.fetch.learn(probe) {
                tracing::warn!(%error, "what the server can do was not stored");
            }
            (Event::Good, String::new())
        }
        Ok(Verdict::Foreign(why)) => (Event::Hard(Why::Identity), why),
        Err(error) => (
            Event::Failed,
            format!("the state directory could not be read: {error}"),
        ),
    }
}

/// A silent server may be a hiccup; one that surely says no is not.
fn failed(engine: &Engine, error: &LowerError) -> (Event, String) {
    match error {
        LowerError::Link { .. } => match engine.gate.refused() {
            Some(why) => (Event::Hard(Why::Identity), why),
            None => (Event::Failed, error.to_string()),
        },
        LowerError::Refused { .. } => (
            Event::Hard(Why::Credentials),
            format!("{error}\n  next: renew your rights on the server, then driftfs online"),
        ),
        LowerError::NotFound(_) => (
            Event::Hard(Why::Lost),
            format!(
                "the server's directory {} is not there\n  next: mount the share again; driftfs notices by itself",
                engine.place.lower.display()
            ),
        ),
        other => (Event::Failed, other.to_string()),
    }
}

fn space(probe: &Probe) -> DiskSpace {
    let space = &probe.space;
    DiskSpace {
        bsize: space.bsize,
        blocks: space.blocks,
        bfree: space.bfree,
        bavail: space.bavail,
        files: space.files,
        ffree: space.ffree,
    }
}
