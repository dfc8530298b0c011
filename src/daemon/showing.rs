//! Answers that change nothing: status, differences, plan, journal.

use std::collections::BTreeSet;

use super::dispatch::failed;
use super::engine::Engine;
use super::image::Image;
use super::syncing::{notes, reasons};
use crate::control::{
    Cache, Changes, Code, Diff, DiffItem, JsonPath, LinkInfo, Log, LogItem, PlanClash, PlanStep,
    Planned, Refusal, Status, rfc3339,
};
use crate::link::State;
use crate::meta::Record;
use crate::model::{ConflictKind, Ino, RelPath};
use crate::reintegrate::changes::{Change, ChangeKind, changes, staying};
use crate::reintegrate::steps::{Action, Clash, Side, Step};
use crate::sys;

/// Most directories without names that are counted.
const UNLISTED: usize = 100_000;

/// `driftfs st`.
pub(super) fn status(engine: &Engine) -> Result<Status, Refusal> {
    let all = unsent_changes(engine)?;
    let (conflicts, unlisted) = engine
        .meta()
        .read(|rows| {
            Ok::<_, crate::meta::MetaError>((
                rows.conflicts()?.len(),
                rows.unlisted(UNLISTED)?.len(),
            ))
        })
        .map_err(|error| failed("the state could not be read", error))?;
    let report = engine.last_report().clone().unwrap_or_default();
    let mut notes = notes(&report);
    notes.extend(reasons(&engine.fetch.problems()));
    Ok(Status {
        mount: JsonPath::host(&engine.place.mount).path,
        lower: JsonPath::host(&engine.place.lower).path,
        state_dir: JsonPath::host(&engine.place.state).path,
        pid: std::process::id(),
        link: link(engine),
        changes: count(&all),
        bytes_waiting: all.iter().map(|change| change.bytes).sum(),
        conflicts,
        pending: reasons(&report.pending),
        notes,
        brake: report.brake,
        cache: Cache {
            bytes: sys::disk_use(&engine.objects_dir().join("live"))
                + sys::disk_use(&engine.objects_dir().join("sealed")),
            image: engine.image.as_ref().map(Image::size),
        },
        push: engine.push.word().into(),
        unlisted,
        local_only: staying(&engine.tree)
            .map_err(|error| failed("the changes could not be counted", error))?,
        watched: engine.fetch.watched(),
    })
}

/// State of the link as JSON shows it.
pub(super) fn link(engine: &Engine) -> LinkInfo {
    let (state, since, why) = engine.link.told();
    LinkInfo {
        state: state.word().into(),
        why,
        cause: match state {
            State::Disconnected(why) => Some(why.word().into()),
            _ => None,
        },
        since: rfc3339(since),
    }
}

fn unsent_changes(engine: &Engine) -> Result<Vec<Change>, Refusal> {
    changes(&engine.tree).map_err(|error| failed("the changes could not be counted", error))
}

/// Number of changes that are not on the server; 0 when that could not be told.
pub(super) fn unsent(engine: &Engine) -> usize {
    unsent_changes(engine).map_or(0, |all| all.len())
}

fn count(all: &[Change]) -> Changes {
    let mut counts = Changes::default();
    for change in all {
        match change.kind {
            ChangeKind::Created => counts.created += 1,
            ChangeKind::Stored | ChangeKind::Retyped => counts.stored += 1,
            ChangeKind::Renamed => counts.renamed += 1,
            ChangeKind::Attributes => counts.attributes += 1,
            ChangeKind::Removed => counts.removed += 1,
        }
    }
    counts
}

/// `driftfs diff`.
pub(super) fn diff(engine: &Engine, path: &JsonPath, server: bool) -> Result<Diff, Refusal> {
    let within = path
        .rel()
        .map_err(|error| Refusal::new(Code::Usage, format!("{}: {error}", path.path)))?;
    let items = if server {
        of_server(engine)?
    } else {
        let all = unsent_changes(engine)?;
        all.into_iter()
            .map(|change| (change.path, change.from, change.kind.letter()))
            .collect()
    };
    let inside = |path: &RelPath| path.is_within(&within);
    let changes = items
        .into_iter()
        .filter(|(path, from, _)| inside(path) || from.as_ref().is_some_and(inside))
        .map(|(path, from, letter)| DiffItem {
            letter,
            path: JsonPath::of(&path),
            from: from.as_ref().map(JsonPath::of),
        })
        .collect();
    Ok(Diff {
        side: if server { "server" } else { "client" }.into(),
        changes,
    })
}

