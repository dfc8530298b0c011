//! Which node descends from a base object after an editor's save.
//!
//! Editors save by writing a new file and renaming it over the old one, by moving the old one away, or by removing it
//! first. To the server all of these are one file that was stored again. So a node without a base object takes over the
//! base object that base has at its name, when it is of the same kind and no node with a name descends from it any more.
//! Asked when a name is given and when a node loses its last name. What remains doubtful is settled when a plan is made.

use super::Result;
use crate::meta::{Node, WriteTxn};
use crate::model::{Bid, Ino, Name};

/// Lets `node`, just named `name` in `dir`, take over the base object of that name. The caller stores the row.
pub(super) fn inherit_name(
    txn: &WriteTxn<'_>,
    dir: &Node,
    name: &Name,
    node: &mut Node,
) -> Result<()> {
    let (None, Some(base_dir)) = (node.bid, dir.bid) else {
        return Ok(());
    };
    if let Some(bid) = txn.base_entry(base_dir, name)?
        && may_inherit(txn, bid, node)?
    {
        node.bid = Some(bid);
    }
    Ok(())
}

/// A base object lost the last node with a name: the node at one of its names takes it over.
pub(super) fn find_heir(txn: &WriteTxn<'_>, bid: Bid) -> Result<()> {
    for (base_dir, name) in txn.base_places(bid)? {
        for dir in txn.nodes_of(base_dir)? {
            let Some(entry) = txn.entry(dir, &name)? else {
                continue;
            };
            if let Some(mut node) = txn.node(entry.ino)?
                && node.bid.is_none()
                && may_inherit(txn, bid, &node)?
            {
                node.bid = Some(bid);
                return Ok(txn.put_node(&node)?);
            }
        }
    }
    Ok(())
}

fn may_inherit(txn: &WriteTxn<'_>, bid: Bid, node: &Node) -> Result<bool> {
    let same_kind = txn
        .base(bid)?
        .is_some_and(|base| base.attrs.kind == node.attrs.kind);
    Ok(same_kind && !has_named_node(txn, bid, node.ino)?)
}

fn has_named_node(txn: &WriteTxn<'_>, bid: Bid, except: Ino) -> Result<bool> {
    for ino in txn.nodes_of(bid)? {
        if ino != except && txn.node(ino)?.is_some_and(|node| node.nlink > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}
