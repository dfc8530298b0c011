//! The three trees as they were read for one scan: base and live from the database, the server's as far as it was listed.

use std::collections::{BTreeMap, HashSet};

use super::hashing::{Map, Quick};
use crate::meta::{BaseNode, MetaError, Node, Rows};
use crate::model::{Bid, Cookie, Few, Ino, Kind, Listed, Mask, Name, Observed, RelPath, Stamp};

/// More names than a directory can have here.
const ALL: usize = u32::MAX as usize;

/// What lower and client last agreed on.
#[derive(Default)]
pub(super) struct BaseTree {
    pub(super) nodes: Map<Bid, BaseNode>,
    pub(super) places: Map<Bid, Few<(Bid, Name)>>,
    pub(super) children: Map<Bid, BTreeMap<Name, Bid>>,
    by_lower: Map<u64, Vec<Bid>>,
}

/// The live tree.
#[derive(Default)]
pub(super) struct LiveTree {
    pub(super) nodes: Map<Ino, Node>,
    pub(super) places: Map<Ino, Few<(Ino, Name)>>,
    pub(super) children: Map<Ino, BTreeMap<Name, Ino>>,
    /// Nodes with a name by the base object they descend from, lowest number first.
    pub(super) of_base: Map<Bid, Few<Ino>>,
}

impl BaseTree {
    /// All of it.
    pub(super) fn all(rows: &Rows<'_>) -> Result<BaseTree, MetaError> {
        let mut tree = BaseTree::default();
        for node in rows.all_bases()? {
            tree.put(node);
        }
        let dirs: Vec<Bid> = tree
            .nodes
            .values()
            .filter(|node| node.attrs.kind == Kind::Dir)
            .map(|node| node.bid)
            .collect();
        for dir in dirs {
            for (name, bid) in rows.base_entries(dir)? {
                tree.name(dir, name, bid);
            }
        }
        Ok(tree)
    }

    /// Adds an object.
    pub(super) fn put(&mut self, node: BaseNode) {
        let of_number = self.by_lower.entry(node.stamp.ino).or_default();
        // Lowest first, in whatever order they are read.
        let at = of_number.partition_point(|bid| *bid < node.bid);
        of_number.insert(at, node.bid);
        self.nodes.insert(node.bid, node);
    }

    /// Adds a name.
    pub(super) fn name(&mut self, dir: Bid, name: Name, bid: Bid) {
        self.places
            .entry(bid)
            .or_default()
            .insert((dir, name.clone()));
        self.children.entry(dir).or_default().insert(name, bid);
    }

    /// Objects whose lower number is this one.
    pub(super) fn by_lower(&self, ino: u64) -> &[Bid] {
        self.by_lower.get(&ino).map_or(&[], Vec::as_slice)
    }

    /// The objects that can be reached from the root, directories before what is in them.
    pub(super) fn in_order(&self) -> Vec<Bid> {
        walk_down(Bid::ROOT, |bid| self.children.get(&bid))
    }

    /// Names of an object.
    pub(super) fn places_of(&self, bid: Bid) -> impl Iterator<Item = &(Bid, Name)> {
        self.places.get(&bid).into_iter().flatten()
    }
}

impl LiveTree {
    /// All of it, nameless nodes left out.
    pub(super) fn all(rows: &Rows<'_>) -> Result<LiveTree, MetaError> {
        let mut tree = LiveTree::default();
        for node in rows.all_nodes()? {
            tree.put(node);
        }
        let mut met: HashSet<Ino, Quick> = HashSet::default();
        let mut next = vec![Ino::ROOT];
        while let Some(ino) = next.pop() {
            let node = tree.nodes.get(&ino);
            // One with several names is met again.
            let Some(node) = node.filter(|_| met.insert(ino)) else {
                continue;
            };
            if node.attrs.kind == Kind::Dir {
                for entry in rows.entries(ino, Cookie(0), ALL)? {
                    next.push(entry.ino);
                    tree.name(ino, entry.name, entry.ino);
                }
            }
        }
        let nameless: Vec<Ino> = tree
            .nodes
            .keys()
            .filter(|ino| !met.contains(*ino))
            .copied()
            .collect();
        for ino in nameless {
            tree.forget(ino);
        }
        Ok(tree)
    }

    /// Adds a node that has a name (or is the root).
    pub(super) fn put(&mut self, node: Node) {
        if let Some(bid) = node.bid {
            self.of_base.entry(bid).or_default().insert(node.ino);
        }
        self.nodes.insert(node.ino, node);
    }

