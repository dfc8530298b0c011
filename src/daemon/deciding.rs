//! Conflicts: shown, and decided by a person.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::dispatch::failed;
use super::engine::Engine;
use super::syncing;
use crate::control::{
    Code, ConflictItem, Conflicts, JsonPath, Refusal, Resolved, ResolvedItem, Take, rfc3339,
};
use crate::meta::{Conflict, MetaError};
use crate::model::{Ino, RelPath};
use crate::reintegrate;
use crate::variants::Terms;

/// `driftfs conflicts`.
pub(super) fn conflicts(engine: &Engine) -> Result<Conflicts, Refusal> {
    let all = stored(engine)?;
    Ok(Conflicts {
        conflicts: all.iter().map(|conflict| item(engine, conflict)).collect(),
    })
}

fn stored(engine: &Engine) -> Result<Vec<Conflict>, Refusal> {
    engine
        .meta()
        .read(|rows| rows.conflicts())
        .map_err(|error: MetaError| failed("the conflicts could not be read", error))
}

fn item(engine: &Engine, conflict: &Conflict) -> ConflictItem {
    ConflictItem {
        path: JsonPath::of(&conflict.path),
        kind: conflict.kind.word().into(),
        since: rfc3339(conflict.since),
        variants: variants(engine, conflict),
    }
}

/// Where each version can be read. A side that had nothing, or removed it, has none.
fn variants(engine: &Engine, conflict: &Conflict) -> BTreeMap<String, String> {
    let Ok(terms) = Terms::parse(&conflict.terms) else {
        return BTreeMap::new();
    };
    let there = [
        ("client", terms.client.is_some()),
        ("server", terms.server.is_some()),
        ("base", terms.base.is_some()),
        ("merged", terms.merged.is_some()),
    ];
    there
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(word, _)| {
            let path = hidden(engine, &conflict.path, word);
            (word.to_owned(), JsonPath::host(&path).path)
        })
        .collect()
}

/// `DIR/.drift/WORD/NAME`; from the root where the directory is gone in the live tree.
fn hidden(engine: &Engine, path: &RelPath, word: &str) -> PathBuf {
    let mount = &engine.place.mount;
    let Some((dir, name)) = path.split() else {
        return mount.join(".drift").join(word);
    };
    let lives = engine.meta().read(|rows| rows.resolve(&dir));
    if lives.is_ok_and(|node: Option<crate::meta::Node>| node.is_some()) {
        let dir = if dir.is_root() {
            mount.clone()
        } else {
            mount.join(dir.os())
        };
        dir.join(".drift").join(word).join(name.os())
    } else {
        mount.join(".drift").join(word).join(path.os())
    }
}

/// `driftfs resolve`. A directory means every conflict in it.
pub(super) fn resolve(
    engine: &Engine,
    take: Take,
    paths: &[JsonPath],
) -> Result<Resolved, Refusal> {
    let mut resolved = Vec::new();
    for path in paths {
        let rel = path
            .rel()
            .map_err(|error| Refusal::new(Code::Usage, format!("{}: {error}", path.path)))?;
        let meant: Vec<Conflict> = stored(engine)?
            .into_iter()
            .filter(|conflict| conflict.path.is_within(&rel))
            .collect();
        if meant.is_empty() {
            resolved.push(ResolvedItem {
                path: path.clone(),
                done: false,
                note: "is not in conflict; next: driftfs conflicts".into(),
            });
        }
        resolved.extend(meant.iter().map(|conflict| decide(engine, conflict, take)));
    }
    if resolved.iter().any(|item| item.done) {
        engine.bell.sync();
    }
    Ok(Resolved {
        take: take.word().into(),
        resolved,
        conflicts: syncing::conflicts(engine),
    })
}

fn decide(engine: &Engine, conflict: &Conflict, take: Take) -> ResolvedItem {
    let done = reintegrate::resolve(&engine.tree, &conflict.path, word(take));
    let (done, note) = match done {
        Ok(resolution) => {
            engine.fetch.push_stale(resolution.stale);
            (true, resolution.note)
        }
        Err(why) => (false, why.to_string()),
    };
    ResolvedItem {
        path: JsonPath::of(&conflict.path),
        done,
        note,
    }
}

fn word(take: Take) -> reintegrate::Take {
    match take {
        Take::Client => reintegrate::Take::Client,
        Take::Server => reintegrate::Take::Server,
        Take::Base => reintegrate::Take::Base,
        Take::Both => reintegrate::Take::Both,
        Take::Merged => reintegrate::Take::Merged,
    }
}

/// The extended attribute's door to the same decision.
pub(super) fn by_word(engine: &Engine, ino: Ino, word: &str) -> Result<(), String> {
    let take = match word {
        "client" | "ours" => Take::Client,
        "server" | "theirs" => Take::Server,
        "base" => Take::Base,
        "both" => Take::Both,
        "merged" => Take::Merged,
        _ => {
            return Err(format!(
                "`{word}` is none of: client server base both merged"
            ));
        }
    };
    let conflicts = engine
        .meta()
        .read(|rows| rows.conflicts_of(ino))
        .map_err(|error: MetaError| error.to_string())?;
    if conflicts.is_empty() {
        return Err("it is not in conflict".into());
    }
    for conflict in &conflicts {
        let item = decide(engine, conflict, take);
        if !item.done {
            return Err(item.note);
        }
    }
    engine.bell.sync();
    Ok(())
}
