//! The part of base and live that changes here touch: what a push of a few files needs to know.

use std::collections::HashSet;

use super::reading::Reading;
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
    let mut touching = Touching {
        read: Reading::new(rows)?,
        dirs: HashSet::new(),
        filled: HashSet::new(),
    };
    let mut staying = Staying::new(rules, rows);
    for node in rows.dirty()?.into_iter().filter(|node| node.nlink > 0) {
        if !staying.has(&node)? {
            touching.changed(&node)?;
        }
    }
    Ok(Touched {
        base: touching.read.base,
        live: touching.read.live,
        dirs: touching.dirs,
    })
}

struct Touching<'a, 'r> {
    read: Reading<'a, 'r>,
    dirs: HashSet<Bid>,
    filled: HashSet<Ino>,
}

impl Touching<'_, '_> {
    fn changed(&mut self, node: &Node) -> Result<(), MetaError> {
        for (dir, _) in self.read.rows.names(node.ino)? {
            self.live_dir(dir)?;
        }
        if let Some(bid) = node.bid {
            for (dir, _) in self.read.rows.base_places(bid)? {
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
        self.read.live_object(dir)?;
        for entry in self.read.rows.entries(dir, Cookie(0), ALL)? {
            self.read.live_object(entry.ino)?;
        }
        let bid = self.read.live.nodes.get(&dir).and_then(|node| node.bid);
        bid.map_or(Ok(()), |bid| self.base_dir(bid))
    }

    /// A base directory with all its names, and the live directories that descend from it. One that was removed here is
    /// followed downwards: the server may have filled it.
    fn base_dir(&mut self, dir: Bid) -> Result<(), MetaError> {
        if !self.dirs.insert(dir) {
            return Ok(());
        }
        self.read.base_object(dir)?;
        for (_, child) in self.read.rows.base_entries(dir)? {
            self.read.base_object(child)?;
            let is_dir = |tree: &BaseTree| {
                let node = tree.nodes.get(&child);
                node.is_some_and(|node| node.attrs.kind == Kind::Dir)
            };
            if is_dir(&self.read.base) && self.read.live_of(child)?.is_empty() {
                self.base_dir(child)?;
            }
        }
        for ino in self.read.live_of(dir)? {
            self.live_dir(ino)?;
        }
        Ok(())
    }
}
