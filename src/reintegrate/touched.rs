//! The part of base and live that changes here touch: what a push of a few files needs to know.

use std::collections::HashSet;

use super::trees::{BaseTree, LiveTree};
use crate::meta::{MetaError, Node, Rows};
use crate::model::{Bid, Cookie, Dirty, Ino, Kind};
use crate::rules::Rules;
use crate::tree::Staying;

/// More names than a directory can have here.
const ALL: usize = u32::MAX as usize;

/// The touched part.
pub(super) struct Touched {
    pub(super) base: BaseTree,
    pub(super) live: LiveTree,
    /// Base directories whose names must be compared.
    pub(super) dirs: HashSet<Bid>,
}

/// Reads the directories that changed nodes lie in, lay in, or are, with all names in them; of everything above, only the
/// way to the root.
/// What a rule keeps on this host touches nothing.
pub(super) fn touched(rows: &Rows<'_>, rules: &Rules) -> Result<Touched, MetaError> {
    let mut reading = Reading {
        rows,
        base: BaseTree::default(),
        live: LiveTree::default(),
        dirs: HashSet::new(),
        filled: HashSet::new(),
    };
    reading.base_object(Bid::ROOT)?;
    reading.live_object(Ino::ROOT)?;
    let mut staying = Staying::new(rules, rows);
    for node in rows.dirty()?.into_iter().filter(|node| node.nlink > 0) {
        if !staying.has(&node)? {
            reading.changed(&node)?;
        }
    }
    Ok(Touched {
        base: reading.base,
        live: reading.live,
        dirs: reading.dirs,
    })
}

struct Reading<'a, 'r> {
    rows: &'a Rows<'r>,
    base: BaseTree,
    live: LiveTree,
    dirs: HashSet<Bid>,
    filled: HashSet<Ino>,
}

impl Reading<'_, '_> {
    fn changed(&mut self, node: &Node) -> Result<(), MetaError> {
        for (dir, _) in self.rows.names(node.ino)? {
            self.live_dir(dir)?;
        }
        if let Some(bid) = node.bid {
            for (dir, _) in self.rows.base_places(bid)? {
                self.base_dir(dir)?;
            }
        }
        if node.attrs.kind == Kind::Dir && node.dirty.has(Dirty::ENTRIES) {
            self.live_dir(node.ino)?;
        }
        Ok(())
    }

    /// A live directory with all its names, and the base directory it descends from.
    fn live_dir(&mut self, dir: Ino) -> Result<(), MetaError> {
        if !self.filled.insert(dir) {
            return Ok(());
        }
        self.live_object(dir)?;
        for entry in self.rows.entries(dir, Cookie(0), ALL)? {
            self.live_object(entry.ino)?;
        }
        let bid = self.live.nodes.get(&dir).and_then(|node| node.bid);
        bid.map_or(Ok(()), |bid| self.base_dir(bid))
    }

    /// A base directory with all its names, and the live directories that descend from it. One that was removed here is
    /// followed downwards: the server may have filled it.
    fn base_dir(&mut self, dir: Bid) -> Result<(), MetaError> {
        if !self.dirs.insert(dir) {
            return Ok(());
        }
        self.base_object(dir)?;
        for (_, child) in self.rows.base_entries(dir)? {
            self.base_object(child)?;
            let is_dir = |tree: &BaseTree| {
                let node = tree.nodes.get(&child);
                node.is_some_and(|node| node.attrs.kind == Kind::Dir)
            };
            if is_dir(&self.base) && self.live_of(child)?.is_empty() {
                self.base_dir(child)?;
            }
        }
        for ino in self.live_of(dir)? {
            self.live_dir(ino)?;
        }
        Ok(())
    }

    fn live_of(&self, bid: Bid) -> Result<Vec<Ino>, MetaError> {
        let mut named = Vec::new();
        for ino in self.rows.nodes_of(bid)? {
            let node = self.rows.node(ino)?;
            named.extend(node.filter(|node| node.nlink > 0).map(|node| node.ino));
        }
        Ok(named)
    }

    /// A base object with its names, the way to the root, and its live nodes.
    fn base_object(&mut self, bid: Bid) -> Result<(), MetaError> {
        if self.base.nodes.contains_key(&bid) {
            return Ok(());
        }
        let Some(node) = self.rows.base(bid)? else {
            return Ok(());
        };
        self.base.put(node);
        for (dir, name) in self.rows.base_places(bid)? {
            self.base.name(dir, name, bid);
            self.base_object(dir)?;
        }
        for ino in self.live_of(bid)? {
            self.live_object(ino)?;
        }
        Ok(())
    }

    /// A live node with its names, the way to the root, and its base object.
    fn live_object(&mut self, ino: Ino) -> Result<(), MetaError> {
        if self.live.nodes.contains_key(&ino) {
            return Ok(());
        }
        let Some(node) = self.rows.node(ino)? else {
            return Ok(());
        };
        let bid = node.bid;
        self.live.put(node);
        for (dir, name) in self.rows.names(ino)? {
            self.live.name(dir, name, ino);
            self.live_object(dir)?;
        }
        bid.map_or(Ok(()), |bid| self.base_object(bid))
    }
}
