//! Live nodes, and as snapshots show them.

use rusqlite::params;

use super::cache::Known;
use super::change::Change;
use super::codec::Cols;
use super::open::MetaError;
use super::rows::{Entry, Node, Rows};
use super::txn::WriteTxn;
use crate::model::{Bid, Bytes, Dirty, Epoch, Ino, LiveStat};

type Result<T> = std::result::Result<T, MetaError>;

/// The columns of a node in the order of [`word`]; `$since` is `since`, or `from_epoch` in past rows.
macro_rules! columns {
    ($since:literal) => {
        concat!(
            "ino, bid, attrs, nlink, target, xattrs, ",
            $since,
            ", bytes_since, rev, dirty, writer, live_stat, durable, listed, fetched, presence"
        )
    };
}

const LIVE: &str = columns!("since");

fn word(cols: &Cols<'_>) -> Result<Node> {
    word_from(cols, 0)
}

/// A node whose columns begin with the one at `n`.
fn word_from(cols: &Cols<'_>, n: usize) -> Result<Node> {
    Ok(Node {
        ino: Ino(cols.number(n)?),
        bid: cols.maybe(n + 1)?.map(Bid),
        attrs: cols.blob(n + 2)?,
        nlink: cols.small(n + 3)?,
        target: cols.get(n + 4)?,
        xattrs: cols.maybe_blob(n + 5)?.unwrap_or_default(),
        since: Epoch(cols.number(n + 6)?),
        bytes_since: Epoch(cols.number(n + 7)?),
        rev: cols.number(n + 8)?,
        dirty: Dirty(cols.small(n + 9)?),
        writer: cols.small(n + 10)?,
        live_stat: cols.maybe_blob::<LiveStat>(n + 11)?,
        durable: cols.get(n + 12)?,
        listed: cols.maybe(n + 13)?.map(Epoch),
        fetched: cols.maybe(n + 14)?.map(Epoch),
        bytes: if cols.number(n + 15)? == 0 {
            Bytes::Absent
        } else {
            Bytes::Here
        },
    })
}

