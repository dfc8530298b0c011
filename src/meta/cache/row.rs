//! A node packed: most have no target, no extended attributes and no live file, and epochs are small.

use crate::meta::Node;
use crate::model::{Attrs, Bid, Bytes, Cookie, Dirty, Epoch, Ino, Kind, LiveStat, Time, Xattrs};

/// One node of the live tree.
pub(in crate::meta) struct Row {
    /// Its number; 0: this place is free.
    pub(super) ino: u64,
    /// Where its only name is: the directory and the entry's cookie. 0: not known, or not its only one.
    pub(super) home: (u64, u64),
    /// The base object it descends from; 0: none.
    pub(super) bid: u64,
    rev: u64,
    size: u64,
    sec: [i64; 3],
    nsec: [u32; 3],
    uid: u32,
    gid: u32,
    pub(super) nlink: u32,
    dirty: u32,
    writer: u32,
    since: u32,
    bytes_since: u32,
    /// One more than the epoch; 0: none.
    listed: u32,
    fetched: u32,
    mode: u16,
    pub(super) kind: Kind,
    bytes: Bytes,
    durable: bool,
    /// One more than the 512-byte blocks its live file has; 0: not asked yet.
    pub(super) blocks: u32,
    rest: Option<Box<Rest>>,
}

/// What few nodes have.
struct Rest {
    target: Option<Vec<u8>>,
    xattrs: Xattrs,
    live_stat: Option<LiveStat>,
    rdev: u64,
}

impl Row {
    /// A node last changed in epoch `since`. `None` for numbers that do not fit, which no tree reaches.
    pub(in crate::meta) fn pack(node: &Node, since: Epoch) -> Option<Row> {
        let epoch = |epoch: Epoch| u32::try_from(epoch.0).ok();
        let maybe = |epoch: Option<Epoch>| u32::try_from(epoch.map_or(0, |e| e.0 + 1)).ok();
        let a = &node.attrs;
        let plain = node.target.is_none()
            && node.xattrs.is_empty()
            && node.live_stat.is_none()
            && a.rdev == 0;
        if node.bid == Some(Bid(0)) || node.ino == Ino(0) {
            return None;
        }
        Some(Row {
            ino: node.ino.0,
            home: (0, 0),
            bid: node.bid.map_or(0, |bid| bid.0),
            rev: node.rev,
            size: a.size,
            sec: [a.mtime.sec, a.ctime.sec, a.atime.sec],
            nsec: [a.mtime.nsec, a.ctime.nsec, a.atime.nsec],
            uid: a.uid,
            gid: a.gid,
            nlink: node.nlink,
            dirty: node.dirty.0,
            writer: node.writer,
            since: epoch(since)?,
            bytes_since: epoch(node.bytes_since)?,
            listed: maybe(node.listed)?,
            fetched: maybe(node.fetched)?,
            mode: u16::try_from(a.mode).ok()?,
            kind: a.kind,
            bytes: node.bytes,
            durable: node.durable,
            blocks: 0,
            rest: (!plain).then(|| {
                Box::new(Rest {
                    target: node.target.clone(),
                    xattrs: node.xattrs.clone(),
                    live_stat: node.live_stat,
                    rdev: a.rdev,
                })
            }),
        })
    }

    /// The node.
    pub(in crate::meta) fn unpack(&self) -> Node {
        let time = |n: usize| Time {
            sec: self.sec[n],
            nsec: self.nsec[n],
        };
        let maybe = |epoch: u32| epoch.checked_sub(1).map(|epoch| Epoch(epoch.into()));
        let rest = self.rest.as_deref();
        Node {
            ino: Ino(self.ino),
            bid: (self.bid != 0).then_some(Bid(self.bid)),
            attrs: Attrs {
                kind: self.kind,
                mode: self.mode.into(),
                uid: self.uid,
                gid: self.gid,
                rdev: rest.map_or(0, |rest| rest.rdev),
                size: self.size,
                mtime: time(0),
                ctime: time(1),
                atime: time(2),
            },
            nlink: self.nlink,
            target: rest.and_then(|rest| rest.target.clone()),
            xattrs: rest.map_or_else(Xattrs::new, |rest| rest.xattrs.clone()),
            since: Epoch(self.since.into()),
            bytes_since: Epoch(self.bytes_since.into()),
            rev: self.rev,
            dirty: Dirty(self.dirty),
            writer: self.writer,
            live_stat: rest.and_then(|rest| rest.live_stat),
            durable: self.durable,
            listed: maybe(self.listed),
            fetched: maybe(self.fetched),
            bytes: self.bytes,
        }
    }

    /// A place that holds no node.
    pub(super) fn free() -> Row {
        Row {
            ino: 0,
            home: (0, 0),
            bid: 0,
            rev: 0,
            size: 0,
            sec: [0; 3],
            nsec: [0; 3],
            uid: 0,
            gid: 0,
            nlink: 0,
            dirty: 0,
            writer: 0,
            since: 0,
            bytes_since: 0,
            listed: 0,
            fetched: 0,
            mode: 0,
            kind: Kind::File,
            bytes: Bytes::Absent,
            durable: false,
            blocks: 0,
            rest: None,
        }
    }

    /// True when whoever looks at `other` sees what this shows.
    pub(super) fn shows(&self, other: &Row) -> bool {
        let plain = |row: &Row| {
            (
                (row.kind, row.mode, row.uid, row.gid, row.nlink),
                (row.size, row.sec, row.nsec),
            )
        };
        let rest = |row: &Row| {
            let rest = row.rest.as_deref();
            rest.map(|rest| (rest.target.clone(), rest.xattrs.clone(), rest.rdev))
                .unwrap_or_default()
        };
        plain(self) == plain(other) && rest(self) == rest(other)
    }

    /// True for a directory all names of which are known.
    pub(super) fn is_listed(&self) -> bool {
        self.listed != 0
    }

    /// True when a node like this has one name and no more.
    pub(super) fn has_one_name(&self) -> bool {
        self.ino != Ino::ROOT.0 && self.nlink > 0 && (self.kind == Kind::Dir || self.nlink == 1)
    }

    /// Where its only name is, if that is known.
    pub(super) fn only_name(&self) -> Option<(Ino, Cookie)> {
        let known = self.has_one_name() && self.home.0 != 0;
        known.then_some((Ino(self.home.0), Cookie(self.home.1)))
    }
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
                ctime: time(i64::MAX, 1),
                atime: time(i64::MIN, 2),
            },
            nlink: 4,
            target: Some(b"t".to_vec()),
            xattrs: Xattrs::from([(b"user.a".to_vec(), b"b".to_vec())]),
            since: Epoch(5),
            bytes_since: Epoch(4),
            rev: 1 << 50,
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
        assert_eq!(Row::pack(&node, node.since).unwrap().unpack(), node);
        (node.target, node.live_stat, node.bid) = (None, None, None);
        (node.xattrs, node.attrs.rdev) = (Xattrs::new(), 0);
        let row = Row::pack(&node, node.since).unwrap();
        assert!(row.rest.is_none());
        assert_eq!(row.unpack(), node);
        assert!(size_of::<Row>() <= 144, "{}", size_of::<Row>());
        node.since = Epoch(1 << 40);
        assert!(Row::pack(&node, node.since).is_none());
    }
}
