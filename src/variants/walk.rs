//! Finding things in a version: by node, by name, by path, and whole directories.

use std::collections::BTreeMap;

use super::standing::{One, Standing};
use super::{Thing, Variants, Word};
use crate::meta::Rows;
use crate::model::{Bid, Ino, Kind, Name, RelPath};
use crate::tree::{Result, TreeError};

impl Variants {
    /// What a version has of a live node; `None`: nothing.
    pub fn of_node(&self, word: Word, ino: Ino) -> Result<Option<Thing>> {
        self.read(|rows, standing| match word {
            Word::Server | Word::Base => agreed(rows, standing, word, ino),
            Word::Client | Word::Merged | Word::Resolved => live(rows, standing, word, ino),
        })
    }

    /// What a version has at a name in a directory of it.
    pub fn lookup(&self, word: Word, dir: Thing, name: &Name) -> Result<Option<Thing>> {
        self.read(|rows, standing| lookup(rows, standing, word, dir, name))
    }

    /// What a version has at a path beneath its root.
    pub fn of_path(&self, word: Word, path: &RelPath) -> Result<Option<Thing>> {
        let mut at = self.of_node(word, Ino::ROOT)?;
        for name in path.names() {
            let Some(dir) = at else { return Ok(None) };
            at = self.lookup(word, dir, name)?;
        }
        Ok(at)
    }

    /// What a version has of a live path: by identity while the path leads to a node, else by name.
    pub fn of_live(&self, word: Word, path: &RelPath) -> Result<Option<Thing>> {
        let node = self.tree.meta().read(|rows| rows.resolve(path))?;
        match node {
            Some(node) => self.of_node(word, node.ino),
            None => self.of_path(word, path),
        }
    }

    /// The names in a directory of a version, sorted, with what they lead to.
    pub fn list(&self, word: Word, dir: Thing) -> Result<Vec<(Name, Thing, Kind)>> {
        self.read(|rows, standing| {
            let mut found = BTreeMap::new();
            match dir {
                Thing::Node(ino) => {
                    for entry in rows.entries(ino, crate::model::Cookie(0), usize::MAX)? {
                        if let Some(thing) = live(rows, standing, word, entry.ino)? {
                            found.insert(entry.name, thing);
                        }
                    }
                }
                Thing::Base(_) | Thing::Term(..) => {
                    found = agreed_names(rows, standing, word, dir)?
                }
            }
            let kinds = found.into_iter().filter_map(|(name, thing)| {
                let kind = kind(rows, standing, word, thing).transpose()?;
                Some(kind.map(|kind| (name, thing, kind)))
            });
            kinds.collect()
        })
    }

    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Rows<'_>, &Standing) -> Result<T>,
    ) -> Result<T> {
        self.tree.meta().read(|rows| {
            let standing = self.standing(rows)?;
            work(rows, &standing)
        })
    }
}

/// A live node in the versions that are made from the live tree.
fn live(rows: &Rows<'_>, standing: &Standing, word: Word, ino: Ino) -> Result<Option<Thing>> {
    let Some(node) = rows.node(ino)? else {
        return Ok(None);
    };
    let conflict = standing.of_ino(ino);
    let shown = match (word, conflict) {
        _ if node.attrs.kind == Kind::Dir => true,
        (Word::Merged, Some(one)) => one.terms.merged.is_some(),
        (Word::Resolved, conflict) => conflict.is_none() && rows.recorded(ino, "resolve")?,
        _ => true,
    };
    Ok(shown.then_some(Thing::Node(ino)))
}

/// What server or base have of a live node.
fn agreed(rows: &Rows<'_>, standing: &Standing, word: Word, ino: Ino) -> Result<Option<Thing>> {
    let Some(node) = rows.node(ino)? else {
        return Ok(None);
    };
    if let Some(bid) = node.bid {
        return Ok(base_thing(standing, word, bid));
    }
    let one = standing.of_ino(ino).filter(|one| one.term(word).is_some());
    Ok(one.map(|one| one.thing))
}

fn base_thing(standing: &Standing, word: Word, bid: Bid) -> Option<Thing> {
    match standing.of_base(word, bid) {
        Some(one) => one.term(word).map(|_| one.thing),
        None => Some(Thing::Base(bid)),
    }
}

fn lookup(
    rows: &Rows<'_>,
    standing: &Standing,
    word: Word,
    dir: Thing,
    name: &Name,
) -> Result<Option<Thing>> {
    if let Thing::Node(ino) = dir {
        return match rows.entry(ino, name)? {
            Some(entry) => live(rows, standing, word, entry.ino),
            None => Ok(None),
        };
    }
    let Some((bid, path)) = directory(rows, standing, word, dir)? else {
        return Ok(None);
    };
    if let Some(one) = standing.at(word, &path.join(name)) {
        return Ok(Some(one.thing));
    }
    let child = match bid {
        Some(bid) => rows.base_entry(bid, name)?,
        None => None,
    };
    // One that terms override is not here: it would have been found by its place.
    Ok(child
        .filter(|child| standing.of_base(word, *child).is_none())
        .map(Thing::Base))
}

fn agreed_names(
    rows: &Rows<'_>,
    standing: &Standing,
    word: Word,
    dir: Thing,
) -> Result<BTreeMap<Name, Thing>> {
    let mut found = BTreeMap::new();
    let Some((bid, path)) = directory(rows, standing, word, dir)? else {
        return Ok(found);
    };
    if let Some(bid) = bid {
        for (name, child) in rows.base_entries(bid)? {
            if standing.of_base(word, child).is_none() {
                found.insert(name, Thing::Base(child));
            }
        }
    }
    for one in standing.in_dir(word, &path) {
        for place in names_in(one, word, &path) {
            found.insert(place, one.thing);
        }
    }
    Ok(found)
}

/// The names terms give an object in one directory.
fn names_in(one: &One, word: Word, dir: &RelPath) -> Vec<Name> {
    let places = one.term(word).into_iter().flat_map(|term| &term.places);
    let within = places.filter_map(|place| place.split().filter(|(parent, _)| parent == dir));
    within.map(|(_, name)| name.clone()).collect()
}

/// The base object and the path of a directory of the base or server version. `None`: not a directory there.
fn directory(
    rows: &Rows<'_>,
    standing: &Standing,
    word: Word,
    dir: Thing,
) -> Result<Option<(Option<Bid>, RelPath)>> {
    match dir {
        Thing::Node(_) => Ok(None),
        Thing::Base(bid) => Ok(rows.base_path(bid)?.map(|path| (Some(bid), path))),
        Thing::Term(..) => {
            let Some(one) = standing.of_thing(dir) else {
                return Ok(None);
            };
            let place = one.term(word).and_then(|term| term.places.first());
            Ok(place.map(|place| (one.bid, place.clone())))
        }
    }
}

pub(super) fn kind(
    rows: &Rows<'_>,
    standing: &Standing,
    word: Word,
    thing: Thing,
) -> Result<Option<Kind>> {
    Ok(match thing {
        Thing::Node(ino) => rows.node(ino)?.map(|node| node.attrs.kind),
        Thing::Base(bid) => rows.base(bid)?.map(|base| base.attrs.kind),
        Thing::Term(..) => {
            let term = standing.of_thing(thing).and_then(|one| one.term(word));
            term.map(|term| term.attrs.kind)
        }
    })
}

/// What is not there is an error for callers that were told it is.
pub(super) fn gone<T>(found: Option<T>) -> Result<T> {
    found.ok_or(TreeError::NotFound)
}
