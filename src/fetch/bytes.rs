//! The bytes of a file that has none here.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Instant;

use super::flight::Job;
use super::{FetchError, Inner, absorb, batch, filling, keeping, next, pace};
use crate::lower::{Fetched, LowerError};
use crate::meta::{BaseNode, Node};
use crate::model::{Attrs, Bytes, Dirty, Hash, Ino, Kind, Observed, RelPath, Sameness};
use crate::objects::Draft;
use crate::tree::TreeError;

/// Makes sure that the bytes of `ino` are here.
pub(super) fn fetch(inner: &Arc<Inner>, ino: Ino, deadline: Instant) -> Result<(), FetchError> {
    let node = row(inner, ino)?;
    if node.attrs.kind != Kind::File || node.bytes == Bytes::Here {
        return Ok(());
    }
    if !inner.link.may_ask() && !base_is_here(inner, &node)? {
        return Err(FetchError::Unreachable);
    }
    if let Some(flight) = inner.ahead.coming(ino) {
        // It is on its way with others. Should it not come that way, it is asked for alone.
        if inner.flights.wait(&flight, deadline).is_none() {
            return Err(FetchError::Unreachable);
        }
        if row(inner, ino)?.bytes == Bytes::Here {
            return Ok(());
        }
    }
    let worker = inner.clone();
    let flight = inner
        .flights
        .join(Job::Bytes(ino), move || bring(&worker, ino));
    next::missed(inner, &node);
    match inner.flights.wait(&flight, deadline) {
        Some(result) => result,
        None => Err(FetchError::Unreachable),
    }
}

/// The same for a caller with something else to do when it takes longer: `None`, and the bytes go on coming.
pub(super) fn fetch_briefly(
    inner: &Arc<Inner>,
    ino: Ino,
    until: Instant,
) -> Option<Result<(), FetchError>> {
    let worker = inner.clone();
    let flight = inner
        .flights
        .join(Job::Bytes(ino), move || bring(&worker, ino));
    inner.flights.wait_briefly(&flight, until)
}

pub(super) fn row(inner: &Inner, ino: Ino) -> Result<Node, FetchError> {
    let node = inner.tree.meta().quick(|rows| rows.node(ino))?;
    Ok(node.ok_or(TreeError::NotFound)?)
}

pub(super) fn base_is_here(inner: &Inner, node: &Node) -> Result<bool, FetchError> {
    let Some(bid) = node.bid else {
        return Ok(false);
    };
    let base = inner.tree.meta().quick(|rows| rows.base(bid))?;
    Ok(base.is_some_and(|base| base.object.is_some()))
}

/// What must be known before the lower is asked, read at one moment.
pub(super) struct Wanted {
    pub(super) node: Node,
    pub(super) base: BaseNode,
    pub(super) path: RelPath,
}

pub(super) fn wanted(inner: &Inner, ino: Ino) -> Result<Option<Wanted>, FetchError> {
    inner.tree.meta().read(|rows| {
        let node = rows.node(ino)?.ok_or(TreeError::NotFound)?;
        if node.bytes == Bytes::Here {
            return Ok(None);
        }
        let bid = node.bid.ok_or(TreeError::NoBytes(ino))?;
        let base = rows.base(bid)?.ok_or(TreeError::NoBytes(ino))?;
        let path = inner.elsewhere.path(rows, bid)?.ok_or(FetchError::Gone)?;
        Ok(Some(Wanted { node, base, path }))
    })
}

fn bring(inner: &Arc<Inner>, ino: Ino) -> Result<(), FetchError> {
    let Some(wanted) = wanted(inner, ino)? else {
        return Ok(());
    };
    if batch::alone(inner, &wanted)? {
        return Ok(());
    }
    if wanted.base.object.is_none()
        && let Some(partial) = keeping::in_parts(inner, ino)?
    {
        return filling::complete(inner, &partial);
    }
    let mut base = wanted.base.clone();
    let draft = match base.object {
        Some(object) => {
            let sealed = local(inner.tree.objects().open_sealed(object))?;
            local(inner.tree.objects().clone_of(&sealed))?
        }
        None => {
            let (draft, fetched) = read(inner, &wanted.path)?;
            base = agreed(inner, &wanted, &fetched.seen, Some(fetched.hash))?;
            draft
        }
    };
    match inner.tree.place_bytes(ino, draft, &base) {
        // Somebody else brought them, or truncated the file: they are here.
        Err(TreeError::Busy) if row(inner, ino)?.bytes == Bytes::Here => Ok(()),
        result => Ok(result?),
    }
}

