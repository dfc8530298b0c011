//! What differs between base and live: the unsent changes, from the dirty set, without walking the tree.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::tidy::{same_attributes, same_xattrs};
use super::trouble::{Failure, Stop};
use crate::meta::{Node, Rows};
use crate::model::{Bid, Dirty, Kind, RelPath};
use crate::tree::{Staying, Tree, TreeError};

/// What happened to one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// New, or one more name.
    Created,
    /// Other bytes (or target).
    Stored,
    /// Another name.
    Renamed,
    /// Another kind of object under the same name.
    Retyped,
    /// Other mode, owner, group, time or extended attributes.
    Attributes,
    /// Gone, or one name less.
    Removed,
}

impl ChangeKind {
    /// The letter in `driftfs diff`.
    pub fn letter(self) -> char {
        match self {
            ChangeKind::Created => 'A',
            ChangeKind::Stored => 'M',
            ChangeKind::Renamed => 'R',
            ChangeKind::Retyped => 'T',
            ChangeKind::Attributes => 'a',
            ChangeKind::Removed => 'D',
        }
    }
}

/// One unsent change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// Live path (base path of what was removed).
    pub path: RelPath,
    /// What.
    pub kind: ChangeKind,
    /// Base path of what was renamed.
    pub from: Option<RelPath>,
    /// Bytes that have to be sent.
    pub bytes: u64,
}

/// Every unsent change, by path.
pub fn changes(tree: &Tree) -> Result<Vec<Change>, Failure> {
    let read = tree.meta().read(|rows| gather(tree, rows));
    read.map_err(|stop| match stop {
        Stop::Fatal(failure) => failure,
        Stop::Later(why) | Stop::Pending(why) | Stop::Link(why) => Failure::Scan(why),
        Stop::Conflict => Failure::Scan("a conflict is in the way".into()),
    })
}

/// How many objects a rule keeps on this host.
pub fn staying(tree: &Tree) -> Result<usize, Failure> {
    if tree.rules().is_empty() {
        return Ok(0);
    }
    let count = tree.meta().read(|rows| {
        let mut staying = Staying::new(tree.rules(), rows);
        let mut count = 0;
        for node in rows.dirty()? {
            count += usize::from(staying.has(&node)?);
        }
        Ok::<_, TreeError>(count)
    });
    count.map_err(Failure::Tree)
}

fn gather(tree: &Tree, rows: &Rows<'_>) -> Result<Vec<Change>, Stop> {
    let mut found = Vec::new();
    let mut staying = Staying::new(tree.rules(), rows);
    for node in rows.dirty()? {
        if staying.has(&node)? {
            continue;
        }
        if node.nlink > 0 {
            of_node(tree, rows, &node, &mut found)?;
        }
        if let Some(bid) = node.bid.filter(|_| node.dirty.has(Dirty::ENTRIES)) {
            of_removed(rows, bid, &mut found)?;
        }
    }
    found.sort();
    found.dedup();
    Ok(retyped(found))
}

fn of_node(tree: &Tree, rows: &Rows<'_>, node: &Node, found: &mut Vec<Change>) -> Result<(), Stop> {
    let base = node.bid.map(|bid| rows.base(bid)).transpose()?.flatten();
    let Some(base) = base else {
        for path in paths(rows, node)? {
            found.push(change(path, ChangeKind::Created, bytes_of(node)));
        }
        return Ok(());
    };
    let mut live = paths(rows, node)?;
    let mut before = base_paths(rows, base.bid)?;
    live.retain(|path| !before.contains(path) || !before.remove(path));
    let here = rows.path(node.ino)?.unwrap_or_default();
    let mut gone = before.into_iter();
    for path in live {
        let mut one = change(path, ChangeKind::Created, 0);
        if let Some(from) = gone.next() {
            one.kind = ChangeKind::Renamed;
            one.from = Some(from);
        }
        found.push(one);
    }
    found.extend(gone.map(|path| change(path, ChangeKind::Removed, 0)));
    if stored(tree, node, &base)? {
        found.push(change(here, ChangeKind::Stored, bytes_of(node)));
    } else if !same_attributes(node, &base) || !same_xattrs(&node.xattrs, &base) {
        found.push(change(here, ChangeKind::Attributes, 0));
    }
    Ok(())
}

