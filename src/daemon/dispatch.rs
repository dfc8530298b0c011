//! What each request of a person does.

use std::sync::Arc;

use super::engine::Engine;
use super::{approving, deciding, showing, stop, syncing};
use crate::control::{Answer, Code, Refusal, Request, Said, Settled};
use crate::link::{Event, State, Why};
use crate::lower::Lower;
use crate::reintegrate::Mode;

/// Answers one request.
pub(super) fn dispatch(engine: &Arc<Engine>, request: Request) -> Result<Answer, Refusal> {
    tracing::debug!(?request, "control");
    match request {
        Request::Status => showing::status(engine).map(Answer::Status),
        Request::Offline => offline(engine).map(Answer::Said),
        Request::Online { wait } => online(engine, wait).map(Answer::Settled),
        Request::Sync => Ok(Answer::Settled(syncing::settle(engine, &Mode::Sync))),
        Request::Approve { identity: false } => approving::brake(engine).map(Answer::Said),
        Request::Approve { identity: true } => approving::identity(engine).map(Answer::Said),
        Request::Diff { path, server } => showing::diff(engine, &path, server).map(Answer::Diff),
        Request::Plan => showing::plan(engine).map(Answer::Plan),
        Request::Log { path, limit } => showing::log(engine, path.as_ref(), limit).map(Answer::Log),
        Request::Conflicts => deciding::conflicts(engine).map(Answer::Conflicts),
        Request::Resolve { take, paths } => {
            deciding::resolve(engine, take, &paths).map(Answer::Resolved)
        }
        Request::Stop => Ok(Answer::Said(stop::stop(engine))),
    }
}

/// A refusal for something that failed on our side.
pub(super) fn failed(what: &str, why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Error, format!("{what}: {why}"))
}

fn offline(engine: &Engine) -> Result<Said, Refusal> {
    engine
        .set_forced(true)
        .map_err(|error| failed("going offline could not be stored", error))?;
    engine.step(&Event::Offline, "you went offline; driftfs online ends it");
    // A merge under way stops here; what it had begun stands in its intents.
    engine.lower.renew();
    let unsent = showing::unsent(engine);
    Ok(Said {
        said: "offline: everything kept here works and stays writable\n  next: driftfs online --wait   merges both sides".into(),
        unsent,
        ..Said::default()
    })
}

fn online(engine: &Engine, wait: bool) -> Result<Settled, Refusal> {
    engine
        .set_forced(false)
        .map_err(|error| failed("going online could not be stored", error))?;
    if wait {
        return Ok(syncing::online(engine));
    }
    engine.step(
        &Event::Online,
        "you asked to be online; the server is looked for",
    );
    engine.link.poke();
    engine.bell.sync();
    let why = match engine.link.state() {
        State::Disconnected(Why::Identity) => engine.link.told().2,
        State::Disconnected(_) => {
            "the server is looked for; when it answers, both sides are merged".into()
        }
        _ => "both sides are merged in the background".to_owned(),
    };
    Ok(Settled {
        outcome: "started".into(),
        why: format!("{why}\n  next: driftfs st"),
        conflicts: syncing::conflicts(engine),
        ..Settled::default()
    })
}
