//! From three trees to what the planner is given, by the rules of identity.

use std::collections::{BTreeMap, BTreeSet};

use driftfs::lower::SetAttrs;
use driftfs::model::{Attrs, Bid, ConflictId, Few, Ino, Kind, Name, Time};
use driftfs::reintegrate::universe::{Key, Object, Place, Server, Token, Universe, Version};

use super::{At, Id, Node, ROOT, Tree, World};

/// A universe and which object each key is.
pub struct Built {
    pub universe: Universe,
    pub ids: Vec<Id>,
}

impl World {
    /// Identifies objects and builds the universe.
    pub fn build(&mut self) -> Built {
        inherit(&self.base, &mut self.client);
        inherit(&self.base, &mut self.server);
        self.unify();
        let mut ids: BTreeSet<Id> = self.base.keys().copied().collect();
        ids.extend(self.client.keys().chain(self.server.keys()));
        let ids: Vec<Id> = ids.into_iter().collect();
        let key: BTreeMap<Id, Key> = ids
            .iter()
            .enumerate()
            .map(|(n, id)| (*id, Key(n)))
            .collect();
        let objects = ids.iter().map(|id| self.object(*id, &key)).collect();
        Built {
            universe: Universe {
                objects,
                case_sensitive: true,
                left_out: Default::default(),
            },
            ids,
        }
    }

    fn object(&self, id: Id, key: &BTreeMap<Id, Key>) -> Object {
        let version = |tree: &Tree| tree.get(&id).map(|node| version(node, key));
        let now = (self.client.get(&id).cloned(), self.server.get(&id).cloned());
        let standing = self.standing.get(&id).is_some_and(|then| *then == now);
        Object {
            bid: self.base.contains_key(&id).then_some(Bid(id + 1)),
            ino: self.client.contains_key(&id).then_some(Ino(id + 1)),
            base: version(&self.base),
            client: version(&self.client),
            server: version(&self.server).map_or(Server::Absent, Server::Present),
            stamp: None,
            further: Few::new(),
            stays: false,
            busy: false,
            standing: standing.then_some(ConflictId(id)),
            rev: 0,
            listed: true,
        }
    }

    /// Both made something of one kind at one name: one object.
    fn unify(&mut self) {
        while let Some((client, server)) = self.twins() {
            if let Some(node) = self.server.remove(&server) {
                self.server.insert(client, node);
            }
            rename(&mut self.server, server, client);
        }
    }

    fn twins(&self) -> Option<(Id, Id)> {
        let new = |tree: &Tree, id: &Id| tree.contains_key(id) && !self.base.contains_key(id);
        let mut ours = self.client.iter().filter(|(id, _)| new(&self.client, id));
        ours.find_map(|(client, node)| {
            if self.server.contains_key(client) {
                return None;
            }
            let mut theirs = self.server.iter().filter(|(id, _)| new(&self.server, id));
            let twin = theirs.find(|(id, other)| {
                let shared = !node.places.is_disjoint(&other.places);
                shared && other.kind == node.kind && !self.client.contains_key(id)
            });
            twin.map(|(server, _)| (*client, *server))
        })
    }

    /// Objects both made that have no base after all are two again.
    pub fn divide(&mut self) {
        let shared = |id: &&Id| self.server.contains_key(id) && !self.base.contains_key(id);
        let both: Vec<Id> = self.client.keys().filter(shared).copied().collect();
        for id in both.into_iter().filter(|id| *id != ROOT) {
            let other = self.fresh_id();
            if let Some(node) = self.server.remove(&id) {
                self.server.insert(other, node);
            }
            rename(&mut self.server, id, other);
        }
    }
}

/// A new node at the name of a base object that is nowhere else on this side is that object (an editor's save).
fn inherit(base: &Tree, tree: &mut Tree) {
    loop {
        let missing = |id: &&Id| !tree.contains_key(id);
        let heir = base.keys().filter(missing).find_map(|id| {
            let old = &base[id];
            let mut new = tree.iter().filter(|(id, _)| !base.contains_key(id));
            let heir = new
                .find(|(_, node)| node.kind == old.kind && !node.places.is_disjoint(&old.places));
            heir.map(|(heir, _)| (*heir, *id))
        });
        let Some((heir, id)) = heir else { return };
        if let Some(node) = tree.remove(&heir) {
            tree.insert(id, node);
        }
        rename(tree, heir, id);
    }
}

/// Everything in directory `from` lies in `to`.
fn rename(tree: &mut Tree, from: Id, to: Id) {
    for node in tree.values_mut() {
        let places = std::mem::take(&mut node.places);
        let moved = places
            .into_iter()
            .map(|(dir, name)| (if dir == from { to } else { dir }, name));
        node.places = moved.collect();
    }
}

fn version(node: &Node, key: &BTreeMap<Id, Key>) -> Version {
    let place = |(dir, name): &At| Place {
        parent: key[dir],
        name: Name::try_from(name.as_str()).unwrap(),
    };
    let text = |text: &String| text.clone().into_bytes();
    Version {
        places: node.places.iter().map(place).collect(),
        attrs: attrs(node),
        target: node.target.as_ref().map(text),
        xattrs: Some(
            node.xattrs
                .iter()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
        ),
        bytes: (node.kind == Kind::File).then_some(Token(node.bytes)),
        readable: true,
    }
}

fn attrs(node: &Node) -> Attrs {
    let time = Time {
        sec: node.mtime,
        nsec: 0,
    };
    Attrs {
        kind: node.kind,
        mode: node.mode,
        uid: 0,
        gid: 0,
        rdev: 0,
        size: 0,
        mtime: time,
        ctime: time,
        atime: time,
    }
}

/// Sets attributes.
pub fn set(node: &mut Node, change: &SetAttrs) {
    node.mode = change.mode.unwrap_or(node.mode);
    node.mtime = change.mtime.map_or(node.mtime, |time| time.sec);
    for (name, value) in &change.xattrs {
        let name = String::from_utf8(name.clone()).unwrap();
        match value {
            Some(value) => node
                .xattrs
                .insert(name, String::from_utf8(value.clone()).unwrap()),
            None => node.xattrs.remove(&name),
        };
    }
}