    /// Adds a name.
    pub(super) fn name(&mut self, dir: Ino, name: Name, ino: Ino) {
        self.places
            .entry(ino)
            .or_default()
            .insert((dir, name.clone()));
        self.children.entry(dir).or_default().insert(name, ino);
    }

    fn forget(&mut self, ino: Ino) {
        let bid = self.nodes.remove(&ino).and_then(|node| node.bid);
        if let Some(inos) = bid.and_then(|bid| self.of_base.get_mut(&bid)) {
            inos.remove(&ino);
        }
    }

    /// Nodes from the root downwards.
    pub(super) fn in_order(&self) -> Vec<Ino> {
        walk_down(Ino::ROOT, |ino| self.children.get(&ino))
    }

    /// Names of a node.
    pub(super) fn places_of(&self, ino: Ino) -> impl Iterator<Item = &(Ino, Name)> {
        self.places.get(&ino).into_iter().flatten()
    }

    /// Nodes that descend from a base object.
    pub(super) fn of(&self, bid: Bid) -> impl Iterator<Item = &Node> {
        let inos = self.of_base.get(&bid).into_iter().flatten();
        inos.filter_map(|ino| self.nodes.get(ino))
    }
}

/// Everything beneath `root`, each once, a directory before what is in it.
fn walk_down<'a, T: Copy + Eq + std::hash::Hash + 'a>(
    root: T,
    children: impl Fn(T) -> Option<&'a BTreeMap<Name, T>>,
) -> Vec<T> {
    let mut order = vec![root];
    let mut seen: HashSet<T, Quick> = HashSet::default();
    seen.insert(root);
    let mut at = 0;
    while at < order.len() {
        for child in children(order[at]).into_iter().flat_map(BTreeMap::values) {
            if seen.insert(*child) {
                order.push(*child);
            }
        }
        at += 1;
    }
    order
}

/// Index of an object met on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sid(pub(super) usize);

impl Sid {
    /// The root.
    pub(super) const ROOT: Sid = Sid(0);
}

/// An object met on the server.
pub(super) struct Met {
    /// What was seen; `None`: a directory on the way to one that was looked at, taken to be what base says.
    pub(super) seen: Option<Observed>,
    /// The base object a directory on the way is taken to be.
    pub(super) taken_for: Option<Bid>,
    /// Names under which it was met.
    pub(super) places: Few<(Sid, Name)>,
    /// Where it was met first.
    pub(super) path: RelPath,
}

/// What a listing of a directory told.
pub(super) enum Heard {
    /// All names, less these that nobody could look at.
    Names(BTreeMap<Name, String>),
    /// Nothing, for this reason.
    Nothing(String),
}

/// The server's tree as far as it was listed.
pub(super) struct ServerTree {
    pub(super) objects: Vec<Met>,
    pub(super) children: Map<Sid, BTreeMap<Name, Sid>>,
    pub(super) heard: Map<Sid, Heard>,
    /// Directories that are not listed here and were entered only to look for something missing.
    pub(super) searched: HashSet<Sid>,
    linked: Map<(u64, Kind), Vec<Sid>>,
}

impl Default for ServerTree {
    fn default() -> ServerTree {
        ServerTree::new()
    }
}

impl ServerTree {
    /// A tree of which nothing is known but that it has a root.
    pub(super) fn new() -> ServerTree {
        let root = Met {
            seen: None,
            taken_for: Some(Bid::ROOT),
            places: Few::new(),
            path: RelPath::root(),
        };
        ServerTree {
            objects: vec![root],
            children: Map::default(),
            heard: Map::default(),
            searched: HashSet::new(),
            linked: Map::default(),
        }
    }

    /// An object.
    pub(super) fn get(&self, sid: Sid) -> &Met {
        &self.objects[sid.0]
    }

    /// Every object.
    pub(super) fn all(&self) -> impl Iterator<Item = (Sid, &Met)> {
        let each = self.objects.iter().enumerate();
        each.map(|(index, met)| (Sid(index), met))
    }

    /// Objects from the root downwards.
    pub(super) fn in_order(&self) -> Vec<Sid> {
        walk_down(Sid::ROOT, |sid| self.children.get(&sid))
    }

    /// Its fingerprint, if it was seen.
    pub(super) fn stamp(&self, sid: Sid) -> Option<&Stamp> {
        self.get(sid).seen.as_ref().map(|seen| &seen.stamp)
    }

