//! Live nodes, and as snapshots show them.

use rusqlite::params;

use super::codec::{Cols, blob};
use super::open::MetaError;
use super::rows::{Node, Rows};
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
    Ok(Node {
        ino: Ino(cols.number(0)?),
        bid: cols.maybe(1)?.map(Bid),
        attrs: cols.blob(2)?,
        nlink: cols.small(3)?,
        target: cols.get(4)?,
        xattrs: cols.maybe_blob(5)?.unwrap_or_default(),
        since: Epoch(cols.number(6)?),
        bytes_since: Epoch(cols.number(7)?),
        rev: cols.number(8)?,
        dirty: Dirty(cols.small(9)?),
        writer: cols.small(10)?,
        live_stat: cols.maybe_blob::<LiveStat>(11)?,
        durable: cols.get(12)?,
        listed: cols.maybe(13)?.map(Epoch),
        fetched: cols.maybe(14)?.map(Epoch),
        bytes: if cols.number(15)? == 0 {
            Bytes::Absent
        } else {
            Bytes::Here
        },
    })
}

impl Rows<'_> {
    /// The node of that number.
    pub fn node(&self, ino: Ino) -> Result<Option<Node>> {
        let query = concat!("SELECT ", columns!("since"), " FROM node WHERE ino = ?1");
        self.one("node", query, [ino.0 as i64], word)
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
        self.keep_node(node.ino)?;
        let xattrs = (!node.xattrs.is_empty()).then(|| blob(&node.xattrs));
        let with = params![
            node.ino.0 as i64,
            node.bid.map(|bid| bid.0 as i64),
            node.attrs.kind as u8,
            blob(&node.attrs),
            node.nlink,
            node.target,
            xattrs,
            self.epoch_now()?.0 as i64,
            node.bytes_since.0 as i64,
            node.rev as i64,
            node.dirty.0,
            node.writer,
            node.live_stat.as_ref().map(blob),
            node.durable,
            node.listed.map(|epoch| epoch.0 as i64),
            node.fetched.map(|epoch| epoch.0 as i64),
            node.bytes as u8,
        ];
        self.run("store a node", PUT, with).map(|_| ())
    }

    /// Removes a node row (its pre-image is kept for snapshots that show it).
    pub fn drop_node(&self, ino: Ino) -> Result<()> {
        self.keep_node(ino)?;
        self.run(
            "remove a node",
            "DELETE FROM node WHERE ino = ?1",
            [ino.0 as i64],
        )
        .map(|_| ())
    }

    /// Copies the row into the past if a snapshot shows it.
    fn keep_node(&self, ino: Ino) -> Result<()> {
        let query = "SELECT since FROM node WHERE ino = ?1";
        let since = self.one("node", query, [ino.0 as i64], |c| c.number(0))?;
        let now = self.epoch_now()?;
        let Some(since) = since.map(Epoch).filter(|since| *since < now) else {
            return Ok(());
        };
        if self.shown(since, now)? {
            self.run("keep a node", KEEP, params![ino.0 as i64, now.0 as i64])?;
        }
        Ok(())
    }
}

const PUT: &str = "
INSERT INTO node(ino, bid, kind, attrs, nlink, target, xattrs, since, bytes_since, rev, dirty, writer, live_stat,
    durable, listed, fetched, presence)
VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
ON CONFLICT(ino) DO UPDATE SET bid = excluded.bid, kind = excluded.kind, attrs = excluded.attrs,
    nlink = excluded.nlink, target = excluded.target, xattrs = excluded.xattrs, since = excluded.since,
    bytes_since = excluded.bytes_since, rev = excluded.rev, dirty = excluded.dirty, writer = excluded.writer,
    live_stat = excluded.live_stat, durable = excluded.durable, listed = excluded.listed,
    fetched = excluded.fetched, presence = excluded.presence";

const KEEP: &str = "
INSERT OR REPLACE INTO past_node(ino, from_epoch, to_epoch, bid, kind, attrs, nlink, target, xattrs, bytes_since, rev,
    dirty, writer, live_stat, durable, listed, fetched, presence)
SELECT ino, since, ?2, bid, kind, attrs, nlink, target, xattrs, bytes_since, rev, dirty, writer, live_stat, durable,
    listed, fetched, presence FROM node WHERE ino = ?1";
