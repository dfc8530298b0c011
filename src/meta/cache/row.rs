//! A node packed: most have no target, no extended attributes and no live file, and what they do have many share.

use std::collections::HashMap;

use crate::meta::Node;
use crate::model::{Attrs, Bid, Bytes, Cookie, Dirty, Epoch, Ino, Kind, LiveStat, Time, Xattrs};

/// One node of the live tree.
pub(super) struct Row {
    /// Its number; 0: this place is free.
    pub(super) ino: u64,
    /// Where its only name is: the directory and the entry's cookie. 0: not known, or not its only one.
    pub(super) home: u64,
    cookie: u32,
    /// The base object it descends from; 0: none.
    bid: u32,
    rev: u32,
    class: u32,
    size: u64,
    /// Nanoseconds since 1970: of mtime, ctime, atime.
    times: [i64; 3],
    live: Option<Box<Live>>,
    rest: Option<Box<Rest>>,
    /// One more than the 512-byte blocks its live file has; 0: not asked yet.
    pub(super) blocks: u32,
}

/// The stat of a live file.
struct Live {
    size: u64,
    times: [i64; 2],
}

/// What few nodes have.
struct Rest {
    target: Option<Vec<u8>>,
    xattrs: Xattrs,
    rdev: u64,
}

/// What many nodes have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Class {
    kind: Kind,
    mode: u32,
    uid: u32,
    gid: u32,
    nlink: u32,
    dirty: u32,
    writer: u32,
    since: Epoch,
    bytes_since: Epoch,
    listed: Option<Epoch>,
    fetched: Option<Epoch>,
    bytes: bool,
    durable: bool,
}

/// More kinds of nodes than this are not told apart: then everything begins anew.
const CLASSES: usize = 50_000;

/// What nodes have in common, each once.
#[derive(Default)]
pub(super) struct Classes {
    list: Vec<Class>,
    by_class: HashMap<Class, u32>,
}

fn nanos(time: Time) -> Option<i64> {
    time.sec
        .checked_mul(1_000_000_000)?
        .checked_add(time.nsec.into())
}

fn time(nanos: i64) -> Time {
    Time {
        sec: nanos.div_euclid(1_000_000_000),
        nsec: nanos.rem_euclid(1_000_000_000) as u32,
    }
}

impl Classes {
    /// True when no more can be told apart.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= CLASSES
    }

    fn number(&mut self, class: Class) -> Option<u32> {
        if let Some(number) = self.by_class.get(&class) {
            return Some(*number);
        }
        if self.is_full() {
            return None;
        }
        let number = self.list.len() as u32;
        self.list.push(class);
        self.by_class.insert(class, number);
        Some(number)
    }

    /// Packs a node. `None` for values that do not fit, which hardly any tree has.
    pub(super) fn pack(&mut self, node: &Node) -> Option<Row> {
        let a = &node.attrs;
        let bid = u32::try_from(node.bid.map_or(0, |bid| bid.0)).ok()?;
        if node.bid == Some(Bid(0)) || node.ino == Ino(0) {
            return None;
        }
        let live = match &node.live_stat {
            Some(live) => Some(Box::new(Live {
                size: live.size,
                times: [nanos(live.mtime)?, nanos(live.ctime)?],
            })),
            None => None,
        };
        let plain = node.target.is_none() && node.xattrs.is_empty() && a.rdev == 0;
        Some(Row {
            ino: node.ino.0,
            home: 0,
            cookie: 0,
            bid,
            rev: u32::try_from(node.rev).ok()?,
            size: a.size,
            times: [nanos(a.mtime)?, nanos(a.ctime)?, nanos(a.atime)?],
            live,
            rest: (!plain).then(|| {
                Box::new(Rest {
                    target: node.target.clone(),
                    xattrs: node.xattrs.clone(),
                    rdev: a.rdev,
                })
            }),
            blocks: 0,
            class: self.number(class(node))?,
        })
    }

    /// The node.
    pub(super) fn unpack(&self, row: &Row) -> Node {
        let class = self.of(row);
        let rest = row.rest.as_deref();
        Node {
            ino: Ino(row.ino),
            bid: (row.bid != 0).then_some(Bid(row.bid.into())),
            attrs: Attrs {
                kind: class.kind,
                mode: class.mode,
                uid: class.uid,
                gid: class.gid,
                rdev: rest.map_or(0, |rest| rest.rdev),
                size: row.size,
                mtime: time(row.times[0]),
                ctime: time(row.times[1]),
                atime: time(row.times[2]),
            },
            nlink: class.nlink,
            target: rest.and_then(|rest| rest.target.clone()),
            xattrs: rest.map_or_else(Xattrs::new, |rest| rest.xattrs.clone()),
            since: class.since,
            bytes_since: class.bytes_since,
            rev: row.rev.into(),
            dirty: Dirty(class.dirty),
            writer: class.writer,
            live_stat: row.live.as_deref().map(|live| LiveStat {
                size: live.size,
                mtime: time(live.times[0]),
                ctime: time(live.times[1]),
            }),
            durable: class.durable,
            listed: class.listed,
            fetched: class.fetched,
            bytes: if class.bytes {
                Bytes::Here
            } else {
                Bytes::Absent
            },
        }
    }

    fn of(&self, row: &Row) -> &Class {
        &self.list[row.class as usize]
    }

    /// True for a node that has one name and no more.
    pub(super) fn has_one_name(&self, row: &Row) -> bool {
        let class = self.of(row);
        let one = class.kind == Kind::Dir && class.nlink > 0 || class.nlink == 1;
        one && row.ino != Ino::ROOT.0
    }

    /// Where its only name is, if that is known: the directory and the entry's cookie.
    pub(super) fn only_name(&self, row: &Row) -> Option<(Ino, u32)> {
        let known = row.home != 0 && self.has_one_name(row);
        known.then_some((Ino(row.home), row.cookie))
    }
}