/// Reads a whole lower file into a draft.
pub(super) fn read(inner: &Inner, path: &RelPath) -> Result<(Draft, Fetched), FetchError> {
    let draft = local(inner.tree.objects().draft())?;
    let asked = Instant::now();
    let fetched = inner
        .lower
        .read(path, draft.file())
        .map_err(|error| match error {
            LowerError::Local { errno, .. } => {
                local::<()>(Err(Error::from_raw_os_error(errno))).expect_err("an error was given")
            }
            other => inner.told("reading", other),
        })?;
    pace::learn(inner, fetched.seen.stamp.size, asked.elapsed());
    Ok((draft, fetched))
}

pub(super) fn local<T>(result: std::io::Result<T>) -> Result<T, FetchError> {
    result.map_err(|source| {
        FetchError::Tree(if source.kind() == ErrorKind::StorageFull {
            TreeError::NoSpace
        } else {
            TreeError::Io {
                what: "writing the local copy",
                source,
            }
        })
    })
}

/// The base row the bytes just read belong to. When the server's file is not the one base knows, base and the clean live
/// node first become what was read: with no bytes here nothing of ours can be lost by that.
pub(super) fn agreed(
    inner: &Inner,
    wanted: &Wanted,
    seen: &Observed,
    hash: Option<Hash>,
) -> Result<BaseNode, FetchError> {
    let mask = inner.mask()?;
    if seen.attrs.kind != Kind::File {
        inner.asked.want();
        return Err(FetchError::Gone);
    }
    let same = wanted.base.stamp.compare(&seen.stamp, &mask);
    let mut base = BaseNode {
        stamp: seen.stamp,
        // The old one only when these surely are the old bytes.
        hash: hash.or(wanted.base.hash.filter(|_| same == Sameness::Same)),
        ..wanted.base.clone()
    };
    if matches!(
        same,
        Sameness::Same | Sameness::Unverified | Sameness::Attributes
    ) && !absorb::attributes_differ(&wanted.base.attrs, &seen.attrs)
        && known_hash_holds(wanted, hash)
        && (seen.xattrs.is_none()
            || seen.xattrs == wanted.base.xattrs
            || wanted.base.xattrs.is_none())
    {
        return Ok(base);
    }
    if !wanted.node.dirty.is_clean() {
        // Renamed or chmodded here and changed there: the sync sorts it out, with the bytes.
        inner.asked.want();
        if wanted.node.dirty.has(Dirty::BYTES) {
            return Err(FetchError::Tree(TreeError::Busy));
        }
    }
    base.attrs = seen.attrs;
    base.xattrs = seen.xattrs.clone().or(base.xattrs);
    take_changed(inner, wanted, base)
}

fn known_hash_holds(wanted: &Wanted, hash: Option<Hash>) -> bool {
    match (wanted.base.hash, hash) {
        (Some(known), Some(hash)) => known == hash,
        _ => true,
    }
}

/// Makes the changed version the agreed one, unless base moved meanwhile. Gives the row it stored.
fn take_changed(
    inner: &Inner,
    wanted: &Wanted,
    mut base: BaseNode,
) -> Result<BaseNode, FetchError> {
    let ino = wanted.node.ino;
    let base = inner.tree.commit(|txn| -> Result<BaseNode, FetchError> {
        let now = txn.base(base.bid)?;
        let node = txn.node(ino)?;
        let (Some(now), Some(mut node)) = (now, node) else {
            return Err(TreeError::NotFound.into());
        };
        if now.stamp != wanted.base.stamp || node.rev != wanted.node.rev {
            return Err(TreeError::Busy.into());
        }
        node.attrs = merged_attrs(&node, &base.attrs);
        if let (Some(xattrs), false) = (&base.xattrs, node.dirty.has(Dirty::XATTRS)) {
            node.xattrs = xattrs.clone();
        }
        node.rev += 1;
        if node.dirty.has(Dirty::ATTRS) {
            // Both sides' changes stay visible to a sync: base keeps the attributes both knew.
            base.attrs = Attrs {
                size: base.attrs.size,
                ..now.attrs
            };
        }
        txn.put_base(&base)?;
        txn.put_node(&node)?;
        absorb::record(txn, ino, wanted.path.clone(), "changed on the server")?;
        Ok(base)
    })?;
    inner.stale.push(vec![super::Stale::Node(ino)]);
    Ok(base)
}

/// The server's attributes, less those changed here.
fn merged_attrs(node: &Node, server: &Attrs) -> Attrs {
    if node.dirty.has(Dirty::ATTRS) {
        Attrs {
            size: server.size,
            ..node.attrs
        }
    } else {
        *server
    }
}
