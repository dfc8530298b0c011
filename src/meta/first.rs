//! The rows every database has from the start.

use super::open::MetaError;
use super::rows::{BaseNode, Node};
use super::txn::WriteTxn;
use crate::model::{Attrs, Bid, Bytes, Dirty, Epoch, Ino, Kind, Stamp, Time, Xattrs};

/// Adds the two roots when they are not there.
pub(super) fn rows(txn: &WriteTxn<'_>) -> Result<(), MetaError> {
    if txn.node(Ino::ROOT)?.is_some() {
        return Ok(());
    }
    txn.put_base(&base_root())?;
    txn.put_node(&live_root())
}

fn attrs() -> Attrs {
    Attrs {
        kind: Kind::Dir,
        mode: 0o755,
        uid: 0,
        gid: 0,
        rdev: 0,
        size: 0,
        mtime: Time::default(),
        ctime: Time::default(),
        atime: Time::default(),
    }
}

pub(super) fn live_root() -> Node {
    Node {
        ino: Ino::ROOT,
        bid: Some(Bid::ROOT),
        attrs: attrs(),
        nlink: 2,
        target: None,
        xattrs: Xattrs::new(),
        since: Epoch(1),
        bytes_since: Epoch(1),
        rev: 0,
        dirty: Dirty::CLEAN,
        writer: 0,
        live_stat: None,
        durable: true,
        listed: None,
        fetched: None,
        bytes: Bytes::Here,
    }
}

/// A stamp that equals nothing: the first look at the lower replaces it.
fn base_root() -> BaseNode {
    BaseNode {
        bid: Bid::ROOT,
        attrs: attrs(),
        target: None,
        xattrs: None,
        stamp: Stamp {
            kind: Kind::Dir,
            size: 0,
            mtime: Time::default(),
            ctime: Time::default(),
            ino: 0,
            btime: None,
            hash: None,
            racy: true,
        },
        object: None,
        hash: None,
    }
}
