//! How the parts of a large file come: the piece somebody waits for, what lies ahead of a reader, the rest behind.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::bytes::{agreed, local, wanted};
use super::flight::Job;
use super::partial::{PIECE, Partial};
use super::ranges::Ranges;
use super::refresh::calm;
use super::{FetchError, Inner, keeping, pace};
use crate::lower::{LowerError, PartOf};
use crate::meta::BaseNode;
use crate::model::{Bytes, Ino, Kind, RelPath};
use crate::sys;
use crate::tree::TreeError;

/// A file that stays open is filled after this long even if nobody reads on.
const STAYS_OPEN: Duration = Duration::from_secs(5);
/// Parts are stored as being here at least this often while they come.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// And after so many bytes.
const SAVE_BYTES: u64 = 32 << 20;
/// Filling waits while somebody reads, but no longer than this for one question.
const COURTESY: Duration = Duration::from_millis(50);
/// The most bytes of one question.
const MOST: u64 = 8 << 20;
/// How often a question is asked again because the file moved.
const TRIES: usize = 4;

/// Brings the pieces that hold `[offset, offset + len)`; several callers share a question.
pub(super) fn piece(
    inner: &Arc<Inner>,
    ino: Ino,
    (offset, len): (u64, u64),
    deadline: Instant,
) -> Result<(), FetchError> {
    let Some(partial) = inner.partials.get(ino) else {
        // Whole, or closed: the caller looks again.
        return Ok(());
    };
    if !inner.link.may_ask() {
        return Err(FetchError::Unreachable);
    }
    let (worker, first) = (inner.clone(), offset / PIECE);
    let job = Job::Piece(ino, first);
    let flight = inner.flights.join(job, move || {
        let to = offset.saturating_add(len);
        bring(&worker, &partial, first * PIECE, to.next_multiple_of(PIECE))?;
        finish(&worker, &partial)
    });
    match inner.flights.wait(&flight, deadline) {
        Some(result) => result,
        None => Err(FetchError::Unreachable),
    }
}

/// Lets a gap ahead of a reader come.
pub(super) fn ahead(inner: &Arc<Inner>, partial: &Arc<Partial>, (from, to): (u64, u64)) {
    let (worker, partial) = (inner.clone(), partial.clone());
    let job = Job::Piece(partial.ino, from / PIECE);
    if !inner.link.may_ask() || inner.flights.is_open(job) {
        return;
    }
    let to = to.min(from.saturating_add(pace::some(inner, MOST)));
    inner.flights.join(job, move || {
        let from = from / PIECE * PIECE;
        bring(&worker, &partial, from, to.next_multiple_of(PIECE))?;
        finish(&worker, &partial)
    });
}

/// Brings everything that is missing and makes the file whole. For those who cannot do with parts.
pub(super) fn complete(inner: &Arc<Inner>, partial: &Arc<Partial>) -> Result<(), FetchError> {
    let mut tries = 0;
    loop {
        let gap = {
            let inside = partial.inside();
            if inside.over {
                return Ok(());
            }
            if inside.is_unstable() {
                return Err(unstable(inner, partial.ino));
            }
            inside.have.missing(0, inside.size())
        };
        match gap {
            Some((from, to)) => {
                let to = to.min(from.saturating_add(pace::some(inner, MOST)));
                let brought = bring(inner, partial, from, to);
                if brought.is_err() || partial.unsaved.load(Ordering::SeqCst) >= SAVE_BYTES {
                    keeping::save(inner, partial);
                }
                brought?;
            }
            None => {
                finish(inner, partial)?;
                tries += 1;
                if !partial.inside().over && partial.inside().busy == 0 && tries > TRIES {
                    return Err(TreeError::NoBytes(partial.ino).into());
                }
                if !partial.inside().over {
                    // Somebody's question is still under way into the same file.
                    partial.pause(Duration::from_millis(10));
                }
            }
        }
    }
}

fn unstable(inner: &Inner, ino: Ino) -> FetchError {
    let path = inner.tree.meta().read(|rows| rows.path(ino));
    let path = path.ok().flatten().unwrap_or_default();
    FetchError::Lower(LowerError::Unstable(path))
}

