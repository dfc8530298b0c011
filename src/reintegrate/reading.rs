//! Parts of base and live: some objects, each with all its names, its way to the root, and what it is in the other tree.

use super::trees::{BaseTree, LiveTree};
use crate::meta::{MetaError, Rows};
use crate::model::{Bid, Ino};

/// Both trees, as far as they were read.
pub(super) struct Reading<'a, 'r> {
    pub(super) rows: &'a Rows<'r>,
    pub(super) base: BaseTree,
    pub(super) live: LiveTree,
    bids: Vec<Bid>,
    inos: Vec<Ino>,
}

impl<'a, 'r> Reading<'a, 'r> {
    /// The roots alone.
    pub(super) fn new(rows: &'a Rows<'r>) -> Result<Reading<'a, 'r>, MetaError> {
        let mut reading = Reading {
            rows,
            base: BaseTree::default(),
            live: LiveTree::default(),
            bids: Vec::new(),
            inos: Vec::new(),
        };
        reading.base_object(Bid::ROOT)?;
        reading.live_object(Ino::ROOT)?;
        Ok(reading)
    }

    /// A base object with its names, the way to the root, and its live nodes.
    pub(super) fn base_object(&mut self, bid: Bid) -> Result<(), MetaError> {
        self.bids.push(bid);
        self.read_all()
    }

    /// A live node with its names, the way to the root, and its base object.
    pub(super) fn live_object(&mut self, ino: Ino) -> Result<(), MetaError> {
        self.inos.push(ino);
        self.read_all()
    }

    /// Live nodes with a name that descend from a base object.
    pub(super) fn live_of(&self, bid: Bid) -> Result<Vec<Ino>, MetaError> {
        let mut named = Vec::new();
        for ino in self.rows.nodes_of(bid)? {
            let node = self.rows.node(ino)?;
            named.extend(node.filter(|node| node.nlink > 0).map(|node| node.ino));
        }
        Ok(named)
    }

    /// One thing leads to others; a list instead of calls, as trees may be very deep.
    fn read_all(&mut self) -> Result<(), MetaError> {
        loop {
            if let Some(bid) = self.bids.pop() {
                self.read_base(bid)?;
            } else if let Some(ino) = self.inos.pop() {
                self.read_live(ino)?;
            } else {
                return Ok(());
            }
        }
    }

    fn read_base(&mut self, bid: Bid) -> Result<(), MetaError> {
        if self.base.nodes.contains_key(&bid) {
            return Ok(());
        }
        let Some(node) = self.rows.base(bid)? else {
            return Ok(());
        };
        self.base.put(node);
        for (dir, name) in self.rows.base_places(bid)? {
            self.base.name(dir, name, bid);
            self.bids.push(dir);
        }
        let inos = self.live_of(bid)?;
        self.inos.extend(inos);
        Ok(())
    }

    fn read_live(&mut self, ino: Ino) -> Result<(), MetaError> {
        if self.live.nodes.contains_key(&ino) {
            return Ok(());
        }
        let Some(node) = self.rows.node(ino)? else {
            return Ok(());
        };
        self.bids.extend(node.bid);
        self.live.put(node);
        for (dir, name) in self.rows.names(ino)? {
            self.live.name(dir, name, ino);
            self.inos.push(dir);
        }
        Ok(())
    }
}