impl Rows<'_> {
    /// The node of that number.
    pub fn node(&self, ino: Ino) -> Result<Option<Node>> {
        if let Known::Is(node) = self.known_node(ino) {
            self.check(|| Ok((node.clone(), self.stored_node(ino)?)))?;
            return Ok(node);
        }
        let node = self.stored_node(ino)?;
        if let Some(node) = &node {
            self.keep_node(node);
        }
        Ok(node)
    }

    pub(super) fn stored_node(&self, ino: Ino) -> Result<Option<Node>> {
        let query = concat!("SELECT ", columns!("since"), " FROM node WHERE ino = ?1");
        self.one("node", query, [ino.0 as i64], word)
    }

    /// The entries of a directory in no order, each with its node, at most `limit`.
    pub(super) fn children(&self, parent: Ino, limit: usize) -> Result<Vec<(Entry, Option<Node>)>> {
        let query = concat!(
            "SELECT e.parent, e.name, e.ino, e.cookie, e.since, n.* FROM entry AS e LEFT JOIN (SELECT ",
            columns!("since"),
            " FROM node) AS n ON n.ino = e.ino WHERE e.parent = ?1 LIMIT ?2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.many("entry", query, params![parent.0 as i64, limit], |c| {
            let entry = super::entries::word(c)?;
            let node = match c.maybe(5)? {
                Some(_) => Some(word_from(c, 5)?),
                None => None,
            };
            Ok((entry, node))
        })
    }

    /// Live nodes descending from a base object, lowest number first.
    pub fn nodes_of(&self, bid: Bid) -> Result<Vec<Ino>> {
        let query = "SELECT ino FROM node WHERE bid = ?1 ORDER BY ino";
        self.many("node", query, [bid.0 as i64], |c| Ok(Ino(c.number(0)?)))
    }

    /// Every node whose dirty set is not empty.
    pub fn dirty(&self) -> Result<Vec<Node>> {
        self.nodes_where("dirty <> 0")
    }

    /// Every node without a name (`nlink` 0).
    pub fn orphans(&self) -> Result<Vec<Ino>> {
        let query = "SELECT ino FROM node WHERE nlink = 0 ORDER BY ino";
        self.many("node", query, [], |c| Ok(Ino(c.number(0)?)))
    }

    /// Every node. For whole-tree work (check, export, scan).
    pub fn all_nodes(&self) -> Result<Vec<Node>> {
        self.nodes_where("1")
    }

    fn nodes_where(&self, condition: &str) -> Result<Vec<Node>> {
        let query = format!("SELECT {LIVE} FROM node WHERE {condition} ORDER BY ino");
        self.many("node", &query, [], word)
    }

    /// Directories that are not listed yet, nearest to the root first, at most `limit`. Of very many only the lowest
    /// numbers are compared, so that asking again and again costs the same in a tree of any size.
    pub fn unlisted(&self, limit: usize) -> Result<Vec<Ino>> {
        let query = "SELECT ino FROM node WHERE kind = 2 AND listed IS NULL AND nlink > 0 ORDER BY ino LIMIT ?1";
        let some = limit.max(512) as i64;
        let found = self.many("node", query, [some], |c| Ok(Ino(c.number(0)?)))?;
        let mut deep = Vec::new();
        for ino in found {
            if let Some(path) = self.path(ino)? {
                deep.push((path.names().len(), ino));
            }
        }
        deep.sort_unstable();
        Ok(deep.into_iter().take(limit).map(|(_, ino)| ino).collect())
    }

    /// How many directories are not listed yet.
    pub fn count_unlisted(&self) -> Result<u64> {
        let query = "SELECT count(*) FROM node WHERE kind = 2 AND listed IS NULL AND nlink > 0";
        let count = self.one("node", query, [], |c| c.number(0))?;
        Ok(count.unwrap_or(0))
    }

    /// The node as it was in `epoch`; `None` if it did not exist then.
    pub fn node_at(&self, epoch: Epoch, ino: Ino) -> Result<Option<Node>> {
        let query = concat!(
            "SELECT ",
            columns!("from_epoch"),
            " FROM past_node WHERE ino = ?1 AND from_epoch <= ?2 AND to_epoch > ?2"
        );
        let with = params![ino.0 as i64, epoch.0 as i64];
        if let Some(past) = self.one("past_node", query, with, word)? {
            return Ok(Some(past));
        }
        Ok(self.node(ino)?.filter(|node| node.since <= epoch))
    }
}

impl WriteTxn<'_> {
    /// Stores a node. If a snapshot may still show the old row (`since` before the current epoch), that one is kept in
    /// `past_node` first. `since` is set by this call; `bytes_since` is the caller's.
    pub fn put_node(&self, node: &Node) -> Result<()> {
        let was_there = self.keep_past_node(node.ino)?;
        let since = self.epoch()?;
        let row = Node {
            since,
            ..node.clone()
        };
        self.change(Change::PutNode(Box::new(row)))?;
        self.note(|pending| pending.put_node(node, since, !was_there));
        Ok(())
    }

    /// Removes a node row (its pre-image is kept for snapshots that show it).
    pub fn drop_node(&self, ino: Ino) -> Result<()> {
        self.keep_past_node(ino)?;
        self.change(Change::DropNode(ino))?;
        self.note(|pending| pending.drop_node(ino));
        Ok(())
    }

    /// Copies the row into the past if a snapshot shows it. True when there is one.
    fn keep_past_node(&self, ino: Ino) -> Result<bool> {
        let Some(old) = self.node(ino)? else {
            return Ok(false);
        };
        let now = self.epoch()?;
        if old.since < now && self.shown(old.since, now)? {
            self.change(Change::KeepNode(ino, now))?;
        }
        Ok(true)
    }
}
