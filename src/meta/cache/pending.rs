//! What a transaction changed and nobody else may see yet.

use std::collections::{HashMap, HashSet};

use super::dir::fits;
use crate::meta::{Entry, Node};
use crate::model::{Epoch, Ino, Name};

/// More changes than this are not noted one by one: the cache begins anew after the commit.
const MOST: usize = 30_000;

/// The rows a transaction put or dropped, each as it will be.
#[derive(Default)]
pub(in crate::meta) struct Pending {
    pub(super) nodes: HashMap<u64, Option<Node>>,
    pub(super) entries: HashMap<u64, HashMap<Name, Option<Entry>>>,
    /// Nodes of which a name came or went.
    pub(super) renamed: HashSet<u64>,
    /// Nodes that were not there before: a directory among them has no names but those noted here.
    pub(super) born: HashSet<u64>,
    /// Nodes that lost their base object, and were not put since.
    pub(super) orphaned: HashSet<u64>,
    /// Numbers never given before: nothing has them unless it was put here.
    given: HashSet<u64>,
    /// The epoch or the snapshots changed.
    pub(super) views: bool,
    count: usize,
    /// Set when not every change is noted: nothing here or in the cache can be believed.
    pub(in crate::meta) lost: bool,
}

/// What is known without asking the database.
pub(in crate::meta) enum Known<T> {
    /// This.
    Is(T),
    /// Nothing: it must be asked.
    Unknown,
}

impl Pending {
    pub(in crate::meta) fn put_node(&mut self, node: &Node, since: Epoch, born: bool) {
        let row = Node {
            since,
            ..node.clone()
        };
        self.nodes.insert(node.ino.0, Some(row));
        if born {
            self.born.insert(node.ino.0);
        }
        self.noted();
    }

    pub(in crate::meta) fn drop_node(&mut self, ino: Ino) {
        self.nodes.insert(ino.0, None);
        self.noted();
    }

    /// An entry is new, or pointed elsewhere before.
    pub(in crate::meta) fn put_entry(&mut self, old: Option<&Entry>, entry: Entry) {
        if !fits(&entry) {
            return self.lose();
        }
        self.renamed.extend(old.map(|old| old.ino.0));
        self.renamed.insert(entry.ino.0);
        let names = self.entries.entry(entry.parent.0).or_default();
        names.insert(entry.name.clone(), Some(entry));
        self.noted();
    }

    pub(in crate::meta) fn drop_entry(&mut self, old: &Entry) {
        self.renamed.insert(old.ino.0);
        let names = self.entries.entry(old.parent.0).or_default();
        names.insert(old.name.clone(), None);
        self.noted();
    }

    /// These nodes lost their base object.
    pub(in crate::meta) fn orphan(&mut self, nodes: &[Ino]) {
        for ino in nodes {
            match self.nodes.get_mut(&ino.0) {
                Some(Some(node)) => node.bid = None,
                Some(None) => {}
                None => {
                    self.orphaned.insert(ino.0);
                }
            }
        }
        self.noted();
    }

    /// The epoch or the snapshots changed.
    pub(in crate::meta) fn change_views(&mut self) {
        self.views = true;
    }

    /// Changes that cannot be noted were made.
    pub(in crate::meta) fn lose(&mut self) {
        *self = Pending {
            lost: true,
            views: self.views,
            ..Pending::default()
        };
    }

    fn noted(&mut self) {
        self.count += 1;
        if self.count > MOST || self.lost {
            self.lose();
        }
    }

    /// True when nothing was changed yet.
    pub(in crate::meta) fn is_untouched(&self) -> bool {
        self.count == 0 && !self.lost
    }

    /// A number that no node ever had.
    pub(in crate::meta) fn give(&mut self, ino: Ino) {
        self.given.insert(ino.0);
    }

    pub(in crate::meta) fn node(&self, ino: Ino) -> Option<Known<Option<Node>>> {
        match self.nodes.get(&ino.0) {
            Some(node) => Some(Known::Is(node.clone())),
            None => self.given.contains(&ino.0).then_some(Known::Is(None)),
        }
    }

    pub(in crate::meta) fn entry(&self, parent: Ino, name: &Name) -> Option<Known<Option<Entry>>> {
        let entry = self.entries.get(&parent.0)?.get(name)?;
        Some(Known::Is(entry.clone()))
    }

    /// Whether names came to or went from a directory: then what it has must be asked.
    pub(in crate::meta) fn changed_names_in<T>(&self, dir: Ino) -> Option<Known<T>> {
        self.entries.contains_key(&dir.0).then_some(Known::Unknown)
    }

    /// Whether a node got or lost a name: then where it has them must be asked.
    pub(in crate::meta) fn changed_names_of<T>(&self, ino: Ino) -> Option<Known<T>> {
        self.changed_names(ino).then_some(Known::Unknown)
    }

    pub(in crate::meta) fn changed_names(&self, ino: Ino) -> bool {
        self.renamed.contains(&ino.0)
    }

    /// True when the database has a row of this transaction for a node.
    pub(in crate::meta) fn changed_node(&self, ino: Ino) -> bool {
        self.nodes.contains_key(&ino.0) || self.is_orphaned(ino)
    }

    /// True when a node that this transaction did not put since lost its base object.
    pub(in crate::meta) fn is_orphaned(&self, ino: Ino) -> bool {
        !self.nodes.contains_key(&ino.0) && self.orphaned.contains(&ino.0)
    }
}
