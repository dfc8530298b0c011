//! Directories that are plain local storage: a directory of `local/` in the state directory is shown over them, so that
//! builds run at the speed of this host's disk. What is in them is this host's alone: never sent, not in snapshots.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::engine::Engine;
use crate::model::{Kind, Problem, RelPath};
use crate::sys;
use crate::tree::TreeError;

/// Where they are kept in the state directory.
const LOCAL: &str = "local";
/// How often a directory that could not be shown is tried again: the one it lies in may have come.
const AGAIN: Duration = Duration::from_secs(2);

/// The directories of a mount that are plain local storage.
#[derive(Default)]
pub(super) struct Redirects {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In the order of mounting.
    shown: Vec<(RelPath, PathBuf)>,
    problems: Vec<Problem>,
    /// The mount ends: nothing is shown any more.
    ended: bool,
}

impl Redirects {
    /// Why some are not shown.
    pub(super) fn problems(&self) -> Vec<Problem> {
        self.lock().problems.clone()
    }

    /// Takes all of them away, those inside others first. A program that works in one keeps it until it leaves.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        while let Some((_, point)) = state.shown.pop() {
            if let Err(error) = sys::unmount(&point, true) {
                tracing::warn!(%error, point = %point.display(), "local storage stays mounted");
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows what can be shown. Called once the mount answers.
pub(super) fn show(engine: &Engine) {
    let mut problems = Vec::new();
    for path in engine.tree.rules().redirected() {
        let mut state = engine.redirects.lock();
        let known = state.shown.iter().any(|(shown, _)| *shown == path);
        if known || state.ended {
            continue;
        }
        match show_one(engine, &path) {
            Ok(Some(point)) => state.shown.push((path, point)),
            Ok(None) => {}
            Err(reason) => problems.push(Problem { path, reason }),
        }
    }
    engine.redirects.lock().problems = problems;
}

/// The thread that tries again.
pub(super) fn run(engine: &Engine) {
    let wanted = engine.tree.rules().redirected().len();
    while !engine.bell.is_ended() && engine.redirects.lock().shown.len() < wanted {
        let state = engine.link.state();
        engine.link.wait_change(state, Instant::now() + AGAIN);
        show(engine);
    }
}

/// Shows one directory; `None`: the directory it lies in is not there yet.
fn show_one(engine: &Engine, path: &RelPath) -> Result<Option<PathBuf>, String> {
    let Some((above, _)) = path.split() else {
        return Err("the root of a mount cannot be redirected".into());
    };
    if !sys::is_root() {
        return Err(
            "a rule redirects it, which only root may: sudo driftfs mount …; until then it is local-only"
                .into(),
        );
    }
    if !is_dir(engine, &above).map_err(|error| failed(&error))? {
        return Ok(None);
    }
    let point = engine.place.mount.join(path.os());
    let parent = engine.place.mount.join(above.os());
    sys::make_dir_like(&point, &parent).map_err(|error| failed(&error))?;
    if !sys::is_empty_dir(&point).map_err(|error| failed(&error))? {
        return Err(format!(
            "a rule redirects it, but it is not empty, and what is in it would be hidden; \
             move that away (mv {0} {0}.old): it is redirected a moment later",
            point.display()
        ));
    }
    let storage = storage(engine, path).map_err(|error| failed(&error))?;
    sys::make_dir_like(&storage, &point).map_err(|error| failed(&error))?;
    sys::bind(&storage, &point).map_err(|error| failed(&error))?;
    tracing::info!(%path, storage = %storage.display(), "plain local storage");
    Ok(Some(point))
}

/// As the tree has it: the mount itself is only asked about what is there.
fn is_dir(engine: &Engine, path: &RelPath) -> Result<bool, TreeError> {
    let node = engine.meta().read(|rows| rows.resolve(path))?;
    Ok(node.is_some_and(|node| node.attrs.kind == Kind::Dir))
}

/// The last name for people, a hash of the path to tell equal names apart.
fn storage(engine: &Engine, path: &RelPath) -> std::io::Result<PathBuf> {
    let all = engine.place.state.join(LOCAL);
    sys::make_private_dir(&all)?;
    let name = path.split().map(|(_, name)| name.os().to_owned());
    let mut dir = name.unwrap_or_default();
    dir.push("-");
    dir.push(sys::short_hash(&path.bytes()));
    Ok(all.join(dir))
}

fn failed(error: &dyn std::fmt::Display) -> String {
    format!("a rule redirects it, and that failed: {error}; it is local-only meanwhile")
}