impl Row {
    /// A place that holds no node.
    pub(super) fn free() -> Row {
        Row {
            ino: 0,
            home: 0,
            cookie: 0,
            bid: 0,
            rev: 0,
            class: 0,
            size: 0,
            times: [0; 3],
            live: None,
            rest: None,
            blocks: 0,
        }
    }

    /// Notes where its only name is; nothing if the cookie does not fit.
    pub(super) fn set_home(&mut self, dir: Ino, cookie: Cookie) {
        (self.home, self.cookie) = match u32::try_from(cookie.0) {
            Ok(cookie) => (dir.0, cookie),
            Err(_) => (0, 0),
        };
    }

    /// Takes over where its name is from the row it replaces.
    pub(super) fn set_home_of(&mut self, other: &Row) {
        (self.home, self.cookie) = (other.home, other.cookie);
    }

    /// Where its name is must be asked.
    pub(super) fn unset_home(&mut self) {
        (self.home, self.cookie) = (0, 0);
    }

    /// Descends from no base object any more.
    pub(super) fn orphan(&mut self) {
        self.bid = 0;
    }
}

fn class(node: &Node) -> Class {
    Class {
        kind: node.attrs.kind,
        mode: node.attrs.mode,
        uid: node.attrs.uid,
        gid: node.attrs.gid,
        nlink: node.nlink,
        dirty: node.dirty.0,
        writer: node.writer,
        since: node.since,
        bytes_since: node.bytes_since,
        listed: node.listed,
        fetched: node.fetched,
        bytes: node.bytes == Bytes::Here,
        durable: node.durable,
    }
}

/// True when whoever looks at both sees the same.
pub(super) fn looks_the_same(one: &Node, other: &Node) -> bool {
    let shown = |node: &Node| Attrs {
        // Of a directory it says nothing.
        size: if node.attrs.kind == Kind::Dir {
            0
        } else {
            node.attrs.size
        },
        ..node.attrs
    };
    shown(one) == shown(other)
        && one.nlink == other.nlink
        && one.target == other.target
        && one.xattrs == other.xattrs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_loses_nothing_and_keeps_small() {
        let time = |sec, nsec| Time { sec, nsec };
        let mut node = Node {
            ino: Ino(77),
            bid: Some(Bid(9)),
            attrs: Attrs {
                kind: Kind::Char,
                mode: 0o7755,
                uid: u32::MAX,
                gid: 3,
                rdev: 1 << 40,
                size: u64::MAX,
                mtime: time(-1, 999_999_999),
                ctime: time(9_000_000_000, 1),
                atime: time(-9_000_000_000, 2),
            },
            nlink: 4,
            target: Some(b"t".to_vec()),
            xattrs: Xattrs::from([(b"user.a".to_vec(), b"b".to_vec())]),
            since: Epoch(5),
            bytes_since: Epoch(4),
            rev: 1 << 30,
            dirty: Dirty(31),
            writer: 8,
            live_stat: Some(LiveStat {
                size: 1,
                mtime: time(2, 3),
                ctime: time(4, 5),
            }),
            durable: true,
            listed: Some(Epoch(0)),
            fetched: None,
            bytes: Bytes::Here,
        };
        let mut classes = Classes::default();
        let row = classes.pack(&node).unwrap();
        assert_eq!(classes.unpack(&row), node);
        (node.target, node.live_stat, node.bid) = (None, None, None);
        (node.xattrs, node.attrs.rdev) = (Xattrs::new(), 0);
        let row = classes.pack(&node).unwrap();
        assert!(row.rest.is_none() && row.live.is_none());
        assert_eq!(classes.unpack(&row), node);
        assert_eq!(classes.list.len(), 1, "one class for both");
        assert!(size_of::<Row>() <= 88, "{}", size_of::<Row>());
        node.attrs.mtime.sec = i64::MAX;
        assert!(classes.pack(&node).is_none());
    }
}
