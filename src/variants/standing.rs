//! The open conflicts, arranged for looking things up. Read once for each change of them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use super::terms::{Term, Terms};
use super::{Thing, Variants, Word};
use crate::meta::{Conflict, Rows};
use crate::model::{Bid, ConflictKind, Ino, RelPath};
use crate::tree::Result;

/// One object of a conflict.
pub(super) struct One {
    pub(super) thing: Thing,
    pub(super) kind: ConflictKind,
    pub(super) ino: Option<Ino>,
    pub(super) bid: Option<Bid>,
    pub(super) terms: Terms,
}

impl One {
    /// What the terms say of a version.
    pub(super) fn term(&self, word: Word) -> Option<&Term> {
        match word {
            Word::Server => self.terms.server.as_ref(),
            Word::Base => self.terms.base.as_ref(),
            Word::Client | Word::Merged | Word::Resolved => None,
        }
    }

    /// True when the terms override a version. What was removed here and edited there is back here and agreed on by
    /// now: the base tree, not the terms, knows what the server showed last.
    fn rules(&self, word: Word) -> bool {
        let given_back = self.kind == ConflictKind::Deleted && self.terms.server.is_some();
        match word {
            Word::Base => true,
            Word::Server => !given_back,
            Word::Client | Word::Merged | Word::Resolved => false,
        }
    }
}

/// All of them. When several conflicts are about one object the newest terms count.
#[derive(Default)]
pub(super) struct Standing {
    pub(super) conflicts: Vec<Conflict>,
    all: Vec<One>,
    by_thing: HashMap<Thing, usize>,
    by_ino: HashMap<Ino, usize>,
    by_bid: HashMap<(Word, Bid), usize>,
    by_place: HashMap<(Word, RelPath), usize>,
    in_dir: HashMap<(Word, RelPath), Vec<usize>>,
}

impl Standing {
    fn read(rows: &Rows<'_>) -> Result<Standing> {
        let mut standing = Standing::default();
        for conflict in rows.conflicts()? {
            let ino = rows.node_in_conflict(&conflict)?;
            match Terms::parse(&conflict.terms) {
                Ok(terms) => standing.add(&conflict, ino, terms),
                // It stays listed; `driftfs check` names it.
                Err(why) => tracing::error!(conflict = conflict.id.0, why, "terms cannot be read"),
            }
            standing.conflicts.push(conflict);
        }
        Ok(standing)
    }

    fn add(&mut self, conflict: &Conflict, ino: Option<Ino>, mut terms: Terms) {
        if let Some(second) = terms.other.take() {
            self.add_one(One {
                thing: Thing::Term(conflict.id, true),
                kind: conflict.kind,
                ino: second.ino,
                bid: second.bid,
                terms: second.terms,
            });
        }
        self.add_one(One {
            thing: Thing::Term(conflict.id, false),
            kind: conflict.kind,
            ino,
            bid: conflict.bid,
            terms,
        });
    }

    fn add_one(&mut self, one: One) {
        let at = self.all.len();
        self.by_thing.insert(one.thing, at);
        if let Some(ino) = one.ino {
            self.by_ino.insert(ino, at);
        }
        for word in [Word::Server, Word::Base] {
            if !one.rules(word) {
                continue;
            }
            if let Some(bid) = one.bid {
                self.by_bid.insert((word, bid), at);
            }
            for place in one.term(word).iter().flat_map(|term| &term.places) {
                self.by_place.insert((word, place.clone()), at);
                if let Some((dir, _)) = place.split() {
                    self.in_dir.entry((word, dir)).or_default().push(at);
                }
            }
        }
        self.all.push(one);
    }

    pub(super) fn of_thing(&self, thing: Thing) -> Option<&One> {
        self.by_thing.get(&thing).map(|at| &self.all[*at])
    }

    pub(super) fn of_ino(&self, ino: Ino) -> Option<&One> {
        self.by_ino.get(&ino).map(|at| &self.all[*at])
    }

    /// The terms that override a version of a base object.
    pub(super) fn of_base(&self, word: Word, bid: Bid) -> Option<&One> {
        self.by_bid.get(&(word, bid)).map(|at| &self.all[*at])
    }

    /// The terms that put something at a path in a version.
    pub(super) fn at(&self, word: Word, path: &RelPath) -> Option<&One> {
        self.by_place
            .get(&(word, path.clone()))
            .map(|at| &self.all[*at])
    }

    /// Everything terms put into a directory of a version.
    pub(super) fn in_dir(&self, word: Word, dir: &RelPath) -> impl Iterator<Item = &One> {
        let found = self.in_dir.get(&(word, dir.clone()));
        found.into_iter().flatten().map(|at| &self.all[*at])
    }
}

impl Variants {
    /// The conflicts as of this moment.
    pub(super) fn standing(&self, rows: &Rows<'_>) -> Result<Arc<Standing>> {
        let moved = rows.conflicts_moved()?;
        let mut known = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, standing)) = &*known
            && *seen == moved
        {
            return Ok(standing.clone());
        }
        let standing = Arc::new(Standing::read(rows)?);
        *known = Some((moved, standing.clone()));
        Ok(standing)
    }
}
