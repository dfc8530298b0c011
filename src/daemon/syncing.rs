//! Merging both sides: runs of `reintegrate`, and what is told of them.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::engine::{Engine, Merged, Moved};
use super::probing::probe_once;
use crate::control::{JsonPath, PathReason, Settled};
use crate::link::{Event, State};
use crate::model::Problem;
use crate::reintegrate::{Mode, Report};
use crate::sys;

/// Probes a person's `online` makes before it says that the server is not reachable.
const TRIES: usize = 3;

/// What waits for something outside (a program that has the file open, a full server) is tried again after so long.
const AGAIN: Duration = Duration::from_secs(60);

/// Pause of the background look while somebody else asks the server.
const BUSY: Duration = Duration::from_millis(20);

/// The longest the background look waits for one directory.
const PATIENCE: Duration = Duration::from_secs(10);

const EQUAL_NOW: &str = "both sides are equal now";

/// One merge, and what came of it for somebody who waited for it: all that was moved since, by merges that began by
/// themselves too.
pub(super) fn settle(engine: &Engine, mode: &Mode) -> Settled {
    let before = *engine.moved();
    since(engine, before, settle_once(engine, mode))
}

/// Counts what was moved since `before`.
fn since(engine: &Engine, before: Moved, settled: Settled) -> Settled {
    let now = *engine.moved();
    let moved = Moved {
        pushed: now.pushed - before.pushed,
        pulled: now.pulled - before.pulled,
        merged: now.merged - before.merged,
    };
    let why = match settled.outcome.as_str() {
        "clean" if moved != Moved::default() => EQUAL_NOW.into(),
        _ => settled.why,
    };
    Settled {
        pushed: moved.pushed,
        pulled: moved.pulled,
        merged: moved.merged,
        why,
        ..settled
    }
}

/// One merge, and what came of it. A second caller waits for the first, and takes the outcome of a merge of the same
/// kind that began after it asked: everything the caller knows of was seen by that one.
fn settle_once(engine: &Engine, mode: &Mode) -> Settled {
    let asked = Instant::now();
    let mut last = engine.turn();
    if !engine.link.may_ask() {
        return offline(engine);
    }
    if let Some(done) = last
        .as_ref()
        .filter(|done| done.began >= asked && done.mode == *mode)
    {
        return done.settled.clone();
    }
    let began = Instant::now();
    let settled = merge(engine, mode);
    tell_log(&settled, began.elapsed());
    if settled.outcome == "error" || !settled.pending.is_empty() {
        engine.bell.again_in(AGAIN);
    }
    // A merge that took long leaves the server at least as much time for others.
    engine
        .bell
        .pause(began.elapsed().min(Duration::from_secs(60)));
    *last = Some(Merged {
        began,
        mode: mode.clone(),
        settled: settled.clone(),
    });
    settled
}

/// Sends what was changed here by a look at the touched places alone: what it costs grows with the changes, not with the
/// tree. Gives true when that was not enough and both sides must be merged.
pub(super) fn send(engine: &Engine) -> bool {
    let _turn = engine.turn();
    if !engine.link.may_ask() {
        return false;
    }
    let began = Instant::now();
    let more = match engine.merge(&Mode::Send) {
        Ok(report) => {
            let told = told(engine, &report);
            tell_log(&told, began.elapsed());
            report.more || !report.pending.is_empty()
        }
        // A merge meets the same failure, and tells of it.
        Err(_) => true,
    };
    engine.bell.pause(began.elapsed());
    more
}

/// The server came back by itself. What was changed here is sent by a look at the places it touches, and then we are
/// connected: what that costs grows with the changes, not with the tree. Everything else is looked at when it is used, and
/// by [`verify`]. False when that was not enough: both sides must be merged first.
pub(super) fn come_back(engine: &Engine) -> bool {
    let _turn = engine.turn();
    if engine.link.state() != State::Returning {
        return false;
    }
    let began = Instant::now();
    let report = match engine.merge(&Mode::Send) {
        Ok(report) => report,
        // A merge meets the same failure, and tells of it.
        Err(_) => return false,
    };
    let told = told(engine, &report);
    tell_log(&told, began.elapsed());
    if report.more || !report.pending.is_empty() || report.unreachable.is_some() {
        return false;
    }
    engine.unverified.store(true, Ordering::SeqCst);
    engine.fetch.look_again();
    engine.step(&Event::Settled, "");
    true
}

/// Looks at every directory that is listed here once, one after the other and only while nobody else asks the server, as a
/// program's access would: a difference that is not simple asks for a merge. Ends early when a merge has compared
/// everything, or `go_on` says no.
pub(super) fn verify(engine: &Engine, go_on: &dyn Fn() -> bool) {
    let asked = || engine.unverified.load(Ordering::SeqCst);
    if !asked() {
        return;
    }
    let dirs = match engine.meta().read(|rows| rows.listed_dirs()) {
        Ok(dirs) => dirs,
        Err(error) => {
            tracing::warn!(%error, "what the server changed is seen when it is used");
            return;
        }
    };
    for dir in dirs {
        while go_on() && asked() && !engine.fetch.idle() {
            sys::sleep(BUSY);
        }
        if !go_on() || !asked() {
            return;
        }
        // A merge that is under way compares everything itself.
        let _turn = engine.turn();
        if let Err(error) = engine.fetch.refresh(dir, Instant::now() + PATIENCE) {
            tracing::debug!(%error, "a directory was not looked at");
        }
    }
    engine.unverified.store(false, Ordering::SeqCst);
}

