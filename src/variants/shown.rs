//! The list of conflicts as people and programs see it.

use super::standing::Standing;
use super::terms::{Term, Terms};
use super::{HIDDEN, Variants, Word};
use crate::meta::{Conflict, Rows};
use crate::model::{ConflictId, ConflictKind, Ino, Name, RelPath, Time};
use crate::tree::Result;

/// One open conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Its number.
    pub id: ConflictId,
    /// Where the object is now (where it was when the conflict was found, if it is nowhere).
    pub path: RelPath,
    /// The live node, if there is one.
    pub ino: Option<Ino>,
    /// What about.
    pub kind: ConflictKind,
    /// When it was found.
    pub since: Time,
    /// The versions that exist, each with the path beneath the root at which it can be read. A side that removed it has none.
    pub variants: Vec<(Word, RelPath)>,
}

impl Variants {
    /// Every open conflict, oldest first.
    pub fn conflicts(&self) -> Result<Vec<Disagreement>> {
        self.read(|rows, standing| standing.conflicts.iter().map(|c| shown(rows, c)).collect())
    }

    /// The open conflicts at a path or beneath it.
    pub fn conflicts_within(&self, path: &RelPath) -> Result<Vec<Disagreement>> {
        let all = self.conflicts()?;
        Ok(all.into_iter().filter(|c| c.path.is_within(path)).collect())
    }

    /// How many there are.
    pub fn conflict_count(&self) -> Result<usize> {
        self.read(|_, standing: &Standing| Ok(standing.conflicts.len()))
    }

    /// The text of `DIR/.drift/conflicts`: the paths in conflict beneath a live directory, from there, one per line.
    pub fn conflicts_text(&self, dir: Ino) -> Result<Vec<u8>> {
        let top = self
            .tree
            .meta()
            .read(|rows| rows.path(dir))?
            .unwrap_or_default();
        let mut paths: Vec<RelPath> = self
            .conflicts_within(&top)?
            .into_iter()
            .map(|c| c.path)
            .collect();
        paths.sort();
        paths.dedup();
        let mut text = Vec::new();
        for path in paths {
            let below = path.names()[top.names().len()..].iter().cloned();
            text.extend(RelPath::from_names(below).bytes());
            text.push(b'\n');
        }
        Ok(text)
    }
}

fn shown(rows: &Rows<'_>, conflict: &Conflict) -> Result<Disagreement> {
    let ino = rows.node_in_conflict(conflict)?;
    let live = match ino {
        Some(ino) => rows.path(ino)?,
        None => None,
    };
    let path = live.clone().unwrap_or_else(|| conflict.path.clone());
    let terms = Terms::parse(&conflict.terms).unwrap_or_default();
    let mut variants = Vec::new();
    if terms.client.is_some()
        && let Some(live) = &live
    {
        variants.push((Word::Client, live.clone()));
    }
    for (word, term) in [(Word::Server, &terms.server), (Word::Base, &terms.base)] {
        variants.extend(place(word, term.as_ref()).map(|place| (word, place)));
    }
    if terms.merged.is_some() {
        variants.extend(beneath(Word::Merged, &path).map(|place| (Word::Merged, place)));
    }
    Ok(Disagreement {
        id: conflict.id,
        path,
        ino,
        kind: conflict.kind,
        since: conflict.since,
        variants,
    })
}

fn place(word: Word, term: Option<&Term>) -> Option<RelPath> {
    beneath(word, term?.places.first()?)
}

fn beneath(word: Word, path: &RelPath) -> Option<RelPath> {
    let head = [HIDDEN, word.text()].map(Name::try_from);
    let head: Vec<Name> = head
        .into_iter()
        .collect::<std::result::Result<_, _>>()
        .ok()?;
    Some(RelPath::from_names(head).join_path(path))
}
