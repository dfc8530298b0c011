//! The rows in memory: nodes in one list, names by directory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::dir::{Dir, fits};
use super::index::Index;
use super::pending::Pending;
use super::row::{Classes, Row};
use crate::meta::{Entry, Node};
use crate::model::{Cookie, Ino, Kind, Name};

/// A directory that was asked for single names this often is read as a whole, however large it is.
pub(super) const PATIENCE: u8 = 16;
/// Memory of directories not read as a whole.
const MANY_PARTS: usize = 4096;

/// The rows. Every row here is what the database says; what is not here is not known.
pub(super) struct Table {
    nodes: Vec<Row>,
    classes: Classes,
    free: Vec<u32>,
    by_ino: Index,
    dirs: HashMap<u64, Box<Dir>>,
    /// Directories in the order in which they are looked at for eviction.
    ring: VecDeque<u64>,
    /// Nodes kept without their directory, oldest first. May name some that are gone or kept otherwise by now.
    loose: VecDeque<u64>,
    /// How often directories not kept here were asked for single names.
    asked: HashMap<u64, u8>,
    names: usize,
    pub(super) limit: usize,
    hasher: RandomState,
}

fn hash_ino(ino: u64) -> u64 {
    // Numbers come in sequence or as a server gives them; one multiplication spreads both.
    ino.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

fn hash_name(hasher: &RandomState) -> impl Fn(&[u8]) -> u64 {
    |name| hasher.hash_one(name)
}

impl Table {
    pub(super) fn new(limit: usize) -> Table {
        Table {
            nodes: Vec::new(),
            classes: Classes::default(),
            free: Vec::new(),
            by_ino: Index::default(),
            dirs: HashMap::new(),
            ring: VecDeque::new(),
            loose: VecDeque::new(),
            asked: HashMap::new(),
            names: 0,
            limit,
            hasher: RandomState::new(),
        }
    }

    /// Nodes and names kept.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.nodes.len() - self.free.len(), self.names)
    }

    fn place(&self, ino: u64) -> Option<usize> {
        let is = |at: u32| self.nodes[at as usize].ino == ino;
        self.by_ino.find(hash_ino(ino), is).map(|at| at as usize)
    }

    pub(super) fn row(&self, ino: u64) -> Option<&Row> {
        let row = &self.nodes[self.place(ino)?];
        if let Some(dir) = self.dirs.get(&row.home) {
            dir.touch();
        }
        Some(row)
    }

    pub(super) fn node(&self, ino: u64) -> Option<Node> {
        self.row(ino).map(|row| self.classes.unpack(row))
    }

    /// Where the only name of a node is, if that is known.
    pub(super) fn only_name(&self, ino: u64) -> Option<(Ino, u32)> {
        self.classes.only_name(self.row(ino)?)
    }

    pub(super) fn dir(&self, ino: u64) -> Option<&Dir> {
        let dir = self.dirs.get(&ino)?;
        dir.touch();
        Some(dir)
    }

    /// The entry of a name in a directory kept here.
    pub(super) fn find(&self, dir: &Dir, parent: Ino, name: &Name) -> Option<Entry> {
        let ent = dir.find(name.bytes(), &hash_name(&self.hasher))?;
        dir.entry(parent, ent)
    }

    /// How often a directory that is not kept here was asked for single names, this time included.
    pub(super) fn ask(&mut self, dir: u64) -> u8 {
        if self.asked.len() >= MANY_PARTS {
            self.asked.clear();
        }
        let asked = self.asked.entry(dir).or_insert(0);
        *asked = asked.saturating_add(1);
        *asked
    }

    /// Keeps a node read alone.
    pub(super) fn keep(&mut self, node: &Node) {
        if self.place(node.ino.0).is_none()
            && let Some(row) = self.classes.pack(node)
        {
            self.loose.push_back(row.ino);
            self.insert(row);
        }
        self.shrink();
    }

    /// Notes where the only name of a node is.
    pub(super) fn settle(&mut self, ino: u64, dir: Ino, cookie: Cookie) {
        if let Some(at) = self.place(ino)
            && self.classes.has_one_name(&self.nodes[at])
        {
            self.nodes[at].set_home(dir, cookie);
        }
    }

    /// Notes the blocks of a row, unless it is another by now.
    pub(super) fn note_blocks(&mut self, node: &Node, blocks: u64) {
        if let (Some(at), Ok(blocks)) = (self.place(node.ino.0), u32::try_from(blocks + 1))
            && self.classes.unpack(&self.nodes[at]) == *node
        {
            self.nodes[at].blocks = blocks;
        }
    }

    /// Keeps a whole directory with the nodes its names lead to.
    pub(super) fn keep_dir(&mut self, dir: Ino, names: Vec<Entry>, nodes: &[Node]) {
        if self.dirs.contains_key(&dir.0) {
            return;
        }
        self.asked.remove(&dir.0);
        for node in nodes {
            if self.place(node.ino.0).is_none()
                && let Some(row) = self.classes.pack(node)
            {
                self.insert(row);
            }
        }
        for entry in &names {
            self.settle(entry.ino.0, dir, entry.cookie);
        }
        self.add_dir(dir.0, names);
        self.shrink();
    }

    fn add_dir(&mut self, dir: u64, names: Vec<Entry>) {
        self.names += names.len();
        let hash = hash_name(&self.hasher);
        let kept = Box::new(Dir::new(names, &hash));
        self.dirs.insert(dir, kept);
        if self.ring.len() > self.dirs.len() * 2 + 64 {
            // Directories that were removed, and some that came again.
            self.ring = self.dirs.keys().copied().collect();
        } else {
            self.ring.push_back(dir);
        }
    }

    fn insert(&mut self, row: Row) {
        let hash = hash_ino(row.ino);
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at as usize] = row;
                at
            }
            None => {
                self.nodes.push(row);
                (self.nodes.len() - 1) as u32
            }
        };
        let nodes = &self.nodes;
        let of = |at: u32| hash_ino(nodes[at as usize].ino);
        self.by_ino.insert(hash, at, of);
    }

    fn remove(&mut self, ino: u64) {
        let Some(at) = self.place(ino) else { return };
        let nodes = &self.nodes;
        let of = |at: u32| hash_ino(nodes[at as usize].ino);
        self.by_ino.remove(hash_ino(ino), at as u32, of);
        self.nodes[at] = Row::free();
        self.free.push(at as u32);
    }

    /// Takes over what a transaction changed, now that it is committed.
    pub(super) fn apply(&mut self, pending: Pending) {
        for ino in &pending.orphaned {
            if let Some(at) = self.place(*ino) {
                self.nodes[at].orphan();
            }
        }
        for ino in &pending.renamed {
            if let Some(at) = self.place(*ino) {
                self.nodes[at].unset_home();
            }
        }
        let mut placed = HashSet::new();
        for ino in &pending.born {
            let is_dir = |node: &Node| node.attrs.kind == Kind::Dir;
            let there = pending.nodes.get(ino).and_then(Option::as_ref);
            if there.is_some_and(is_dir) && !self.dirs.contains_key(ino) {
                self.add_dir(*ino, Vec::new());
            }
        }
        let mut come = Vec::new();
        for (parent, names) in pending.entries {
            for (name, entry) in names {
                match entry {
                    None => self.drop_name(parent, &name),
                    Some(entry) => come.push(entry),
                }
            }
        }
        // Cookies grow, and names are kept in their order.
        come.sort_unstable_by_key(|entry| entry.cookie);
        for entry in &come {
            if self.put_name(entry) {
                placed.insert(entry.ino.0);
            }
        }
        for (ino, row) in pending.nodes {
            self.apply_node(ino, row, &placed);
        }
        for entry in &come {
            self.settle(entry.ino.0, entry.parent, entry.cookie);
        }
        self.loosen(pending.renamed);
        self.shrink();
    }

    /// Nodes that left the directories kept here are kept alone from now on.
    fn loosen(&mut self, renamed: HashSet<u64>) {
        for ino in renamed {
            let home = self.place(ino).map(|at| self.nodes[at].home);
            if home.is_some_and(|home| !self.dirs.contains_key(&home)) {
                self.loose.push_back(ino);
            }
        }
    }

    fn apply_node(&mut self, ino: u64, node: Option<Node>, placed: &HashSet<u64>) {
        if node.is_none() {
            self.drop_dir(ino);
        }
        // What cannot be packed is not known any more.
        let Some(mut row) = node.and_then(|node| self.classes.pack(&node)) else {
            return self.remove(ino);
        };
        match self.place(ino) {
            Some(at) => {
                if self.classes.has_one_name(&row) {
                    row.set_home_of(&self.nodes[at]);
                }
                self.nodes[at] = row;
            }
            // A node of a directory not kept here stays unknown.
            None if placed.contains(&ino) => self.insert(row),
            None => {}
        }
    }

    /// True when the directory is kept here.
    fn put_name(&mut self, entry: &Entry) -> bool {
        let Some(dir) = self.dirs.get_mut(&entry.parent.0) else {
            return false;
        };
        if !fits(entry) {
            self.drop_dir(entry.parent.0);
            return false;
        }
        let before = dir.len();
        dir.put(entry, &hash_name(&self.hasher));
        self.names = self.names + dir.len() - before;
        true
    }

    fn drop_name(&mut self, parent: u64, name: &Name) {
        if let Some(dir) = self.dirs.get_mut(&parent)
            && dir.remove(name.bytes(), &hash_name(&self.hasher)).is_some()
        {
            self.names -= 1;
        }
    }

    /// Lets go of what was not asked for lately until the limit holds.
    fn shrink(&mut self) {
        if self.classes.is_full() {
            *self = Table::new(self.limit);
        }
        while self.loose.len() > self.limit / 8 + 1 {
            self.drop_oldest_loose();
        }
        // Each directory gets one more round after it was asked for.
        let mut rounds = self.ring.len() * 2;
        while self.is_full() && rounds > 0 {
            rounds -= 1;
            let Some(dir) = self.ring.pop_front() else {
                break;
            };
            let touched = self.dirs.get(&dir).is_some_and(|dir| dir.was_touched());
            if touched && rounds > 0 {
                self.ring.push_back(dir);
            } else {
                self.drop_dir(dir);
            }
        }
        while self.is_full() && !self.loose.is_empty() {
            self.drop_oldest_loose();
        }
    }

    fn is_full(&self) -> bool {
        let (nodes, names) = self.size();
        nodes > self.limit || names > self.limit + self.limit / 2
    }

    fn drop_oldest_loose(&mut self) {
        let Some(ino) = self.loose.pop_front() else {
            return;
        };
        let kept = |row: &Row| self.dirs.contains_key(&row.home);
        if !self.place(ino).is_some_and(|at| kept(&self.nodes[at])) {
            self.remove(ino);
        }
    }

    fn drop_dir(&mut self, dir: u64) {
        let Some(gone) = self.dirs.remove(&dir) else {
            return;
        };
        self.names -= gone.len();
        for ent in gone.after(0) {
            let home = self.place(ent.ino).map(|at| self.nodes[at].home);
            if home == Some(dir) || home == Some(0) {
                self.remove(ent.ino);
            }
        }
    }
}