fn merge(engine: &Engine, mode: &Mode) -> Settled {
    let report = match engine.merge(mode) {
        Ok(report) => report,
        Err(failure) => {
            tracing::error!(%failure, "merge");
            return Settled {
                outcome: "error".into(),
                why: format!(
                    "the merge stopped: {failure}\n  next: driftfs sync   goes on where it stopped"
                ),
                ..Settled::default()
            };
        }
    };
    let settled = told(engine, &report);
    // These have not compared both sides.
    if !matches!(mode, Mode::Push(_) | Mode::Send) {
        let reached = report.unreachable.is_none();
        *engine.last_report() = Some(report);
        if reached {
            engine.unverified.store(false, Ordering::SeqCst);
            engine.step(&Event::Settled, "");
            engine.fetch.look_again();
        }
    }
    settled
}

fn tell_log(settled: &Settled, took: Duration) {
    let ms = took.as_millis();
    let (pushed, pulled, outcome) = (settled.pushed, settled.pulled, &settled.outcome);
    if outcome == "clean" {
        tracing::debug!(pushed, pulled, ms, "merge");
    } else {
        tracing::info!(pushed, pulled, ms, outcome, why = settled.why, "merge");
    }
}

/// `driftfs online --wait`: looks for the server, then merges.
pub(super) fn online(engine: &Engine) -> Settled {
    let before = *engine.moved();
    engine.step(
        &Event::Online,
        "you asked to be online; the server is looked for",
    );
    for _ in 0..TRIES {
        if engine.link.may_ask() {
            break;
        }
        probe_once(engine);
    }
    since(engine, before, settle_once(engine, &Mode::Sync))
}

fn offline(engine: &Engine) -> Settled {
    let (state, _, why) = engine.link.told();
    let next = match state {
        State::Disconnected(crate::link::Why::Forced) => "\n  next: driftfs online --wait",
        _ => "",
    };
    Settled {
        outcome: "offline".into(),
        why: format!("not connected: {why}{next}"),
        conflicts: conflicts(engine),
        ..Settled::default()
    }
}

/// Conflicts that wait for a decision.
pub(super) fn conflicts(engine: &Engine) -> usize {
    let stored = engine.meta().read(|rows| rows.conflicts());
    stored.map_or(0, |all| all.len())
}

fn told(engine: &Engine, report: &Report) -> Settled {
    let conflicts = conflicts(engine);
    let (outcome, why) = outcome(report, conflicts);
    let mut moved = engine.moved();
    moved.pushed += report.pushed.len();
    moved.pulled += report.pulled.len();
    moved.merged += report.merged.len();
    drop(moved);
    Settled {
        outcome: outcome.into(),
        pushed: report.pushed.len(),
        pulled: report.pulled.len(),
        merged: report.merged.len(),
        conflicts,
        pending: reasons(&report.pending),
        notes: notes(report),
        why,
    }
}

/// The most pressing thing first.
fn outcome(report: &Report, conflicts: usize) -> (&'static str, String) {
    if let Some(why) = &report.brake {
        return (
            "brake",
            format!(
                "stopped before anything was done: {why}\n  next: driftfs plan; then, if that is right: driftfs approve"
            ),
        );
    }
    if let Some(why) = &report.unreachable {
        return ("offline", format!("the server fell silent: {why}"));
    }
    if conflicts > 0 {
        return ("conflicts", "merged, and some of it needs you".into());
    }
    if !report.pending.is_empty() {
        return ("pending", "merged, but something waits".into());
    }
    let why = if report.is_quiet() {
        "both sides were equal"
    } else {
        EQUAL_NOW
    };
    ("clean", why.into())
}

/// Remarks of a report, possible losses first.
pub(super) fn notes(report: &Report) -> Vec<PathReason> {
    let mut notes = reasons(&report.possible_loss);
    notes.extend(reasons(&report.notes));
    notes
}

/// Problems as JSON shows them.
pub(super) fn reasons(problems: &[Problem]) -> Vec<PathReason> {
    let reason = |problem: &Problem| PathReason {
        path: JsonPath::of(&problem.path),
        reason: problem.reason.clone(),
    };
    problems.iter().map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RelPath;

    #[test]
    fn the_most_pressing_outcome_is_told() {
        let mut report = Report::default();
        assert_eq!(outcome(&report, 0).0, "clean");
        report.pending.push(Problem {
            path: RelPath::root(),
            reason: "x".into(),
        });
        assert_eq!(outcome(&report, 0).0, "pending");
        assert_eq!(outcome(&report, 1).0, "conflicts");
        report.unreachable = Some("cut".into());
        assert_eq!(outcome(&report, 1).0, "offline");
        report.brake = Some("all gone".into());
        assert_eq!(outcome(&report, 1).0, "brake");
    }
}
