//! Partial files over time: begun, stored, found again, forgotten.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::batch::SMALL;
use super::bytes::{self, local, row, wanted};
use super::partial::{PIECE, Part, Partial};
use super::ranges::Ranges;
use super::{FetchError, Inner, filling, lock, pace};
use crate::meta::{BaseNode, MetaError, Node, Partial as Stored};
use crate::model::{Bytes, Ino, Kind};

/// Gets enough of a file to open it: all of a small one, or of one that comes in a moment; else its first piece.
pub(super) fn begin(inner: &Arc<Inner>, ino: Ino, deadline: Instant) -> Result<(), FetchError> {
    let node = row(inner, ino)?;
    if node.attrs.kind != Kind::File || node.bytes == Bytes::Here {
        return Ok(());
    }
    if node.attrs.size <= SMALL || bytes::base_is_here(inner, &node)? {
        return bytes::fetch(inner, ino, deadline);
    }
    if inner.partials.get(ino).is_none() && find(inner, ino)?.is_none() {
        if !inner.link.may_ask() {
            return Err(FetchError::Unreachable);
        }
        if pace::suffices(inner, node.attrs.size) {
            let shortly = deadline.min(Instant::now() + pace::SHORT);
            match bytes::fetch_briefly(inner, ino, shortly) {
                // Not in time, and it goes on.
                None => {}
                Some(result) => return result,
            }
        }
        make(inner, ino)?;
    }
    match filling::piece(inner, ino, (0, 1), deadline) {
        // What is here can be read without the server.
        Err(FetchError::Unreachable) if has_any(inner, ino) => Ok(()),
        other => other,
    }
}

fn has_any(inner: &Inner, ino: Ino) -> bool {
    let partial = inner.partials.get(ino);
    partial.is_some_and(|partial| !partial.inside().have.is_empty())
}

/// Opens a file of which parts are here.
pub(super) fn open(inner: &Arc<Inner>, ino: Ino) -> Option<Part> {
    if inner.partials.get(ino).is_none() {
        if inner.link.may_ask() {
            return None;
        }
        // Without the server the parts of an earlier time are what there is.
        find(inner, ino).ok().flatten()?;
    }
    if !has_any(inner, ino) && !inner.link.may_ask() {
        return None;
    }
    Part::open(inner, ino)
}

/// The parts that an earlier opening left here, if they are of the file base knows.
pub(super) fn find(inner: &Inner, ino: Ino) -> Result<Option<Arc<Partial>>, FetchError> {
    let stored = inner.tree.meta().read(|rows| rows.partial(ino))?;
    let (Some(stored), Some(base)) = (stored, base_of(inner, ino)?) else {
        return Ok(None);
    };
    if stored.stamp != base.stamp {
        return Ok(None);
    }
    inner.partials.or_make(ino, || {
        let file = local(inner.tree.objects().open_part(ino, base.stamp.size))?;
        let have = Ranges::of(&stored.ranges);
        Ok(file.map(|file| Partial::new(ino, base, file, have, true)))
    })
}

/// The parts of a file, in use or from an earlier time.
pub(super) fn in_parts(inner: &Inner, ino: Ino) -> Result<Option<Arc<Partial>>, FetchError> {
    match inner.partials.get(ino) {
        Some(partial) => Ok(Some(partial)),
        None => find(inner, ino),
    }
}

/// The base row of a node whose bytes are not here.
fn base_of(inner: &Inner, ino: Ino) -> Result<Option<BaseNode>, FetchError> {
    let found = inner.tree.meta().read(|rows| {
        let node = rows.node(ino)?.filter(|node| node.bytes != Bytes::Here);
        match node.and_then(|node| node.bid) {
            Some(bid) => rows.base(bid),
            None => Ok::<_, MetaError>(None),
        }
    });
    Ok(found?)
}

/// A partial file with nothing in it yet.
fn make(inner: &Inner, ino: Ino) -> Result<(), FetchError> {
    let Some(wanted) = wanted(inner, ino)? else {
        return Ok(());
    };
    let made = inner.partials.or_make(ino, || {
        forget_row(inner, ino)?;
        let size = wanted.base.stamp.size;
        let file = local(inner.tree.objects().new_part(ino, size))?;
        let have = Ranges::default();
        Ok(Some(Partial::new(ino, wanted.base, file, have, false)))
    });
    made.map(drop)
}