/// Brings what is missing in `[from, to)`, from the server's file as it is now.
fn bring(inner: &Arc<Inner>, partial: &Partial, from: u64, to: u64) -> Result<(), FetchError> {
    for _ in 0..TRIES {
        let (from, to) = {
            let inside = partial.inside();
            let to = to.min(inside.size());
            match inside.have.missing(from, to) {
                Some((start, _)) if !inside.over => (start, to),
                _ => return Ok(()),
            }
        };
        if ask(inner, partial, from, to)? {
            return Ok(());
        }
    }
    Err(unstable(inner, partial.ino))
}

/// One question. False when the file moved, and the question has to be asked again.
fn ask(inner: &Arc<Inner>, partial: &Partial, from: u64, to: u64) -> Result<bool, FetchError> {
    let mask = inner.mask()?;
    let Some(path) = path_of(inner, partial)? else {
        end(inner, partial)?;
        return Ok(true);
    };
    let (file, torn) = {
        let mut inside = partial.change();
        inside.busy += 1;
        (inside.file.clone(), inside.is_unstable())
    };
    if torn {
        clear(&file, from, to);
    }
    let part = PartOf {
        path,
        at: from,
        len: to - from,
        torn,
    };
    let asked = Instant::now();
    let answer = inner.lower.read_part(&part, &file);
    let mut inside = partial.change();
    // Of this file or of an older one: then nobody counts its questions any more.
    let same = Arc::ptr_eq(&inside.file, &file);
    if same {
        inside.busy -= 1;
        inside.late |= matches!(answer, Err(LowerError::Link { .. }));
    }
    let part = match answer {
        Ok(part) => part,
        // Written while it was read: what it is now is asked next.
        Err(LowerError::Unstable(_)) if !torn => {
            drop(inside);
            return begin_anew(inner, partial, None).map(|()| false);
        }
        Err(error) => {
            drop(inside);
            return Err(told(inner, error));
        }
    };
    pace::learn(inner, part.moved, asked.elapsed());
    if same && calm(&inside.base, &part.seen, &mask) {
        inside.have.insert(from, to);
        drop(inside);
        partial.unsaved.fetch_add(to - from, Ordering::SeqCst);
        partial.ring();
        return Ok(true);
    }
    if same && torn {
        // Served as it is: this part is of the file as it was just seen, all others are not.
        inside.base.stamp = part.seen.stamp;
        inside.base.attrs = part.seen.attrs;
        inside.have.clear();
        let size = inside.size();
        inside.have.insert(from, to.min(size));
        return Ok(true);
    }
    drop(inside);
    if same {
        begin_anew(inner, partial, Some(&file))?;
    }
    Ok(false)
}

/// Where the server has a file; `None` when its node has bytes here. One that lost its name here is still read where
/// base has it: its removal may not be known there yet.
fn path_of(inner: &Inner, partial: &Partial) -> Result<Option<RelPath>, FetchError> {
    let bid = partial.inside().base.bid;
    inner.tree.meta().read(|rows| {
        let node = rows.node(partial.ino)?.ok_or(TreeError::NotFound)?;
        if node.bytes == Bytes::Here {
            return Ok(None);
        }
        let path = inner.elsewhere.path(rows, node.bid.unwrap_or(bid))?;
        Ok(Some(path.ok_or(FetchError::Gone)?))
    })
}

/// Takes away what an earlier version had there: holes of the present one are not written.
fn clear(file: &std::fs::File, from: u64, to: u64) {
    let zeros = vec![0; (to - from) as usize];
    if let Err(error) = sys::write_at(file, from, &zeros) {
        tracing::debug!(%error, "a part could not be cleared");
    }
}

fn told(inner: &Inner, error: LowerError) -> FetchError {
    match error {
        LowerError::Local { errno, .. } => {
            let error = std::io::Error::from_raw_os_error(errno);
            local::<()>(Err(error)).expect_err("an error was given")
        }
        other => inner.told("reading a part", other),
    }
}

