//! How base takes over the server's version of a conflict.

use crate::meta::{BaseNode, MetaError, Node, Rows, WriteTxn};
use crate::model::{Bid, Bytes, Dirty, Ino, Kind, Name, RelPath};
use crate::variants::Term;

type Result<T> = std::result::Result<T, MetaError>;

/// Base gets the bytes (target, device number) of the server's version, with what belongs to them.
pub(super) fn take_bytes(txn: &WriteTxn<'_>, bid: Bid, server: &Term) -> Result<()> {
    let Some(mut row) = txn.base(bid)? else {
        return Ok(());
    };
    row.attrs.size = server.attrs.size;
    row.attrs.mtime = server.attrs.mtime;
    row.attrs.ctime = server.attrs.ctime;
    row.attrs.rdev = server.attrs.rdev;
    row.target = server.target.clone();
    row.object = server.object;
    if let Some(stamp) = server.stamp {
        row.stamp = stamp;
        row.hash = stamp.hash;
    }
    txn.put_base(&row)
}

/// A base object that is the server's version, at the names it has there. `None` when the lower was not seen well enough.
pub(super) fn put_new(
    txn: &WriteTxn<'_>,
    server: &Term,
    places: &[(Bid, Name)],
) -> Result<Option<Bid>> {
    let Some(stamp) = server.stamp else {
        return Ok(None);
    };
    let bid = txn.new_bid()?;
    txn.put_base(&BaseNode {
        bid,
        attrs: server.attrs,
        target: server.target.clone(),
        xattrs: server.xattrs.clone(),
        stamp,
        object: server.object,
        hash: stamp.hash,
    })?;
    put_places(txn, bid, places)?;
    Ok(Some(bid))
}

/// A base object becomes the server's version; its names stay.
pub(super) fn take_version(txn: &WriteTxn<'_>, bid: Bid, server: &Term) -> Result<()> {
    take_bytes(txn, bid, server)?;
    let Some(mut row) = txn.base(bid)? else {
        return Ok(());
    };
    row.attrs = server.attrs;
    row.xattrs = server.xattrs.clone().or(row.xattrs);
    txn.put_base(&row)
}

/// Gives a base object exactly these names. What had one of them and has no other is gone from base.
pub(super) fn put_places(txn: &WriteTxn<'_>, bid: Bid, places: &[(Bid, Name)]) -> Result<()> {
    for (parent, name) in txn.base_places(bid)? {
        txn.drop_base_entry(parent, &name)?;
    }
    for (parent, name) in places {
        let before = txn.base_entry(*parent, name)?;
        txn.put_base_entry(*parent, name, bid)?;
        if let Some(other) = before.filter(|other| *other != bid)
            && txn.base_places(other)?.is_empty()
        {
            drop_with_children(txn, other)?;
        }
    }
    Ok(())
}

/// How many files and directories here know from base alone what is in them, and would lose that if `bid` (`None`: a new
/// object) got these places in base.
pub(super) fn forgotten(
    rows: &Rows<'_>,
    bid: Option<Bid>,
    places: &[(Bid, Name)],
) -> Result<usize> {
    let mut count = 0;
    for (parent, name) in places {
        let before = rows.base_entry(*parent, name)?;
        if let Some(other) = before.filter(|other| Some(*other) != bid)
            && rows.base_places(other)?.len() == 1
        {
            count += unread_within(rows, other)?;
        }
    }
    Ok(count)
}

fn unread_within(rows: &Rows<'_>, bid: Bid) -> Result<usize> {
    let mut count = 0;
    for ino in rows.nodes_of(bid)? {
        let node = rows.node(ino)?.filter(|node| node.nlink > 0);
        count += usize::from(node.is_some_and(|node| match node.attrs.kind {
            Kind::File => node.bytes == Bytes::Absent,
            Kind::Dir => node.listed.is_none(),
            _ => false,
        }));
    }
    for (_, child) in rows.base_entries(bid)? {
        // One with a name elsewhere in base stays.
        if rows.base_places(child)?.len() == 1 {
            count += unread_within(rows, child)?;
        }
    }
    Ok(count)
}

fn drop_with_children(txn: &WriteTxn<'_>, bid: Bid) -> Result<()> {
    for (name, child) in txn.base_entries(bid)? {
        txn.drop_base_entry(bid, &name)?;
        if txn.base_places(child)?.is_empty() {
            drop_with_children(txn, child)?;
        }
    }
    txn.drop_base(bid)
}

/// Paths of the base tree as places. `None` when a directory of them is not in base.
pub(super) fn places(rows: &Rows<'_>, paths: &[RelPath]) -> Result<Option<Vec<(Bid, Name)>>> {
    let mut places = Vec::new();
    for path in paths {
        let Some((dir, name)) = path.split() else {
            return Ok(None);
        };
        match rows.base_resolve(&dir)? {
            Some(parent) => places.push((parent, name.clone())),
            None => return Ok(None),
        }
    }
    Ok(Some(places))
}

/// The live directories that descend from those of base places. `None` when one has no live node.
pub(super) fn live_places(
    rows: &Rows<'_>,
    places: &[(Bid, Name)],
) -> Result<Option<Vec<(Ino, Name)>>> {
    let mut live = Vec::new();
    for (parent, name) in places {
        match rows.nodes_of(*parent)?.first() {
            Some(ino) => live.push((*ino, name.clone())),
            None => return Ok(None),
        }
    }
    Ok(Some(live))
}

/// Everything of a node may differ from base now: the next scan compares all of it.
pub(super) fn may_differ(node: &mut Node) {
    let own = Dirty::ATTRS.with(Dirty::XATTRS).with(Dirty::NAMES);
    let filled = match node.attrs.kind {
        Kind::Dir => Dirty::ENTRIES,
        _ => Dirty::BYTES,
    };
    node.dirty = node.dirty.with(own).with(filled);
}

/// Marks the directories of some names, so that a scan from the dirty set comes by.
pub(super) fn mark_names(txn: &WriteTxn<'_>, ino: Ino) -> Result<()> {
    for (parent, _) in txn.names(ino)? {
        if let Some(mut dir) = txn.node(parent)? {
            dir.dirty = dir.dirty.with(Dirty::ENTRIES);
            txn.put_node(&dir)?;
        }
    }
    if let Some(mut node) = txn.node(ino)? {
        node.dirty = node.dirty.with(Dirty::NAMES);
        txn.put_node(&node)?;
    }
    Ok(())
}
