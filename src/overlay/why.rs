//! The sentences behind refusals, for `user.drift.why`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::hidden::is_shown;
use super::{Overlay, Result};
use crate::model::{Ino, RelPath};

/// How many sentences are kept.
const KEPT: usize = 1024;

/// The last refusal of each node.
#[derive(Default)]
pub(super) struct Whys {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    sentences: HashMap<Ino, String>,
    order: VecDeque<Ino>,
}

impl Whys {
    pub(super) fn put(&self, ino: Ino, sentence: String) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.sentences.insert(ino, sentence).is_none() {
            inner.order.push_back(ino);
        }
        if inner.order.len() > KEPT
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.sentences.remove(&oldest);
        }
    }

    fn get(&self, ino: Ino) -> Option<String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.sentences.get(&ino).cloned()
    }
}

impl Overlay {
    /// Keeps the sentence behind a refusal of `ino`.
    pub(super) fn say(&self, ino: Ino, sentence: impl FnOnce(&RelPath) -> String) {
        self.whys.put(ino, sentence(&self.path_of(ino)));
    }

    /// In a sentence, why the last operation on a node was refused, else why it waits for a decision, else how it stands.
    pub fn why(&self, ino: Ino) -> Result<String> {
        if let Some(sentence) = self.whys.get(ino) {
            return Ok(sentence);
        }
        if is_shown(ino) {
            return Ok(String::new());
        }
        if let Some(sentence) = self.variants.conflict_sentence(ino)? {
            return Ok(sentence);
        }
        let state = self.variants.state(ino)?;
        Ok(format!(
            "{}: {state}; nothing was refused",
            self.path_of(ino)
        ))
    }

    /// A path of a node; the root's when it has none.
    pub(super) fn path_of(&self, ino: Ino) -> RelPath {
        let path = self.tree.meta().read(|rows| rows.path(ino));
        path.ok().flatten().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_sentences_are_kept() {
        let whys = Whys::default();
        for n in 0..(KEPT as u64 + 10) {
            whys.put(Ino(n), format!("no {n}"));
        }
        assert_eq!(whys.get(Ino(0)), None);
        assert_eq!(whys.get(Ino(1030)), Some("no 1030".into()));
        whys.put(Ino(1030), "other".into());
        assert_eq!(whys.get(Ino(1030)), Some("other".into()));
        assert_eq!(whys.inner.lock().unwrap().order.len(), KEPT);
    }
}
