//! Conflicts: shown, and decided by a person.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::dispatch::failed;
use super::engine::Engine;
use super::pushing;
use super::syncing;
use crate::control::{
    Code, ConflictItem, Conflicts, JsonPath, Refusal, Resolved, ResolvedItem, rfc3339,
};
use crate::meta::{Conflict, MetaError};
use crate::model::Take;
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
    let path = place(engine, conflict);
    ConflictItem {
        path: JsonPath::of(&path),
        kind: conflict.kind.word().into(),
        since: rfc3339(conflict.since),
        variants: variants(engine, conflict, &path),
    }
}

/// Where each version can be read. A side that had nothing, or removed it, has none.
fn variants(engine: &Engine, conflict: &Conflict, at: &RelPath) -> BTreeMap<String, String> {
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
            let path = hidden(engine, at, word);
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
        let mut meant: Vec<RelPath> = stored(engine)?
            .iter()
            .map(|conflict| place(engine, conflict))
            .filter(|at| at.is_within(&rel))
            .collect();
        meant.sort();
        meant.dedup();
        if meant.is_empty() {
            resolved.push(ResolvedItem {
                path: path.clone(),
                done: false,
                note: "is not in conflict; next: driftfs conflicts".into(),
            });
        }
        resolved.extend(meant.iter().map(|at| decide(engine, at, take)));
    }
    Ok(Resolved {
        take: take.word().into(),
        resolved,
        conflicts: syncing::conflicts(engine),
    })
}

/// Where the object of a conflict is now; where it was found, when it is nowhere.
fn place(engine: &Engine, conflict: &Conflict) -> RelPath {
    let now = conflict.ino.and_then(|ino| {
        let path = engine.meta().read(|rows| rows.path(ino));
        path.unwrap_or_else(|error: MetaError| {
            tracing::warn!(%error, %ino, "the path of a conflict");
            None
        })
    });
    now.unwrap_or_else(|| conflict.path.clone())
}

fn decide(engine: &Engine, path: &RelPath, take: Take) -> ResolvedItem {
    let done = reintegrate::resolve::resolve(&engine.tree, path, take);
    let (done, note) = match done {
        Ok(resolved) => {
            engine.fetch.push_stale(resolved.stale);
            if resolved.sync {
                pushing::changed(engine);
            }
            (true, resolved.note)
        }
        Err(why) => (false, why.to_string()),
    };
    ResolvedItem {
        path: JsonPath::of(path),
        done,
        note,
    }
}

/// The extended attribute's door to the same decision.
pub(super) fn by_word(engine: &Engine, ino: Ino, word: &str) -> Result<(), String> {
    let take = Take::parse(word)
        .ok_or_else(|| format!("`{word}` is none of: client server base both merged"))?;
    let path = engine
        .meta()
        .read(|rows| rows.path(ino))
        .map_err(|error: MetaError| error.to_string())?;
    let item = decide(engine, &path.ok_or("it has no name")?, take);
    if item.done { Ok(()) } else { Err(item.note) }
}
