//! The base tree.

use rusqlite::params;

use super::codec::{Cols, blob};
use super::open::MetaError;
use super::rows::{BaseNode, Rows};
use super::txn::WriteTxn;
use crate::model::{Bid, Name, ObjectId};

type Result<T> = std::result::Result<T, MetaError>;

pub(super) fn word(cols: &Cols<'_>) -> Result<BaseNode> {
    Ok(BaseNode {
        bid: Bid(cols.number(0)?),
        attrs: cols.blob(1)?,
        target: cols.get(2)?,
        xattrs: cols.maybe_blob(3)?,
        stamp: cols.blob(4)?,
        object: cols.maybe(5)?.map(ObjectId),
        hash: cols.hash(6)?,
    })
}

impl Rows<'_> {
    /// The base object of that number.
    pub fn base(&self, bid: Bid) -> Result<Option<BaseNode>> {
        let query =
            "SELECT bid, attrs, target, xattrs, stamp, object, hash FROM base_node WHERE bid = ?1";
        self.one("base_node", query, [bid.0 as i64], word)
    }

    /// Every base object.
    pub fn all_bases(&self) -> Result<Vec<BaseNode>> {
        let query =
            "SELECT bid, attrs, target, xattrs, stamp, object, hash FROM base_node ORDER BY bid";
        self.many("base_node", query, [], word)
    }

    /// What base has at a name.
    pub fn base_entry(&self, parent: Bid, name: &Name) -> Result<Option<Bid>> {
        let query = "SELECT bid FROM base_entry WHERE parent = ?1 AND name = ?2";
        self.one(
            "base_entry",
            query,
            params![parent.0 as i64, name.bytes()],
            |c| Ok(Bid(c.number(0)?)),
        )
    }

    /// All names of a base directory.
    pub fn base_entries(&self, parent: Bid) -> Result<Vec<(Name, Bid)>> {
        let query = "SELECT name, bid FROM base_entry WHERE parent = ?1 ORDER BY name";
        self.many("base_entry", query, [parent.0 as i64], |c| {
            Ok((c.name(0)?, Bid(c.number(1)?)))
        })
    }

    /// Every name of a base object.
    pub fn base_places(&self, bid: Bid) -> Result<Vec<(Bid, Name)>> {
        let query = "SELECT parent, name FROM base_entry WHERE bid = ?1 ORDER BY parent, name";
        self.many("base_entry", query, [bid.0 as i64], |c| {
            Ok((Bid(c.number(0)?), c.name(1)?))
        })
    }

    /// Base objects whose stamp has this lower number.
    pub fn base_of_lower(&self, lower_ino: u64) -> Result<Vec<Bid>> {
        let query = "SELECT bid FROM base_node WHERE lower_ino = ?1 ORDER BY bid";
        self.many("base_node", query, [lower_ino as i64], |c| {
            Ok(Bid(c.number(0)?))
        })
    }
}

impl WriteTxn<'_> {
    /// Stores a base object.
    pub fn put_base(&self, base: &BaseNode) -> Result<()> {
        let command = "
            INSERT INTO base_node(bid, kind, attrs, target, xattrs, stamp, lower_ino, object, hash)
            VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
            ON CONFLICT(bid) DO UPDATE SET kind = excluded.kind, attrs = excluded.attrs, target = excluded.target,
                xattrs = excluded.xattrs, stamp = excluded.stamp, lower_ino = excluded.lower_ino,
                object = excluded.object, hash = excluded.hash";
        let with = params![
            base.bid.0 as i64,
            base.attrs.kind as u8,
            blob(&base.attrs),
            base.target,
            base.xattrs.as_ref().map(blob),
            blob(&base.stamp),
            base.stamp.ino as i64,
            base.object.map(|id| id.0 as i64),
            base.hash.as_ref().map(|hash| &hash.0[..]),
        ];
        self.run("store a base object", command, with).map(|_| ())
    }

    /// Removes a base object with every name of it. Nodes that descended from it lose their `bid`.
    pub fn drop_base(&self, bid: Bid) -> Result<()> {
        let what = "remove a base object";
        let with = [bid.0 as i64];
        self.run(what, "DELETE FROM base_entry WHERE bid = ?1", with)?;
        // Not a change snapshots must remember: what a node descended from is no part of what they show.
        let nodes = self.nodes_of(bid)?;
        self.run(what, "UPDATE node SET bid = NULL WHERE bid = ?1", with)?;
        self.note(|pending| pending.orphan(&nodes));
        self.run(what, "DELETE FROM base_node WHERE bid = ?1", with)
            .map(|_| ())
    }

    /// Adds or replaces a name in the base tree.
    pub fn put_base_entry(&self, parent: Bid, name: &Name, bid: Bid) -> Result<()> {
        let command = "INSERT INTO base_entry(parent, name, bid) VALUES(?1, ?2, ?3)
            ON CONFLICT(parent, name) DO UPDATE SET bid = excluded.bid";
        let with = params![parent.0 as i64, name.bytes(), bid.0 as i64];
        self.run("store a base name", command, with).map(|_| ())
    }

    /// Removes a name from the base tree.
    pub fn drop_base_entry(&self, parent: Bid, name: &Name) -> Result<()> {
        let command = "DELETE FROM base_entry WHERE parent = ?1 AND name = ?2";
        self.run(
            "remove a base name",
            command,
            params![parent.0 as i64, name.bytes()],
        )
        .map(|_| ())
    }
}
