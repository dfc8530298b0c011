//! The first listing of a directory.

use std::sync::Arc;
use std::time::Instant;

use super::absorb::{self, Into};
use super::flight::Job;
use super::{FetchError, Inner, is_known};
use crate::meta::{Node, WriteTxn};
use crate::model::{Bid, Ino, Kind, Listed, Listing, Mask, RelPath};
use crate::tree::TreeError;

/// For whom a directory is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// Somebody who uses it: it is watched from now on, where the lower tells of changes.
    Use,
    /// Nobody yet.
    Later,
}

/// Makes sure that `dir` is listed.
pub(super) fn fetch(
    inner: &Arc<Inner>,
    dir: Ino,
    whom: For,
    deadline: Instant,
) -> Result<(), FetchError> {
    let node = directory(inner, dir)?;
    if node.listed.is_some() {
        return Ok(());
    }
    if !inner.link.may_ask() {
        return Err(FetchError::Unreachable);
    }
    let worker = inner.clone();
    let flight = inner
        .flights
        .join(Job::Names(dir), move || list(&worker, dir, whom));
    match inner.flights.wait(&flight, deadline) {
        Some(result) => result,
        None => Err(FetchError::Unreachable),
    }
}

/// The row of a directory.
pub(super) fn directory(inner: &Inner, dir: Ino) -> Result<Node, FetchError> {
    let node = inner.tree.meta().read(|rows| rows.node(dir))?;
    let node = node.ok_or(TreeError::NotFound)?;
    if node.attrs.kind == Kind::Dir {
        Ok(node)
    } else {
        Err(TreeError::NotDir.into())
    }
}

/// Where a base directory is on the server, as far as we know.
pub(super) fn server_path(inner: &Inner, bid: Bid) -> Result<RelPath, FetchError> {
    let path = inner
        .tree
        .meta()
        .read(|rows| inner.elsewhere.path(rows, bid))?;
    path.ok_or(FetchError::Gone)
}

fn list(inner: &Inner, dir: Ino, whom: For) -> Result<(), FetchError> {
    let mask = inner.mask()?;
    let bid = directory(inner, dir)?.bid;
    let bid = bid.ok_or(TreeError::NotListed(dir))?;
    let path = server_path(inner, bid)?;
    // Watched first: what changes after the listing was read is told.
    let watch = || inner.watching.place(&*inner.lower, (dir, &path), &[]);
    let placed = (whom == For::Use).then(watch).flatten();
    let started = Instant::now();
    let listing = inner
        .lower
        .list(&path, true)
        .map_err(|error| inner.told("listing", error))?;
    inner.remark(&path, &listing);
    let complete = take(inner, dir, bid, &listing, mask)? && listing.unknown.is_empty();
    if complete {
        inner.looked.note(dir, started, inner.link.fresh_for());
    }
    // The directories in it are not watched yet: one that has some is vouched for by the next look.
    if let Some(placed) = placed.filter(|_| complete) {
        inner.watching.looked(dir, &placed, &listing, &[]);
    }
    Ok(())
}

/// Everything of a first listing in one transaction: a directory is listed completely or not at all. False when some of it
/// was not taken: a sync must decide, or somebody was quicker.
fn take(
    inner: &Inner,
    dir: Ino,
    bid: Bid,
    listing: &Listing,
    mask: Mask,
) -> Result<bool, FetchError> {
    let wants_sync = inner
        .tree
        .commit(|txn| -> Result<Option<bool>, FetchError> {
            let (Some(mut node), Some(mut base)) = (txn.node(dir)?, txn.base(bid)?) else {
                return Err(TreeError::NotFound.into());
            };
            if node.listed.is_some() || node.bid != Some(bid) {
                return Ok(None);
            }
            // Another directory took this place while ours was never listed: nothing of ours depends on which of the two
            // it was, so base simply becomes what is there; a sync looks where the old one went.
            let mut wants_sync =
                !base.stamp.same_object(&listing.dir.stamp, &mask) && bid != Bid::ROOT;
            wants_sync |= !absorb::take_dir(&mut node, &mut base, &listing.dir);
            txn.put_base(&base)?;
            let mut into = Into {
                bid,
                node: &mut node,
                mask,
            };
            for entry in &listing.entries {
                wants_sync |= take_entry(txn, &mut into, entry)?;
            }
            node.listed = Some(txn.epoch()?);
            txn.put_node(&node)?;
            Ok(Some(wants_sync))
        })?;
    if wants_sync == Some(true) {
        inner.asked.want();
    }
    Ok(wants_sync == Some(false))
}

/// One entry; true when a sync must decide about it.
fn take_entry(txn: &WriteTxn<'_>, into: &mut Into<'_>, entry: &Listed) -> Result<bool, FetchError> {
    let name = &entry.name;
    if absorb::reserved(name) || txn.base_entry(into.bid, name)?.is_some() {
        return Ok(false);
    }
    if txn.entry(into.node.ino, name)?.is_some() {
        return Ok(true);
    }
    let known = is_known(txn, &entry.seen.stamp, &into.mask)?;
    let linked = entry.seen.stamp.kind != Kind::Dir && entry.seen.nlink > 1;
    if known.is_some() && !linked {
        // It had another name when we saw it last: a move. Shown at its old place until the sync moves it.
        return Ok(true);
    }
    absorb::add(txn, into, entry, known)?;
    Ok(false)
}