fn stored(tree: &Tree, node: &Node, base: &crate::meta::BaseNode) -> Result<bool, Stop> {
    if !node.dirty.has(Dirty::BYTES) {
        return Ok(false);
    }
    Ok(match node.attrs.kind {
        Kind::File => !tree.is_clean(node.ino)?,
        Kind::Symlink => node.target != base.target,
        Kind::Char | Kind::Block => node.attrs.rdev != base.attrs.rdev,
        Kind::Dir | Kind::Fifo | Kind::Socket => false,
    })
}

/// What base has in a directory and no live name holds, with everything beneath that is not elsewhere by now.
fn of_removed(rows: &Rows<'_>, dir: Bid, found: &mut Vec<Change>) -> Result<(), Stop> {
    let mut left = vec![dir];
    let mut seen = BTreeSet::new();
    while let Some(dir) = left.pop() {
        for (name, child) in rows.base_entries(dir)? {
            if lives(rows, child)? {
                continue;
            }
            if let Some(path) = rows.base_path(dir)? {
                found.push(change(path.join(&name), ChangeKind::Removed, 0));
            }
            if seen.insert(child) {
                left.push(child);
            }
        }
    }
    Ok(())
}

fn lives(rows: &Rows<'_>, bid: Bid) -> Result<bool, Stop> {
    for ino in rows.nodes_of(bid)? {
        if rows.node(ino)?.is_some_and(|node| node.nlink > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn paths(rows: &Rows<'_>, node: &Node) -> Result<BTreeSet<RelPath>, Stop> {
    let mut paths = BTreeSet::new();
    for (parent, name) in rows.names(node.ino)? {
        if let Some(dir) = rows.path(parent)? {
            paths.insert(dir.join(&name));
        }
    }
    Ok(paths)
}

/// Where base has it, by live paths of its directories: what lies in a renamed directory is not renamed itself.
fn base_paths(rows: &Rows<'_>, bid: Bid) -> Result<BTreeSet<RelPath>, Stop> {
    let mut paths = BTreeSet::new();
    for (parent, name) in rows.base_places(bid)? {
        let mut dir = None;
        for ino in rows.nodes_of(parent)? {
            dir = dir.or(rows.path(ino)?);
        }
        let dir = match dir {
            Some(dir) => Some(dir),
            None => rows.base_path(parent)?,
        };
        paths.extend(dir.map(|dir| dir.join(&name)));
    }
    Ok(paths)
}

fn change(path: RelPath, kind: ChangeKind, bytes: u64) -> Change {
    Change {
        path,
        kind,
        from: None,
        bytes,
    }
}

fn bytes_of(node: &Node) -> u64 {
    match node.attrs.kind {
        Kind::File => node.attrs.size,
        _ => 0,
    }
}

/// Removed and created under one name is one change of kind.
fn retyped(found: Vec<Change>) -> Vec<Change> {
    let gone: BTreeSet<RelPath> = found
        .iter()
        .filter(|one| one.kind == ChangeKind::Removed)
        .map(|one| one.path.clone())
        .collect();
    let both: BTreeSet<RelPath> = found
        .iter()
        .filter(|one| one.kind == ChangeKind::Created && gone.contains(&one.path))
        .map(|one| one.path.clone())
        .collect();
    found
        .into_iter()
        .filter(|one| one.kind != ChangeKind::Removed || !both.contains(&one.path))
        .map(|mut one| {
            if one.kind == ChangeKind::Created && both.contains(&one.path) {
                one.kind = ChangeKind::Retyped;
            }
            one
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> RelPath {
        RelPath::parse(path.as_bytes()).unwrap()
    }

    #[test]
    fn removed_and_created_under_one_name_is_retyped() {
        let found = vec![
            change(at("a"), ChangeKind::Created, 3),
            change(at("a"), ChangeKind::Removed, 0),
            change(at("b"), ChangeKind::Removed, 0),
        ];
        let told = retyped(found);
        let letters: String = told.iter().map(|one| one.kind.letter()).collect();
        assert_eq!(letters, "TD");
    }
}
