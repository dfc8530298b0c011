//! How base rows move, inside a transaction: the one meaning of "client and server agree on this now".

use super::intents::At;
use super::trouble::Stop;
use crate::lower::SetAttrs;
use crate::meta::{BaseNode, Node, WriteTxn};
use crate::model::{Attrs, Bid, Dirty, Ino, Kind, Observed, Xattrs};

/// Puts a base object at a place as its only name. A place whose directory is not in base any more gets nothing: the
/// next scan then sees the object on both sides and agrees on it anew.
pub fn make(txn: &WriteTxn<'_>, row: &BaseNode, at: &At) -> Result<(), Stop> {
    for (parent, name) in txn.base_places(row.bid)? {
        txn.drop_base_entry(parent, &name)?;
    }
    txn.put_base(row)?;
    place(txn, row.bid, at)?;
    if txn.base_places(row.bid)?.is_empty() {
        txn.drop_base(row.bid)?;
    }
    Ok(())
}

/// Adds a name. What had it before and has no other name is gone from base.
pub fn place(txn: &WriteTxn<'_>, bid: Bid, at: &At) -> Result<(), Stop> {
    if txn.base(at.parent)?.is_none() {
        return Ok(());
    }
    let before = txn.base_entry(at.parent, &at.name)?;
    txn.put_base_entry(at.parent, &at.name, bid)?;
    match before {
        Some(other) if other != bid && txn.base_places(other)?.is_empty() => {
            Ok(txn.drop_base(other)?)
        }
        _ => Ok(()),
    }
}

/// Takes a name away if it is this object's.
pub fn displace(txn: &WriteTxn<'_>, bid: Bid, off: &At) -> Result<(), Stop> {
    if txn.base_entry(off.parent, &off.name)? == Some(bid) {
        txn.drop_base_entry(off.parent, &off.name)?;
    }
    Ok(())
}

/// Another name instead of one.
pub fn move_place(txn: &WriteTxn<'_>, bid: Bid, off: &At, at: &At) -> Result<(), Stop> {
    displace(txn, bid, off)?;
    place(txn, bid, at)
}

/// Removes an object. Its children (there are none when a plan is carried out in order) go with it.
pub fn remove(txn: &WriteTxn<'_>, bid: Bid) -> Result<(), Stop> {
    for (_, child) in txn.base_entries(bid)? {
        if child != bid && txn.base_places(child)?.len() == 1 {
            remove(txn, child)?;
        }
    }
    Ok(txn.drop_base(bid)?)
}

/// Changes the row of a base object that is still there.
pub fn change(txn: &WriteTxn<'_>, bid: Bid, with: impl FnOnce(&mut BaseNode)) -> Result<(), Stop> {
    if let Some(mut row) = txn.base(bid)? {
        with(&mut row);
        txn.put_base(&row)?;
    }
    Ok(())
}

/// A row for what the server shows.
pub fn row(bid: Bid, seen: &Observed, xattrs: Option<Xattrs>) -> BaseNode {
    BaseNode {
        bid,
        attrs: seen.attrs,
        target: seen.target.clone(),
        xattrs: seen.xattrs.clone().or(xattrs),
        stamp: seen.stamp,
        object: None,
        hash: seen.stamp.hash,
    }
}

/// What of a row belongs to the bytes: size, mtime, target, device number, stamp. Mode, owner and group stay.
pub fn take_bytes(row: &mut BaseNode, seen: &Observed) {
    row.attrs.size = seen.attrs.size;
    row.attrs.mtime = seen.attrs.mtime;
    row.attrs.ctime = seen.attrs.ctime;
    row.attrs.rdev = seen.attrs.rdev;
    row.target = seen.target.clone();
    row.stamp = seen.stamp;
    row.hash = seen.stamp.hash;
    row.object = None;
}

/// Puts a change of attributes into some.
pub fn apply(attrs: &mut Attrs, xattrs: &mut Xattrs, change: &SetAttrs) {
    attrs.mode = change.mode.unwrap_or(attrs.mode);
    attrs.uid = change.uid.unwrap_or(attrs.uid);
    attrs.gid = change.gid.unwrap_or(attrs.gid);
    attrs.mtime = change.mtime.unwrap_or(attrs.mtime);
    for (name, value) in &change.xattrs {
        match value {
            Some(value) => xattrs.insert(name.clone(), value.clone()),
            None => xattrs.remove(name),
        };
    }
}

/// True when some attributes are already as a change wants them.
pub fn fulfils(attrs: &Attrs, xattrs: Option<&Xattrs>, change: &SetAttrs) -> bool {
    let none = Xattrs::new();
    let xattrs = xattrs.unwrap_or(&none);
    change.mode.is_none_or(|mode| mode == attrs.mode)
        && change.uid.is_none_or(|uid| uid == attrs.uid)
        && change.gid.is_none_or(|gid| gid == attrs.gid)
        && change.mtime.is_none_or(|mtime| mtime == attrs.mtime)
        && change
            .xattrs
            .iter()
            .all(|(name, value)| xattrs.get(name) == value.as_ref())
}

/// Gives a base object to one live node: any other one that descended from it (an older one that lost its names, or
/// one that the plan took for new) loses it.
pub fn inherit(txn: &WriteTxn<'_>, node: &mut Node, bid: Bid) -> Result<(), Stop> {
    disinherit(txn, bid, Some(node.ino))?;
    node.bid = Some(bid);
    Ok(())
}

/// Takes a base object from every live node but one.
pub fn disinherit(txn: &WriteTxn<'_>, bid: Bid, but: Option<Ino>) -> Result<(), Stop> {
    for ino in txn.nodes_of(bid)? {
        if Some(ino) == but {
            continue;
        }
        if let Some(mut other) = txn.node(ino)? {
            other.bid = None;
            other.dirty = other.dirty.with(everything(other.attrs.kind));
            txn.put_node(&other)?;
        }
    }
    Ok(())
}

/// The dirty set of something new.
fn everything(kind: Kind) -> Dirty {
    let own = Dirty::ATTRS.with(Dirty::XATTRS).with(Dirty::NAMES);
    match kind {
        Kind::Dir => own.with(Dirty::ENTRIES),
        _ => own.with(Dirty::BYTES),
    }
}