    /// Adds an entry of a listing; one more name of an object met before when it is hard-linked.
    pub(super) fn meet(&mut self, dir: Sid, entry: &Listed, mask: &Mask) -> Sid {
        let sid = match self.met_before(&entry.seen, mask) {
            Some(sid) => sid,
            None => self.add(dir, &entry.name, Some(entry.seen.clone()), None),
        };
        self.place(dir, &entry.name, sid);
        sid
    }

    /// Adds a directory that was not looked at.
    pub(super) fn suppose(&mut self, dir: Sid, name: &Name, bid: Bid) -> Sid {
        let sid = self.add(dir, name, None, Some(bid));
        self.place(dir, name, sid);
        sid
    }

    fn place(&mut self, dir: Sid, name: &Name, sid: Sid) {
        self.objects[sid.0].places.insert((dir, name.clone()));
        let names = self.children.entry(dir).or_default();
        names.insert(name.clone(), sid);
    }

    fn add(&mut self, dir: Sid, name: &Name, seen: Option<Observed>, bid: Option<Bid>) -> Sid {
        let sid = Sid(self.objects.len());
        if let Some(seen) = seen.as_ref().filter(|seen| hard_linked(seen)) {
            let key = (seen.stamp.ino, seen.stamp.kind);
            self.linked.entry(key).or_default().push(sid);
        }
        self.objects.push(Met {
            seen,
            taken_for: bid,
            places: Few::new(),
            path: self.get(dir).path.join(name),
        });
        sid
    }

    fn met_before(&self, seen: &Observed, mask: &Mask) -> Option<Sid> {
        if !mask.ino || !hard_linked(seen) {
            return None;
        }
        let same = self.linked.get(&(seen.stamp.ino, seen.stamp.kind))?;
        same.iter().copied().find(|sid| {
            self.stamp(*sid)
                .is_some_and(|met| met.btime == seen.stamp.btime)
        })
    }
}

fn hard_linked(seen: &Observed) -> bool {
    seen.nlink > 1 && seen.stamp.kind != Kind::Dir
}

/// Small trees, written down in a line each, for the tests of this room.
#[cfg(test)]
pub(super) mod small {
    use super::*;
    use crate::model::{Attrs, Time};

    pub fn name(text: &str) -> Name {
        Name::try_from(text).expect("a name in a test")
    }

    pub fn stamp(kind: Kind, ino: u64, born: i64) -> Stamp {
        let time = |sec| Time { sec, nsec: 0 };
        Stamp {
            kind,
            size: 1,
            mtime: time(100),
            ctime: time(100),
            ino,
            btime: Some(time(born)),
            hash: None,
            racy: false,
        }
    }

    pub fn attrs(kind: Kind) -> Attrs {
        Attrs {
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            rdev: 0,
            size: 1,
            mtime: Time::default(),
            ctime: Time::default(),
            atime: Time::default(),
        }
    }

    /// Base: `(bid, dir, name, kind, lower number)`. Births are the numbers.
    pub fn base(rows: &[(u64, u64, &str, Kind, u64)]) -> BaseTree {
        let mut tree = BaseTree::default();
        let mut put = |bid, kind, ino| {
            tree.put(BaseNode {
                bid: Bid(bid),
                attrs: attrs(kind),
                target: None,
                xattrs: None,
                stamp: stamp(kind, ino, ino as i64),
                object: None,
                hash: None,
            });
        };
        put(1, Kind::Dir, 1);
        for (bid, _, _, kind, ino) in rows {
            put(*bid, *kind, *ino);
        }
        for (bid, dir, text, ..) in rows {
            tree.name(Bid(*dir), name(text), Bid(*bid));
        }
        tree
    }

    /// The server, every directory listed: `(directory by index of its row from 1, 0: the root; name, kind, number)`.
    pub fn server(rows: &[(usize, &str, Kind, u64)]) -> ServerTree {
        let mut tree = ServerTree::new();
        let mut sids = vec![Sid::ROOT];
        for (dir, text, kind, ino) in rows {
            let entry = Listed {
                name: name(text),
                seen: Observed {
                    stamp: stamp(*kind, *ino, *ino as i64),
                    attrs: attrs(*kind),
                    nlink: 2,
                    same_device: true,
                    target: None,
                    xattrs: None,
                },
            };
            sids.push(tree.meet(sids[*dir], &entry, &Mask::ALL));
        }
        tree
    }
}
