//! Changes of rows that need no answer from the database: what the redo journal keeps, and what is stored later.
//!
//! A change says how a row is afterwards, never how it differs, so that carrying it out twice does no harm but for the
//! journal of what was done, which only appends.

use std::collections::HashMap;

use rusqlite::{Connection, Params, params};
use serde::{Deserialize, Serialize};

use super::codec::{blob, sql};
use super::open::MetaError;
use super::rows::{Entry, Node, Record};
use crate::model::{Epoch, Ino, Name};

type Result<T> = std::result::Result<T, MetaError>;

/// One change. The order of these and of their fields is a format on disk (`docs/formats.md`): who changes it raises
/// [`super::redo::FORMAT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Change {
    /// The node is this; `since` counts.
    PutNode(Box<Node>),
    /// There is no such node.
    DropNode(Ino),
    /// Snapshots before that epoch show the node as it is stored now.
    KeepNode(Ino, Epoch),
    /// The name is this.
    PutEntry(Entry),
    /// There is no such name.
    DropEntry(Ino, Name),
    /// Snapshots before that epoch show this name.
    KeepEntry(Entry, Epoch),
    /// Numbers of a sort are given below this one.
    Reserve(String, u64),
    /// This was done.
    Record(Box<Record>),
}

/// A set of tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tables(pub(super) u32);

/// The tables changes touch; the place of each is its bit.
const TABLES: [&str; 6] = [
    "node",
    "past_node",
    "entry",
    "past_entry",
    "counter",
    "record",
];

impl Tables {
    pub(super) fn and(self, other: Tables) -> Tables {
        Tables(self.0 | other.0)
    }

    /// True when a query names one of these tables.
    pub(super) fn are_in(self, query: &str) -> bool {
        self.0 != 0
            && query
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .filter_map(|word| TABLES.iter().position(|table| *table == word))
                .any(|at| self.0 & (1 << at) != 0)
    }
}

/// The tables all of them touch.
pub(super) fn touched(changes: &[Change]) -> Tables {
    Tables(changes.iter().fold(0, |all, change| all | change.table().0))
}

impl Change {
    /// The table it touches.
    fn table(&self) -> Tables {
        Tables(match self {
            Change::PutNode(_) | Change::DropNode(_) => 1,
            Change::KeepNode(..) => 2,
            Change::PutEntry(_) | Change::DropEntry(..) => 4,
            Change::KeepEntry(..) => 8,
            Change::Reserve(..) => 16,
            Change::Record(_) => 32,
        })
    }

    /// The node it is about, unless that is only the past or the journal.
    pub(super) fn node(&self) -> Option<Ino> {
        match self {
            Change::PutNode(node) => Some(node.ino),
            Change::DropNode(ino) => Some(*ino),
            Change::PutEntry(entry) => Some(entry.ino),
            _ => None,
        }
    }

    /// Stores it.
    pub(super) fn store(&self, db: &Connection) -> Result<()> {
        match self {
            Change::PutNode(node) => put_node(db, node),
            Change::DropNode(ino) => run(db, "remove a node", DROP_NODE, [ino.0 as i64]),
            Change::KeepNode(ino, now) => {
                let with = params![ino.0 as i64, now.0 as i64];
                run(db, "keep a node", KEEP_NODE, with)
            }
            Change::PutEntry(entry) => put_entry(db, entry),
            Change::DropEntry(parent, name) => {
                let with = params![parent.0 as i64, name.bytes()];
                run(db, "remove a name", DROP_ENTRY, with)
            }
            Change::KeepEntry(entry, now) => keep_entry(db, entry, *now),
            Change::Reserve(name, next) => {
                let with = params![name, *next as i64];
                run(db, "reserve numbers", RESERVE, with)
            }
            Change::Record(record) => put_record(db, record),
        }
    }
}

/// Stores all of them in their order. A node that is put again before anybody asks for it is stored once.
pub(super) fn store_all(db: &Connection, changes: &[Change]) -> Result<()> {
    let mut next: HashMap<Ino, usize> = HashMap::new();
    let mut idle = vec![false; changes.len()];
    for (at, change) in changes.iter().enumerate().rev() {
        match change {
            Change::PutNode(node) => {
                let later = next.insert(node.ino, at).map(|at| &changes[at]);
                idle[at] = matches!(later, Some(Change::PutNode(_) | Change::DropNode(_)));
            }
            Change::DropNode(ino) | Change::KeepNode(ino, _) => {
                next.insert(*ino, at);
            }
            _ => {}
        }
    }
    for (change, idle) in changes.iter().zip(idle) {
        if !idle {
            change.store(db)?;
        }
    }
    Ok(())
}

fn run(db: &Connection, what: &'static str, command: &str, with: impl Params) -> Result<()> {
    let mut statement = db.prepare_cached(command).map_err(sql(what))?;
    statement.execute(with).map(drop).map_err(sql(what))
}

