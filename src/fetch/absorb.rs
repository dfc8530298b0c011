//! The rows a lower object becomes: its base object and its live node, in the caller's transaction.

use crate::meta::{BaseNode, MetaError, Node, Record, WriteTxn};
use crate::model::{
    Attrs, Bid, Bytes, Dirty, Ino, Kind, Listed, Mask, Name, Observed, Problem, RelPath, Who,
};

/// The directory of base and of live that a listing goes into.
pub(super) struct Into<'a> {
    pub(super) bid: Bid,
    pub(super) node: &'a mut Node,
    pub(super) mask: Mask,
}

/// Names that are never brought here.
pub(super) fn reserved(name: &Name) -> bool {
    matches!(name.bytes(), b".drift" | b".driftfs")
}

/// The remark for a reserved name that a person would miss.
pub(super) fn reserved_problem(dir: &RelPath, name: &Name) -> Option<Problem> {
    (name.bytes() == b".drift").then(|| Problem {
        path: dir.join(name),
        reason: "the server has something called .drift, a name driftfs keeps for its own views, so it is not shown; \
                 rename it on the server: mv .drift drift-renamed"
            .into(),
    })
}

/// The base row of a lower object.
pub(super) fn base_of(bid: Bid, seen: &Observed) -> BaseNode {
    BaseNode {
        bid,
        attrs: seen.attrs,
        target: seen.target.clone(),
        xattrs: seen.xattrs.clone(),
        stamp: seen.stamp,
        object: None,
        hash: seen.stamp.hash,
    }
}

/// Adds a name that base does not have: a new object, or one more name of a hard-linked one (`known`).
/// Gives the live node.
pub(super) fn add(
    txn: &WriteTxn<'_>,
    into: &mut Into<'_>,
    entry: &Listed,
    known: Option<Bid>,
) -> Result<Ino, MetaError> {
    let bid = match known {
        Some(bid) => bid,
        None => {
            let bid = txn.new_bid()?;
            txn.put_base(&base_of(bid, &entry.seen))?;
            bid
        }
    };
    txn.put_base_entry(into.bid, &entry.name, bid)?;
    if let Some(ino) = one_more_name(txn, bid, known)? {
        txn.put_entry(into.node.ino, &entry.name, ino)?;
        return Ok(ino);
    }
    let node = new_node(txn, into, bid, &entry.seen, known.is_some())?;
    txn.put_node(&node)?;
    txn.put_entry(into.node.ino, &entry.name, node.ino)?;
    if node.attrs.kind == Kind::Dir {
        into.node.nlink += 1;
    }
    Ok(node.ino)
}

/// Counts one more name on the live node of a hard-linked object, if it still has one under a name.
fn one_more_name(
    txn: &WriteTxn<'_>,
    bid: Bid,
    known: Option<Bid>,
) -> Result<Option<Ino>, MetaError> {
    if known.is_none() {
        return Ok(None);
    }
    for ino in txn.nodes_of(bid)? {
        if let Some(mut node) = txn.node(ino)?.filter(|node| node.nlink > 0) {
            node.nlink += 1;
            txn.put_node(&node)?;
            return Ok(Some(ino));
        }
    }
    Ok(None)
}

fn new_node(
    txn: &WriteTxn<'_>,
    into: &Into<'_>,
    bid: Bid,
    seen: &Observed,
    other_names_gone: bool,
) -> Result<Node, MetaError> {
    let wanted = (seen.same_device && into.mask.ino).then_some(seen.stamp.ino);
    let epoch = txn.epoch()?;
    Ok(Node {
        ino: txn.new_ino(wanted)?,
        bid: Some(bid),
        attrs: seen.attrs,
        nlink: if seen.attrs.kind == Kind::Dir { 2 } else { 1 },
        target: seen.target.clone(),
        xattrs: seen.xattrs.clone().unwrap_or_default(),
        since: epoch,
        bytes_since: epoch,
        rev: 1,
        // The names this object had were removed here, and the server still has them.
        dirty: if other_names_gone {
            Dirty::NAMES
        } else {
            Dirty::CLEAN
        },
        writer: seen.attrs.uid,
        live_stat: None,
        durable: true,
        listed: None,
        fetched: None,
        bytes: Bytes::Absent,
    })
}

/// True when mode, owner or group differ.
pub(super) fn attributes_differ(a: &Attrs, b: &Attrs) -> bool {
    (a.mode, a.uid, a.gid) != (b.mode, b.uid, b.gid)
}

/// Takes a directory's own attributes into base and live. False when both sides changed them: nothing is taken then.
pub(super) fn take_dir(node: &mut Node, base: &mut BaseNode, seen: &Observed) -> bool {
    let clash = (node.dirty.has(Dirty::ATTRS) && attributes_differ(&base.attrs, &seen.attrs))
        || (node.dirty.has(Dirty::XATTRS) && seen.xattrs.is_some() && base.xattrs != seen.xattrs);
    if clash {
        return false;
    }
    if !node.dirty.has(Dirty::ATTRS) {
        (node.attrs.mode, node.attrs.uid, node.attrs.gid) =
            (seen.attrs.mode, seen.attrs.uid, seen.attrs.gid);
        if !node.dirty.has(Dirty::ENTRIES) {
            (node.attrs.mtime, node.attrs.ctime) = (seen.attrs.mtime, seen.attrs.ctime);
        }
    }
    if let Some(xattrs) = &seen.xattrs {
        if !node.dirty.has(Dirty::XATTRS) {
            node.xattrs = xattrs.clone();
        }
        base.xattrs = Some(xattrs.clone());
    }
    (base.attrs, base.stamp) = (seen.attrs, seen.stamp);
    true
}

/// Notes in the journal what came from the server.
pub(super) fn record(
    txn: &WriteTxn<'_>,
    ino: Ino,
    path: RelPath,
    detail: &str,
) -> Result<(), MetaError> {
    txn.record(&Record {
        seq: 0,
        when: crate::sys::now(),
        who: Who::DRIFTFS,
        program: "driftfs".into(),
        ino: Some(ino),
        path,
        verb: "pull".into(),
        detail: detail.into(),
    })
}