type Item = (RelPath, Option<RelPath>, char);

/// The server's changes are what a sync would take from it.
fn of_server(engine: &Engine) -> Result<BTreeSet<Item>, Refusal> {
    let preview = preview(engine)?;
    let steps = preview.plan.steps.iter();
    let mut items: BTreeSet<Item> = steps
        .filter(|step| step.side == Side::Client)
        .map(|step| (step.path.clone(), None, letter(&step.action)))
        .collect();
    items.extend(preview.plan.clashes.iter().map(|clash| {
        let letter = match clash.kind {
            ConflictKind::Attribute => 'a',
            ConflictKind::Deleted => 'D',
            ConflictKind::Name | ConflictKind::DirCycle => 'R',
            ConflictKind::Created | ConflictKind::Occupied => 'A',
            ConflictKind::Content => 'M',
        };
        (clash.path.clone(), None, letter)
    }));
    Ok(items)
}

fn letter(action: &Action) -> char {
    match action {
        Action::Make(_) | Action::Link(_) => 'A',
        Action::Move { .. } => 'R',
        Action::Unlink(_) | Action::Remove(_) => 'D',
        Action::Bytes | Action::Merge => 'M',
        Action::Attrs(_) => 'a',
    }
}

fn preview(engine: &Engine) -> Result<crate::reintegrate::Preview, Refusal> {
    if !engine.link.may_ask() {
        let (_, _, why) = engine.link.told();
        return Err(Refusal::new(
            Code::Offline,
            format!(
                "the server cannot be compared while disconnected: {why}\n  next: driftfs online --wait"
            ),
        ));
    }
    engine
        .reintegrate
        .preview()
        .map_err(|error| failed("the two sides could not be compared", error))
}

/// `driftfs plan`.
pub(super) fn plan(engine: &Engine) -> Result<Planned, Refusal> {
    let preview = preview(engine)?;
    Ok(Planned {
        steps: preview.plan.steps.iter().map(step).collect(),
        conflicts: preview.plan.clashes.iter().map(clash).collect(),
        pending: reasons(&preview.plan.pending),
        notes: reasons(&preview.plan.notes),
        brake: preview.brake,
    })
}

fn step(step: &Step) -> PlanStep {
    PlanStep {
        side: match step.side {
            Side::Client => "client",
            Side::Server => "server",
            Side::Base => "base",
        }
        .into(),
        action: step.action.word().into(),
        path: JsonPath::of(&step.path),
        to: match &step.action {
            Action::Move { to, .. } => Some(JsonPath::new(to.name.bytes())),
            _ => None,
        },
        rule: step.rule.into(),
        needs: step.needs.clone(),
    }
}

fn clash(clash: &Clash) -> PlanClash {
    PlanClash {
        path: JsonPath::of(&clash.path),
        kind: clash.kind.word().into(),
        rule: clash.rule.into(),
    }
}

/// `driftfs log`.
pub(super) fn log(engine: &Engine, path: Option<&JsonPath>, limit: usize) -> Result<Log, Refusal> {
    let ino = path.map(|path| find(engine, path)).transpose()?;
    let records = engine
        .meta()
        .read(|rows| rows.records(ino, u64::MAX, limit))
        .map_err(|error: crate::meta::MetaError| failed("the journal could not be read", error))?;
    Ok(Log {
        records: records.into_iter().map(item).collect(),
    })
}

fn find(engine: &Engine, path: &JsonPath) -> Result<Ino, Refusal> {
    let rel = path
        .rel()
        .map_err(|error| Refusal::new(Code::Usage, format!("{}: {error}", path.path)))?;
    let node = engine
        .meta()
        .read(|rows| rows.resolve(&rel))
        .map_err(|error: crate::meta::MetaError| failed("the state could not be read", error))?;
    node.map(|node| node.ino).ok_or_else(|| {
        Refusal::new(
            Code::Usage,
            format!(
                "{} is not in the mount\n  next: driftfs log   shows what became of it",
                path.path
            ),
        )
    })
}

fn item(record: Record) -> LogItem {
    LogItem {
        seq: record.seq,
        time: rfc3339(record.when),
        uid: record.who.uid,
        program: record.program,
        verb: record.verb,
        path: JsonPath::of(&record.path),
        detail: record.detail,
    }
}