fn put_node(db: &Connection, node: &Node) -> Result<()> {
    let xattrs = (!node.xattrs.is_empty()).then(|| blob(&node.xattrs));
    let with = params![
        node.ino.0 as i64,
        node.bid.map(|bid| bid.0 as i64),
        node.attrs.kind as u8,
        blob(&node.attrs),
        node.nlink,
        node.target,
        xattrs,
        node.since.0 as i64,
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
    run(db, "store a node", PUT_NODE, with)
}

fn put_entry(db: &Connection, entry: &Entry) -> Result<()> {
    let with = params![
        entry.parent.0 as i64,
        entry.name.bytes(),
        entry.ino.0 as i64,
        entry.cookie.0 as i64,
        entry.since.0 as i64
    ];
    run(db, "store a name", PUT_ENTRY, with)
}

fn keep_entry(db: &Connection, old: &Entry, now: Epoch) -> Result<()> {
    let with = params![
        old.parent.0 as i64,
        old.name.bytes(),
        old.since.0 as i64,
        now.0 as i64,
        old.ino.0 as i64,
        old.cookie.0 as i64
    ];
    run(db, "keep a name", KEEP_ENTRY, with)
}

fn put_record(db: &Connection, record: &Record) -> Result<()> {
    let with = params![
        record.when.sec,
        record.when.nsec,
        record.who.uid,
        record.who.gid,
        record.who.pid,
        record.program,
        record.ino.map(|ino| ino.0 as i64),
        record.path.bytes(),
        record.verb,
        record.detail
    ];
    run(db, "write the journal", PUT_RECORD, with)
}

const PUT_NODE: &str = "
INSERT INTO node(ino, bid, kind, attrs, nlink, target, xattrs, since, bytes_since, rev, dirty, writer, live_stat,
    durable, listed, fetched, presence)
VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
ON CONFLICT(ino) DO UPDATE SET bid = excluded.bid, kind = excluded.kind, attrs = excluded.attrs,
    nlink = excluded.nlink, target = excluded.target, xattrs = excluded.xattrs, since = excluded.since,
    bytes_since = excluded.bytes_since, rev = excluded.rev, dirty = excluded.dirty, writer = excluded.writer,
    live_stat = excluded.live_stat, durable = excluded.durable, listed = excluded.listed,
    fetched = excluded.fetched, presence = excluded.presence";

const DROP_NODE: &str = "DELETE FROM node WHERE ino = ?1";

const KEEP_NODE: &str = "
INSERT OR REPLACE INTO past_node(ino, from_epoch, to_epoch, bid, kind, attrs, nlink, target, xattrs, bytes_since, rev,
    dirty, writer, live_stat, durable, listed, fetched, presence)
SELECT ino, since, ?2, bid, kind, attrs, nlink, target, xattrs, bytes_since, rev, dirty, writer, live_stat, durable,
    listed, fetched, presence FROM node WHERE ino = ?1";

const PUT_ENTRY: &str = "
INSERT INTO entry(parent, name, ino, cookie, since) VALUES(?1, ?2, ?3, ?4, ?5)
ON CONFLICT(parent, name) DO UPDATE SET ino = excluded.ino, cookie = excluded.cookie, since = excluded.since";

const DROP_ENTRY: &str = "DELETE FROM entry WHERE parent = ?1 AND name = ?2";

const KEEP_ENTRY: &str = "
INSERT OR REPLACE INTO past_entry(parent, name, from_epoch, to_epoch, ino, cookie) VALUES(?1, ?2, ?3, ?4, ?5, ?6)";

const RESERVE: &str = "
INSERT INTO counter(name, next) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET next = excluded.next";

const PUT_RECORD: &str = "
INSERT INTO record(sec, nsec, uid, gid, pid, program, ino, path, verb, detail)
VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

#[cfg(test)]
mod tests {
    use super::*;

    /// Journals of another build must be read as they were meant: whoever changes what this test sees raises
    /// [`super::super::redo::FORMAT`].
    #[test]
    fn the_format_on_disk_is_this_one() {
        use crate::model::{Cookie, RelPath, Time, Who};
        let name = Name::try_from("n").unwrap();
        let entry = Entry {
            parent: Ino(1),
            name: name.clone(),
            ino: Ino(2),
            cookie: Cookie(3),
            since: Epoch(4),
        };
        let record = Record {
            seq: 0,
            when: Time { sec: 5, nsec: 6 },
            who: Who::DRIFTFS,
            program: "p".to_owned(),
            ino: Some(Ino(2)),
            path: RelPath::root(),
            verb: "v".to_owned(),
            detail: "d".to_owned(),
        };
        let node = crate::meta::first::live_root();
        let all = [
            Change::PutNode(Box::new(node)),
            Change::DropNode(Ino(2)),
            Change::KeepNode(Ino(2), Epoch(4)),
            Change::PutEntry(entry.clone()),
            Change::DropEntry(Ino(1), name),
            Change::KeepEntry(entry, Epoch(4)),
            Change::Reserve("ino".to_owned(), 9),
            Change::Record(Box::new(record)),
        ];
        let bytes: Vec<Vec<u8>> = all
            .iter()
            .map(|one| postcard::to_stdvec(one).unwrap())
            .collect();
        let hex = |bytes: &Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let hex: Vec<String> = bytes.iter().map(hex).collect();
        assert_eq!(hex, FORMAT_1);
    }

    const FORMAT_1: [&str; 8] = [
        "0001010101ed030000000000000000000002000001010000000001000001",
        "0102",
        "020204",
        "0301016e020304",
        "0401016e",
        "0501016e02030404",
        "0603696e6f09",
        "07000a06000000017001020001760164",
    ];

    #[test]
    fn queries_are_known_by_the_tables_they_name() {
        let touched = Tables(1 | 4);
        assert!(touched.are_in("SELECT x FROM node WHERE ino = ?1"));
        assert!(touched.are_in("SELECT 1 FROM past_entry, entry"));
        assert!(!touched.are_in("SELECT bid FROM base_entry JOIN base_node WHERE past_node"));
        assert!(!Tables(0).are_in("SELECT x FROM node"));
    }
}
