//! Rows as a comparison of both sides reads them: a directory at a time, so that it need not hold the tree.

use std::collections::HashSet;

use super::open::MetaError;
use super::rows::{BaseNode, Rows};
use crate::model::{Bid, Ino, Name};

type Result<T> = std::result::Result<T, MetaError>;

impl Rows<'_> {
    /// Hands over every name of a base directory with what it names, in the order of the names.
    pub fn each_base_child(&self, parent: Bid, mut work: impl FnMut(Name, BaseNode)) -> Result<()> {
        let query = "SELECT b.bid, b.attrs, b.target, b.xattrs, b.stamp, b.object, b.hash, e.name
            FROM base_entry AS e JOIN base_node AS b ON b.bid = e.bid WHERE e.parent = ?1 ORDER BY e.name";
        // Nothing is collected: a vector of `()` takes no room.
        self.many("base_entry", query, [parent.0 as i64], |c| {
            work(c.name(7)?, super::bases::word(c)?);
            Ok(())
        })
        .map(drop)
    }

    /// True when base has a name in a directory.
    pub fn base_has_children(&self, parent: Bid) -> Result<bool> {
        let query = "SELECT 1 FROM base_entry WHERE parent = ?1 LIMIT 1";
        let found = self.one("base_entry", query, [parent.0 as i64], |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// Base objects with more names than one.
    pub fn linked_bases(&self) -> Result<HashSet<Bid>> {
        let query = "SELECT bid FROM base_entry GROUP BY bid HAVING count(*) > 1";
        let found = self.many("base_entry", query, [], |c| Ok(Bid(c.number(0)?)))?;
        Ok(found.into_iter().collect())
    }

    /// How many base objects there are.
    pub fn count_bases(&self) -> Result<u64> {
        let query = "SELECT count(*) FROM base_node";
        let count = self.one("base_node", query, [], |c| c.number(0))?;
        Ok(count.unwrap_or(0))
    }

    /// Nodes with a name whose dirty set is not empty.
    pub fn marked(&self) -> Result<Vec<Ino>> {
        let query = "SELECT ino FROM node WHERE dirty <> 0 AND nlink > 0";
        self.many("node", query, [], |c| Ok(Ino(c.number(0)?)))
    }

    /// Base objects that no live node with a name descends from.
    pub fn bases_without_node(&self) -> Result<Vec<Bid>> {
        let query = "SELECT bid FROM base_node AS b WHERE NOT EXISTS
            (SELECT 1 FROM node AS n WHERE n.bid = b.bid AND n.nlink > 0)";
        self.many("base_node", query, [], |c| Ok(Bid(c.number(0)?)))
    }

    /// Live nodes with a name that no mark tells of and that are more than a copy of base all the same: without a base
    /// object, or with attributes that never leave this host.
    pub fn beyond_base(&self) -> Result<Vec<Ino>> {
        let query = "SELECT ino FROM node WHERE nlink > 0
            AND (bid IS NULL OR instr(xattrs, CAST('security.' AS BLOB)) > 0)";
        self.many("node", query, [], |c| Ok(Ino(c.number(0)?)))
    }

    /// Directories whose names are all known.
    pub fn listed_dirs(&self) -> Result<Vec<Ino>> {
        let query =
            "SELECT ino FROM node WHERE kind = 2 AND listed IS NOT NULL AND nlink > 0 ORDER BY ino";
        self.many("node", query, [], |c| Ok(Ino(c.number(0)?)))
    }
}