/// The node has bytes of its own by now: its parts serve nobody.
fn end(inner: &Inner, partial: &Partial) -> Result<(), FetchError> {
    partial.change().over = true;
    keeping::forget(inner, partial)
}

/// Base moved, as another look told: parts of the old version are not shown under the new size.
pub(super) fn follow(inner: &Arc<Inner>, ino: Ino) -> Result<(), FetchError> {
    let Some(partial) = inner.partials.get(ino) else {
        return Ok(());
    };
    let Some(wanted) = wanted(inner, ino)? else {
        return end(inner, &partial);
    };
    let file = {
        let inside = partial.inside();
        if inside.base.stamp == wanted.base.stamp {
            return Ok(());
        }
        inside.file.clone()
    };
    begin_anew(inner, &partial, Some(&file))
}

/// The server's file moved: base and the clean live node become what it is now, and its parts begin anew.
/// `before`: only if nobody else has done it since that file was in use.
fn begin_anew(
    inner: &Arc<Inner>,
    partial: &Partial,
    before: Option<&Arc<std::fs::File>>,
) -> Result<(), FetchError> {
    let Some(wanted) = wanted(inner, partial.ino)? else {
        return end(inner, partial);
    };
    let seen = inner.lower.look(&wanted.path, true);
    let seen = seen.map_err(|error| told(inner, error))?;
    let Some(seen) = seen else {
        inner.asked.want();
        return Err(FetchError::Gone);
    };
    let base = agreed(inner, &wanted, &seen, None)?;
    let mut inside = partial.change();
    if before.is_some_and(|before| !Arc::ptr_eq(before, &inside.file)) || inside.over {
        return Ok(());
    }
    let file = inner.partials.while_current(partial, || {
        // The row first: it must not vouch for bytes of the new file.
        keeping::forget_row(inner, partial.ino)?;
        local(inner.tree.objects().new_part(partial.ino, base.stamp.size))
    });
    let Some(file) = file else {
        inside.over = true;
        return Ok(());
    };
    inside.file = Arc::new(file?);
    inside.base = base;
    inside.have = Ranges::default();
    inside.moved += 1;
    (inside.busy, inside.late) = (0, false);
    Ok(())
}

/// Makes the parts the live file when all of them are here and the server's file still is what they were read of.
pub(super) fn finish(inner: &Arc<Inner>, partial: &Partial) -> Result<(), FetchError> {
    {
        let inside = partial.inside();
        if inside.over || inside.is_unstable() || inside.busy > 0 || !inside.is_whole() {
            return Ok(());
        }
    }
    let mask = inner.mask()?;
    let wanted = match wanted(inner, partial.ino) {
        Ok(Some(wanted)) => wanted,
        Ok(None) => return end(inner, partial),
        // Without a name it is read in parts to its end.
        Err(FetchError::Tree(TreeError::NoBytes(_))) => return Ok(()),
        Err(error) => return Err(error),
    };
    let seen = inner.lower.look(&wanted.path, true);
    let seen = seen.map_err(|error| told(inner, error))?;
    let same = |base: &BaseNode| {
        let seen = seen.as_ref().filter(|seen| seen.attrs.kind == Kind::File);
        seen.filter(|seen| calm(base, seen, &mask))
    };
    let Some(seen) = same(&partial.inside().base) else {
        let file = partial.inside().file.clone();
        return begin_anew(inner, partial, Some(&file));
    };
    let mut base = agreed(inner, &wanted, seen, None)?;
    let mut inside = partial.change();
    if inside.over || inside.busy > 0 || !inside.is_whole() || same(&inside.base).is_none() {
        return Ok(());
    }
    base.stamp.racy |= inside.base.stamp.racy;
    // Readers wait for this moment: before it they read the parts, after it they ask the tree.
    let late = inside.late;
    let placed = inner
        .partials
        .while_current(partial, || place(inner, partial.ino, late, &base));
    // Also when it failed: the file of the parts is gone then, and who needs them asks anew.
    inside.over = true;
    drop(inside);
    partial.ring();
    keeping::forget(inner, partial)?;
    placed.unwrap_or(Ok(()))
}

