//! Names of the whole tree, brought in the background so that they are known when the link goes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::names::For;
use super::{FetchError, Inner, names};
use crate::model::{Cookie, Ino};

/// Directories asked for at a time.
const BATCH: usize = 64;
/// The longest one listing may take before the walk leaves it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How far a walk came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Directories listed by this walk.
    pub dirs: usize,
    /// Names they brought.
    pub names: usize,
    /// Directories the server would not list.
    pub refused: usize,
    /// True when nothing is left to be listed, or the budget is used up.
    pub done: bool,
}

/// See [`super::Fetch::names_walk`].
pub(super) fn walk(inner: &Arc<Inner>, budget: usize, go_on: &dyn Fn() -> bool) -> Walked {
    let mut walked = Walked::default();
    let mut refused = HashSet::new();
    loop {
        let unlisted = inner
            .tree
            .meta()
            .read(|rows| rows.unlisted(BATCH + refused.len()));
        let unlisted: Vec<Ino> = match unlisted {
            Ok(dirs) => dirs,
            Err(error) => {
                tracing::warn!("names are not brought: {error}");
                return walked;
            }
        };
        let next: Vec<Ino> = unlisted
            .into_iter()
            .filter(|dir| !refused.contains(dir))
            .collect();
        if next.is_empty() || walked.names >= budget {
            walked.done = true;
            return walked;
        }
        for dir in next {
            if !go_on() || !one(inner, dir, &mut walked, &mut refused) {
                return walked;
            }
        }
    }
}

/// Lists one directory; false when the server is not reachable.
fn one(inner: &Arc<Inner>, dir: Ino, walked: &mut Walked, refused: &mut HashSet<Ino>) -> bool {
    match names::fetch(inner, dir, For::Later, Instant::now() + PATIENCE) {
        Ok(()) => {
            walked.dirs += 1;
            walked.names += count(inner, dir);
            true
        }
        Err(FetchError::Unreachable) => false,
        Err(error) => {
            tracing::debug!("directory {dir} is not listed: {error}");
            refused.insert(dir);
            walked.refused += 1;
            true
        }
    }
}

fn count(inner: &Inner, dir: Ino) -> usize {
    let entries = inner
        .tree
        .meta()
        .read(|rows| rows.entries(dir, Cookie(0), u32::MAX as usize));
    entries.map_or(0, |entries| entries.len())
}
