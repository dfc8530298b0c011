//! Three plain trees in memory: builds universes by identity, carries out plans, and checks after every step that client,
//! server and base are valid trees.
//!
//! It leaves out: stamps, races with programs, and what a real server refuses.

#![allow(dead_code)]

mod apply;
mod edit;
mod look;
mod universe;

use std::collections::{BTreeMap, BTreeSet};

use driftfs::model::Kind;
use driftfs::reintegrate::steps::Side;

#[allow(unused_imports)]
pub use apply::{Outcome, Run};
pub use edit::Op;
#[allow(unused_imports)]
pub use look::{kinds, links, render, swapped};

/// Identity of an object on every tree.
pub type Id = u64;
/// Bytes by equality; 0 for what has none.
pub type Bytes = u64;
/// A name: directory and last component.
pub type At = (Id, String);

/// The root on every tree.
pub const ROOT: Id = 0;

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    pub places: BTreeSet<At>,
    pub kind: Kind,
    pub mode: u32,
    pub xattrs: BTreeMap<String, String>,
    pub mtime: i64,
    pub bytes: Bytes,
    pub target: Option<String>,
}

/// A tree by identity.
pub type Tree = BTreeMap<Id, Node>;

/// The three trees and what the conflict store would know.
#[derive(Clone, Debug)]
pub struct World {
    pub base: Tree,
    pub client: Tree,
    pub server: Tree,
    /// Objects with a stored conflict, and what both sides had then.
    pub standing: BTreeMap<Id, (Option<Node>, Option<Node>)>,
    /// What merged bytes were merged from.
    pub merged_from: BTreeMap<Bytes, BTreeSet<Bytes>>,
    /// True when the driver takes nothing.
    pub unmergeable: bool,
    pub next_id: Id,
    pub next_bytes: Bytes,
    pub clock: i64,
}

impl World {
    /// Three empty trees.
    pub fn new() -> World {
        let root = Node {
            places: BTreeSet::new(),
            kind: Kind::Dir,
            mode: 0o755,
            xattrs: BTreeMap::new(),
            mtime: 0,
            bytes: 0,
            target: None,
        };
        let tree = Tree::from([(ROOT, root)]);
        World {
            base: tree.clone(),
            client: tree.clone(),
            server: tree,
            standing: BTreeMap::new(),
            merged_from: BTreeMap::new(),
            unmergeable: false,
            next_id: 1,
            next_bytes: 1000,
            clock: 1,
        }
    }

    /// Both sides and base become what the client has.
    pub fn agree(&mut self) {
        self.base = self.client.clone();
        self.server = self.client.clone();
    }

    pub fn tree(&self, side: Side) -> &Tree {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
            Side::Base => &self.base,
        }
    }

    pub fn tree_mut(&mut self, side: Side) -> &mut Tree {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
            Side::Base => &mut self.base,
        }
    }
}

/// The object at a path (components separated by `/`, empty for the root).
pub fn find(tree: &Tree, path: &str) -> Option<Id> {
    let mut at = ROOT;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        at = child(tree, at, name)?;
    }
    Some(at)
}

/// The object at a name.
pub fn child(tree: &Tree, dir: Id, name: &str) -> Option<Id> {
    let place = (dir, name.to_string());
    let mut holders = tree.iter().filter(|(_, node)| node.places.contains(&place));
    holders.next().map(|(id, _)| *id)
}

/// Names in a directory with what they name.
pub fn entries(tree: &Tree, dir: Id) -> Vec<(String, Id)> {
    let mut all = Vec::new();
    for (id, node) in tree {
        let here = node.places.iter().filter(|(parent, _)| *parent == dir);
        all.extend(here.map(|(_, name)| (name.clone(), *id)));
    }
    all.sort();
    all
}

/// What is wrong with a tree, if anything.
pub fn fault(tree: &Tree) -> Option<String> {
    let mut held = BTreeSet::new();
    for (id, node) in tree {
        if *id != ROOT && node.places.is_empty() {
            return Some(format!("{id} has no name"));
        }
        for (parent, name) in &node.places {
            if !held.insert((parent, name)) {
                return Some(format!("{parent}/{name} is held twice"));
            }
            if tree.get(parent).is_none_or(|node| node.kind != Kind::Dir) {
                return Some(format!("{name} lies in {parent}, which is not there"));
            }
        }
        let (mut at, mut steps) = (*id, 0);
        while at != ROOT {
            at = tree[&at].places.first().map_or(ROOT, |(parent, _)| *parent);
            steps += 1;
            if steps > tree.len() || !tree.contains_key(&at) {
                return Some(format!("{id} does not lead to the root"));
            }
        }
    }
    None
}