/// Stores which parts are here, after their bytes are on disk: a row never vouches for bytes a power cut can take.
pub(super) fn save(inner: &Inner, partial: &Partial) {
    let _one = lock(&partial.saving);
    if partial.unsaved.swap(0, Ordering::SeqCst) == 0 {
        return;
    }
    if let Err(error) = try_save(inner, partial) {
        tracing::warn!(ino = %partial.ino, %error, "parts of a file will be fetched again after a restart");
    }
}

fn try_save(inner: &Inner, partial: &Partial) -> Result<(), FetchError> {
    // The list first, then the bytes: what comes in between is synced and not listed.
    let (file, stored) = {
        let inside = partial.inside();
        if inside.over || inside.is_unstable() {
            return Ok(());
        }
        let stored = Stored {
            ino: partial.ino,
            stamp: inside.base.stamp,
            ranges: inside.have.stored(),
        };
        let Some(file) = inside.file.clone() else {
            return Ok(());
        };
        (file, stored)
    };
    local(inner.tree.objects().sync_part(partial.ino, &file))?;
    // Under the lock: a file that began anew meanwhile has another list.
    let inside = partial.inside();
    if inside.over || !inside.holds(&file) {
        return Ok(());
    }
    Ok(inner
        .tree
        .commit(|txn| -> Result<(), MetaError> { txn.put_partial(&stored) })?)
}

/// Lets go of a file that nobody has open any more. True when nobody had.
pub(super) fn leave(inner: &Inner, partial: &Partial) -> bool {
    let over = |node: Node| node.bytes == Bytes::Here || node.nlink == 0;
    let here = row(inner, partial.ino).map(over);
    // Parts of a file that was emptied here, was never at rest, or is gone (its row may be there until the kernel forgets it)
    // serve nobody.
    let useless = partial.inside().is_unstable() || !matches!(here, Ok(false));
    inner.partials.leave(partial, || {
        if useless && let Err(error) = drop_parts(inner, partial.ino) {
            tracing::debug!(ino = %partial.ino, %error, "parts stay until the next start");
        }
    })
}

/// Forgets the parts of a file.
pub(super) fn forget(inner: &Inner, partial: &Partial) -> Result<(), FetchError> {
    let dropped = inner
        .partials
        .forget(partial, || drop_parts(inner, partial.ino));
    dropped.unwrap_or(Ok(()))
}

/// The row goes before the file it vouches for.
fn drop_parts(inner: &Inner, ino: Ino) -> Result<(), FetchError> {
    forget_row(inner, ino)?;
    local(inner.tree.objects().remove_part(ino))
}

/// Forgets the row alone.
pub(super) fn forget_row(inner: &Inner, ino: Ino) -> Result<(), FetchError> {
    let stored = inner.tree.meta().read(|rows| rows.partial(ino))?;
    if stored.is_some() {
        inner
            .tree
            .commit(|txn| -> Result<(), MetaError> { txn.drop_partial(ino) })?;
    }
    Ok(())
}

/// Stores what is here of every file in use: before an orderly end.
pub(super) fn save_all(inner: &Inner) {
    for partial in inner.partials.list() {
        save(inner, &partial);
    }
}

/// At a start: parts of nodes that are whole or gone, and files no row vouches for, serve nobody.
pub(super) fn tidy(inner: &Inner) {
    if let Err(error) = try_tidy(inner) {
        tracing::warn!(%error, "left-over parts of files stay until the next start");
    }
}

fn try_tidy(inner: &Inner) -> Result<(), FetchError> {
    let mut of_use = Vec::new();
    for stored in inner.tree.meta().read(|rows| rows.partials())? {
        let base = base_of(inner, stored.ino)?;
        if base.is_some_and(|base| base.stamp == stored.stamp) {
            of_use.push(stored.ino);
        } else {
            forget_row(inner, stored.ino)?;
        }
    }
    for ino in local(inner.tree.objects().all_parts())? {
        if of_use.binary_search(&ino).is_err() {
            local(inner.tree.objects().remove_part(ino))?;
        }
    }
    Ok(())
}

/// Pieces are whole numbers of these.
const _: () = assert!(SMALL >= PIECE);
