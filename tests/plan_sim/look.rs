//! Trees as text, and sides exchanged.

use std::collections::{BTreeMap, BTreeSet};

use driftfs::model::{ConflictKind, Kind};

use super::{Id, ROOT, Tree, World, entries};

/// Every name with what it is, one line each, the same for equal trees whatever the identities.
pub fn render(tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    below(tree, ROOT, "", &mut lines);
    let root = &tree[&ROOT];
    lines.push(format!(". {:o} {:?}", root.mode, root.xattrs));
    lines
}

fn below(tree: &Tree, dir: Id, prefix: &str, lines: &mut Vec<String>) {
    for (name, id) in entries(tree, dir) {
        let node = &tree[&id];
        let path = format!("{prefix}{name}");
        let time = match node.kind {
            Kind::File => node.mtime,
            _ => 0,
        };
        lines.push(format!(
            "{path} {} {:o} {:?} {time} {} {:?} {}",
            node.kind.word(),
            node.mode,
            node.xattrs,
            node.bytes,
            node.target,
            links(tree, id).join("=")
        ));
        if node.kind == Kind::Dir {
            below(tree, id, &format!("{path}/"), lines);
        }
    }
}

/// All paths of an object.
pub fn links(tree: &Tree, id: Id) -> Vec<String> {
    let mut paths = Vec::new();
    for (parent, name) in &tree[&id].places {
        let above = match *parent {
            ROOT => String::new(),
            dir => links(tree, dir).join("|") + "/",
        };
        paths.push(format!("{above}{name}"));
    }
    paths.sort();
    paths
}

/// The kinds of conflicts with how often.
pub fn kinds(all: impl IntoIterator<Item = ConflictKind>) -> BTreeMap<ConflictKind, usize> {
    let mut count = BTreeMap::new();
    for kind in all {
        *count.entry(kind).or_default() += 1;
    }
    count
}

/// The world with client and server exchanged.
pub fn swapped(world: &World) -> World {
    let mut other = world.clone();
    std::mem::swap(&mut other.client, &mut other.server);
    for (client, server) in other.standing.values_mut() {
        std::mem::swap(client, server);
    }
    other
}

impl World {
    /// Bytes and targets somebody would miss: those that are on a side and not what base says of the same object.
    pub fn unique(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for tree in [&self.client, &self.server] {
            for (id, node) in tree {
                let base = self.base.get(id);
                if node.bytes != 0 && base.is_none_or(|base| base.bytes != node.bytes) {
                    all.insert(format!("bytes {}", node.bytes));
                }
                if let Some(target) = &node.target
                    && base.is_none_or(|base| base.target.as_ref() != Some(target))
                {
                    all.insert(format!("target {target}"));
                }
            }
        }
        all
    }

    /// Everything that can be read on a side, what merged bytes were merged from included.
    pub fn readable(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for node in self.client.values().chain(self.server.values()) {
            let mut todo = vec![node.bytes];
            while let Some(bytes) = todo.pop() {
                all.insert(format!("bytes {bytes}"));
                todo.extend(self.merged_from.get(&bytes).into_iter().flatten());
            }
            all.extend(node.target.iter().map(|target| format!("target {target}")));
        }
        all
    }
}