fn place(inner: &Inner, ino: Ino, late: bool, base: &BaseNode) -> Result<(), FetchError> {
    let objects = inner.tree.objects();
    let mut draft = local(objects.part_as_draft(ino))?;
    if late {
        // A late answer may still be written into this file; nobody may edit the same one.
        draft = local(objects.clone_of(draft.file()))?;
    }
    match inner.tree.place_bytes(ino, draft, base) {
        Err(TreeError::Busy) => {
            let node = inner.tree.meta().read(|rows| rows.node(ino))?;
            match node {
                // Others brought them, or it was emptied here.
                Some(node) if node.bytes == Bytes::Here => Ok(()),
                _ => Err(TreeError::Busy.into()),
            }
        }
        result => Ok(result?),
    }
}

/// Starts the keeper of a file that is open: it stores which parts are here, and brings the rest.
pub(super) fn keep(inner: &Arc<Inner>, partial: &Arc<Partial>) {
    if !partial.take_keeping() {
        return;
    }
    let (inner, kept) = (inner.clone(), partial.clone());
    let started = std::thread::Builder::new()
        .name("parts".into())
        .spawn(move || keeper(&inner, &kept));
    if let Err(error) = started {
        // Reads still bring what they need; which parts are here is then not remembered.
        tracing::warn!("no thread for the parts of a file: {error}");
    }
}

fn keeper(inner: &Arc<Inner>, partial: &Arc<Partial>) {
    let (opened, mut saved, mut rung) = (Instant::now(), Instant::now(), 0);
    loop {
        let unsaved = partial.unsaved.load(Ordering::SeqCst);
        if unsaved >= SAVE_BYTES || (unsaved > 0 && saved.elapsed() >= SAVE_EVERY) {
            keeping::save(inner, partial);
            saved = Instant::now();
        }
        if partial.inside().over {
            if let Err(error) = keeping::forget(inner, partial) {
                tracing::debug!(ino = %partial.ino, %error, "parts stay until the next start");
            }
            return;
        }
        if !partial.is_open() {
            keeping::save(inner, partial);
            if keeping::leave(inner, partial) {
                return;
            }
        }
        let due = partial.is_read_through() || opened.elapsed() >= STAYS_OPEN;
        if due && inner.link.may_ask() && !partial.inside().over && fill(inner, partial) {
            continue;
        }
        rung = partial.listen(rung, SAVE_EVERY);
    }
}

/// True while bringing so many bytes that nobody asked for leaves the disk a fiftieth of its room.
fn has_room(inner: &Inner, bytes: u64) -> bool {
    inner.tree.objects().disk().is_ok_and(|disk| {
        let left = disk.bavail.saturating_mul(u64::from(disk.bsize));
        let all = disk.blocks.saturating_mul(u64::from(disk.bsize));
        left.saturating_sub(bytes) > all / 50
    })
}

/// Brings one more stretch behind the back of those who read. False when there is nothing to do now.
fn fill(inner: &Arc<Inner>, partial: &Arc<Partial>) -> bool {
    let gap = {
        let inside = partial.inside();
        if inside.is_unstable() {
            return false;
        }
        let (at, size) = (partial.reader_at().min(inside.size()), inside.size());
        inside
            .have
            .missing(at, size)
            .or_else(|| inside.have.missing(0, at))
    };
    if partial.is_being_read(COURTESY) {
        partial.pause(COURTESY);
    }
    let brought = match gap {
        Some((from, to)) => {
            let to = to.min(from.saturating_add(pace::some(inner, MOST)));
            if !has_room(inner, to - from) {
                return false;
            }
            bring(inner, partial, from, to).and_then(|()| finish(inner, partial))
        }
        None => finish(inner, partial),
    };
    if let Err(error) = &brought {
        tracing::debug!(ino = %partial.ino, %error, "parts do not come now");
    }
    brought.is_ok() && gap.is_some()
}
