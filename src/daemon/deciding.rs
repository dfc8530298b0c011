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
use crate::variants::{Term, Terms};

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
    let shown = variants(engine, conflict, &path);
    let exact = shown
        .iter()
        .filter_map(|(word, at)| Some(((*word).into(), at.path_b64.clone()?)));
    ConflictItem {
        path: JsonPath::of(&path),
        kind: conflict.kind.word().into(),
        since: rfc3339(conflict.since),
        variants: shown
            .iter()
            .map(|(word, at)| ((*word).into(), at.path.clone()))
            .collect(),
        variants_b64: exact.collect(),
    }
}

/// Where each version can be read. A side that had nothing, or removed it, has none.
fn variants(
    engine: &Engine,
    conflict: &Conflict,
    at: &RelPath,
) -> BTreeMap<&'static str, JsonPath> {
    let Ok(terms) = Terms::parse(&conflict.terms) else {
        return BTreeMap::new();
    };
    let second = terms.other.as_deref().map(|second| &second.terms);
    let side = |of: fn(&Terms) -> &Option<Term>| {
        // Where two objects are in each other's way, a side may have only the second.
        let mine = of(&terms).as_ref();
        mine.or_else(|| second.and_then(|second| of(second).as_ref()))
    };
    let mut found = BTreeMap::new();
    let mut add = |word: &'static str, path: PathBuf| {
        found.insert(word, JsonPath::host(&path));
    };
    if side(|terms| &terms.client).is_some() {
        add("client", hidden(engine, at, "client"));
    }
    if terms.merged.is_some() {
        add("merged", hidden(engine, at, "merged"));
    }
    if let Some(term) = side(|terms| &terms.server) {
        add("server", named_there(engine, term, at, "server"));
    }
    if let Some(term) = side(|terms| &terms.base) {
        add("base", named_there(engine, term, at, "base"));
    }
    found
}

/// Where a version shows its object: beside the live one, unless that version has it under another name.
fn named_there(engine: &Engine, term: &Term, at: &RelPath, word: &str) -> PathBuf {
    match term.places.first() {
        Some(place) if !term.places.contains(at) => {
            let root = engine.place.mount.join(".drift");
            root.join(word).join(place.os())
        }
        _ => hidden(engine, at, word),
    }
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

/// Where the object of a conflict is now; where it was found, when it is nowhere. What was removed here and came back has
/// another node than the one the conflict was found with, and what is above it may have been renamed since.
fn place(engine: &Engine, conflict: &Conflict) -> RelPath {
    let now = engine
        .meta()
        .read(|rows| match rows.node_in_conflict(conflict)? {
            Some(ino) => rows.path(ino),
            None => Ok(None),
        });
    let now = now.unwrap_or_else(|error: MetaError| {
        tracing::warn!(%error, conflict = conflict.id.0, "the path of a conflict");
        None
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
