//! What a person or program does to one side.

use std::collections::{BTreeMap, BTreeSet};

use driftfs::model::Kind;
use driftfs::reintegrate::steps::Side;

use super::{Bytes, Id, Node, ROOT, Tree, World, child, entries, find};

/// One edit, by path. Those that do not apply do nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Create(String),
    CreateWith(String, Bytes),
    Mkdir(String),
    Symlink(String, String),
    Fifo(String),
    Store(String),
    StoreBytes(String, Bytes),
    Chmod(String, u32),
    Xattr(String, &'static str, Option<&'static str>),
    Touch(String),
    Rename(String, String),
    Exchange(String, String),
    Link(String, String),
    Remove(String),
    RemoveAll(String),
}

impl World {
    /// Does it on one side. False when it did not apply.
    pub fn edit(&mut self, side: Side, op: &Op) -> bool {
        self.try_edit(side, op).is_some()
    }

    fn try_edit(&mut self, side: Side, op: &Op) -> Option<()> {
        match op {
            Op::Create(path) => {
                let bytes = self.fresh_bytes();
                self.make(side, path, Kind::File, bytes, None)
            }
            Op::CreateWith(path, bytes) => self.make(side, path, Kind::File, *bytes, None),
            Op::Mkdir(path) => self.make(side, path, Kind::Dir, 0, None),
            Op::Symlink(path, to) => self.make(side, path, Kind::Symlink, 0, Some(to.clone())),
            Op::Fifo(path) => self.make(side, path, Kind::Fifo, 0, None),
            Op::Store(path) => {
                let bytes = self.fresh_bytes();
                self.store(side, path, bytes)
            }
            Op::StoreBytes(path, bytes) => self.store(side, path, *bytes),
            Op::Chmod(path, mode) => {
                let node = self.node(side, path)?;
                (node.kind != Kind::Symlink).then(|| node.mode = *mode)
            }
            Op::Xattr(path, name, value) => {
                let xattrs = &mut self.node(side, path)?.xattrs;
                match value {
                    Some(value) => xattrs.insert((*name).into(), (*value).into()),
                    None => xattrs.remove(*name),
                };
                Some(())
            }
            Op::Touch(path) => {
                self.clock += 1;
                let clock = self.clock;
                self.node(side, path)?.mtime = clock;
                Some(())
            }
            Op::Rename(from, to) => self.rename(side, from, to),
            Op::Exchange(a, b) => self.exchange(side, a, b),
            Op::Link(from, to) => self.link(side, from, to),
            Op::Remove(path) => self.remove(side, path),
            Op::RemoveAll(path) => self.remove_all(side, path),
        }
    }

    pub fn fresh_bytes(&mut self) -> Bytes {
        self.next_bytes += 1;
        self.next_bytes
    }

    pub fn fresh_id(&mut self) -> Id {
        self.next_id += 1;
        self.next_id
    }

    fn node(&mut self, side: Side, path: &str) -> Option<&mut Node> {
        let tree = self.tree_mut(side);
        let id = find(tree, path).filter(|id| *id != ROOT)?;
        tree.get_mut(&id)
    }

    fn make(
        &mut self,
        side: Side,
        path: &str,
        kind: Kind,
        bytes: Bytes,
        target: Option<String>,
    ) -> Option<()> {
        let (dir, name) = split(self.tree(side), path)?;
        if child(self.tree(side), dir, &name).is_some() {
            return None;
        }
        let mode = match kind {
            Kind::Dir => 0o755,
            Kind::Symlink => 0o777,
            _ => 0o644,
        };
        let node = Node {
            places: BTreeSet::from([(dir, name)]),
            kind,
            mode,
            xattrs: BTreeMap::new(),
            mtime: 0,
            bytes,
            target,
        };
        let id = self.fresh_id();
        self.tree_mut(side).insert(id, node);
        Some(())
    }

    fn store(&mut self, side: Side, path: &str, bytes: Bytes) -> Option<()> {
        self.clock += 1;
        let clock = self.clock;
        let node = self.node(side, path)?;
        (node.kind == Kind::File).then(|| {
            node.bytes = bytes;
            node.mtime = clock;
        })
    }

    fn rename(&mut self, side: Side, from: &str, to: &str) -> Option<()> {
        let tree = self.tree_mut(side);
        let (old, new) = (split(tree, from)?, split(tree, to)?);
        let id = child(tree, old.0, &old.1)?;
        if within(tree, new.0, id) {
            return None;
        }
        if let Some(victim) = child(tree, new.0, &new.1) {
            let dirs = [id, victim].map(|id| tree[&id].kind == Kind::Dir);
            if victim == id || dirs[0] != dirs[1] || (dirs[1] && !entries(tree, victim).is_empty())
            {
                return None;
            }
            unname(tree, victim, &new);
        }
        let places = &mut tree.get_mut(&id)?.places;
        places.remove(&old);
        places.insert(new);
        Some(())
    }

    fn exchange(&mut self, side: Side, a: &str, b: &str) -> Option<()> {
        let tree = self.tree_mut(side);
        let (one, two) = (split(tree, a)?, split(tree, b)?);
        let (first, second) = (child(tree, one.0, &one.1)?, child(tree, two.0, &two.1)?);
        if first == second || within(tree, two.0, first) || within(tree, one.0, second) {
            return None;
        }
        for (id, from, to) in [(first, &one, &two), (second, &two, &one)] {
            let places = &mut tree.get_mut(&id)?.places;
            places.remove(from);
            places.insert(to.clone());
        }
        Some(())
    }

    fn link(&mut self, side: Side, from: &str, to: &str) -> Option<()> {
        let tree = self.tree_mut(side);
        let id = find(tree, from).filter(|id| *id != ROOT)?;
        let place = split(tree, to)?;
        if tree[&id].kind == Kind::Dir || child(tree, place.0, &place.1).is_some() {
            return None;
        }
        tree.get_mut(&id)?.places.insert(place);
        Some(())
    }

    fn remove(&mut self, side: Side, path: &str) -> Option<()> {
        let tree = self.tree_mut(side);
        let place = split(tree, path)?;
        let id = child(tree, place.0, &place.1)?;
        entries(tree, id)
            .is_empty()
            .then(|| unname(tree, id, &place))
    }

    fn remove_all(&mut self, side: Side, path: &str) -> Option<()> {
        let id = find(self.tree(side), path).filter(|id| *id != ROOT)?;
        for (name, _) in entries(self.tree(side), id) {
            self.remove_all(side, &format!("{path}/{name}"))?;
        }
        self.remove(side, path)
    }
}

fn split(tree: &Tree, path: &str) -> Option<(Id, String)> {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let dir = find(tree, dir).filter(|id| tree[id].kind == Kind::Dir)?;
    Some((dir, name.to_string()))
}

/// True when `inner` is `outer` or lies in it.
fn within(tree: &Tree, inner: Id, outer: Id) -> bool {
    let mut at = inner;
    while at != outer {
        match tree[&at].places.first() {
            Some((parent, _)) => at = *parent,
            None => return false,
        }
    }
    true
}

fn unname(tree: &mut Tree, id: Id, place: &(Id, String)) {
    if let Some(node) = tree.get_mut(&id) {
        node.places.remove(place);
        if node.places.is_empty() {
            tree.remove(&id);
        }
    }
}
