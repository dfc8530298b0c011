//! A large file of which parts are here: read from what came, the rest asked for as it is read.
//!
//! The node's own row says all the while that its bytes are not here, so nothing seals, sends or compares them. The parts
//! are in a file of their own, and become the live file in one step, after the last part and another look at the server's
//! file. Only parts whose bytes are on disk are stored as being here.
//!
//! A server's file that moves meanwhile begins anew in a new file: a late answer of the old version is written where
//! nobody reads. After the second time it counts as *unstable*: parts are served as they are read, as a network file
//! system does, and never become the agreed bytes.

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use super::bytes::local;
use super::ranges::Ranges;
use super::{FetchError, Inner, filling, lock};
use crate::meta::BaseNode;
use crate::model::Ino;
use crate::sys;

/// Parts are asked for in whole pieces of this size.
pub(super) const PIECE: u64 = 1 << 20;
/// Partial files remembered before those nobody opened are forgotten.
const MANY: usize = 64;
/// The farthest that reading goes ahead of a reader that reads on and on.
const FARTHEST: u64 = 16 << 20;

/// A file of which only parts are here.
pub(super) struct Partial {
    pub(super) ino: Ino,
    inside: RwLock<Inside>,
    /// Openings.
    open: AtomicUsize,
    /// Where the last read ended, and how far ahead of it parts are asked for.
    reader: Mutex<Reader>,
    /// Rung when something changed that the keeper should look at.
    bell: (Mutex<Rung>, Condvar),
    /// Bytes that came since they were last stored as being here.
    pub(super) unsaved: AtomicU64,
}

/// What parts are of, and which are here.
pub(super) struct Inside {
    pub(super) base: BaseNode,
    pub(super) file: Arc<File>,
    pub(super) have: Ranges,
    /// How often the server's file moved.
    pub(super) moved: u32,
    /// Questions under way that may write into `file`.
    pub(super) busy: u32,
    /// A question was given up: its answer may still be written into `file`.
    pub(super) late: bool,
    /// The bytes are in the live file now, or of no use any more.
    pub(super) over: bool,
}

impl Inside {
    pub(super) fn size(&self) -> u64 {
        self.base.stamp.size
    }

    pub(super) fn is_unstable(&self) -> bool {
        self.moved >= 2
    }

    pub(super) fn is_whole(&self) -> bool {
        self.have.covers(0, self.size())
    }
}

#[derive(Default)]
struct Reader {
    last: u64,
    ahead: u64,
    at: Option<Instant>,
}

/// What the keeper is woken for.
#[derive(Clone, Copy, Default)]
struct Rung {
    kept: bool,
    times: u64,
}

/// What a read of a partial file gives.
pub(super) enum Found {
    Bytes(Vec<u8>),
    /// Not all of it is here.
    Missing,
    /// Ask the tree: the whole file is here, or other bytes are.
    Over,
}

impl Partial {
    /// `late`: an answer to an earlier question may still be written into `file`.
    pub(super) fn new(ino: Ino, base: BaseNode, file: File, have: Ranges, late: bool) -> Partial {
        Partial {
            ino,
            inside: RwLock::new(Inside {
                base,
                file: Arc::new(file),
                have,
                moved: 0,
                busy: 0,
                late,
                over: false,
            }),
            open: AtomicUsize::new(0),
            reader: Mutex::default(),
            bell: Default::default(),
            unsaved: AtomicU64::new(0),
        }
    }

    pub(super) fn inside(&self) -> RwLockReadGuard<'_, Inside> {
        self.inside.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self) -> RwLockWriteGuard<'_, Inside> {
        self.inside.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst) > 0
    }

    /// Where the reader is.
    pub(super) fn reader_at(&self) -> u64 {
        lock(&self.reader).last
    }

    /// True when somebody read a moment ago.
    pub(super) fn is_being_read(&self, within: Duration) -> bool {
        lock(&self.reader)
            .at
            .is_some_and(|at| at.elapsed() < within)
    }

    /// True when somebody reads it from one end to the other.
    pub(super) fn is_read_through(&self) -> bool {
        lock(&self.reader).ahead >= FARTHEST
    }

    /// Lets the keeper look again.
    pub(super) fn ring(&self) {
        lock(&self.bell.0).times += 1;
        self.bell.1.notify_all();
    }

    /// Waits until the bell is rung after `seen`, or for `limit`. Gives how often it was rung.
    pub(super) fn listen(&self, seen: u64, limit: Duration) -> u64 {
        let rung = lock(&self.bell.0);
        let waited = self
            .bell
            .1
            .wait_timeout_while(rung, limit, |rung| rung.times == seen);
        waited.unwrap_or_else(PoisonError::into_inner).0.times
    }

    /// Waits until the bell is rung, or for `limit`.
    pub(super) fn pause(&self, limit: Duration) {
        let now = lock(&self.bell.0).times;
        self.listen(now, limit);
    }

    /// True for the one that becomes the keeper.
    pub(super) fn take_keeping(&self) -> bool {
        !std::mem::replace(&mut lock(&self.bell.0).kept, true)
    }

    /// The keeper ends; false when somebody opened the file meanwhile.
    fn end_keeping(&self) -> bool {
        let mut rung = lock(&self.bell.0);
        if self.is_open() {
            return false;
        }
        rung.kept = false;
        true
    }

    /// Reads from what is here.
    fn read(&self, offset: u64, len: usize) -> Result<Found, FetchError> {
        let inside = self.inside();
        if inside.over {
            return Ok(Found::Over);
        }
        let end = offset.saturating_add(len as u64).min(inside.size());
        if offset >= end {
            return Ok(Found::Bytes(Vec::new()));
        }
        if !inside.have.covers(offset, end) {
            return Ok(Found::Missing);
        }
        // Under the lock: a file that begins anew must not be taken away in between.
        let bytes = local(sys::read_at(&inside.file, offset, (end - offset) as usize))?;
        Ok(Found::Bytes(bytes))
    }

    /// Notes a read and says what should come next, if it is not here.
    fn next_wanted(&self, offset: u64, len: u64) -> Option<(u64, u64)> {
        let ahead = {
            let mut reader = lock(&self.reader);
            let goes_on = offset >= reader.last.saturating_sub(PIECE)
                && offset <= reader.last.saturating_add(PIECE);
            let first = reader.at.is_none();
            if !goes_on || first {
                reader.ahead = 0;
            } else if offset + len > reader.last {
                // Twice as far with each piece read on.
                let pieces = (offset + len) / PIECE - reader.last / PIECE;
                if pieces > 0 {
                    reader.ahead = (reader.ahead.max(PIECE / 2) * 2).min(FARTHEST);
                }
            }
            reader.last = offset + len;
            reader.at = Some(Instant::now());
            reader.ahead
        };
        let inside = self.inside();
        if ahead == 0 || inside.over || inside.is_unstable() {
            return None;
        }
        let until = (offset + len + ahead).min(inside.size());
        let gap = inside.have.missing(offset + len, until)?;
        // Not for every read: when half of what was to be ahead is used up.
        (gap.0 <= offset + len + ahead / 2).then_some(gap)
    }
}

/// The partial files in use.
#[derive(Default)]
pub(super) struct Partials {
    all: Mutex<HashMap<Ino, Arc<Partial>>>,
}

impl Partials {
    pub(super) fn get(&self, ino: Ino) -> Option<Arc<Partial>> {
        lock(&self.all).get(&ino).cloned()
    }

    /// The one of that number, made by `make` if there is none; `make` may find that there is none to be had.
    pub(super) fn or_make<E>(
        &self,
        ino: Ino,
        make: impl FnOnce() -> Result<Option<Partial>, E>,
    ) -> Result<Option<Arc<Partial>>, E> {
        let mut all = lock(&self.all);
        if let Some(partial) = all.get(&ino) {
            return Ok(Some(partial.clone()));
        }
        if all.len() >= MANY {
            // Begun for callers that never came back.
            all.retain(|_, partial| partial.is_open() || lock(&partial.bell.0).kept);
        }
        let made = make()?.map(Arc::new);
        if let Some(partial) = &made {
            all.insert(ino, partial.clone());
        }
        Ok(made)
    }

    /// Does what concerns the file of a partial one, unless another has taken its place.
    pub(super) fn while_current<T>(
        &self,
        partial: &Partial,
        work: impl FnOnce() -> T,
    ) -> Option<T> {
        let all = lock(&self.all);
        let current = all.get(&partial.ino);
        let current = current.is_some_and(|current| std::ptr::eq(&**current, partial));
        current.then(work)
    }

    /// Forgets one, and does what goes with it. Nothing happens when another has taken its place.
    pub(super) fn forget<T>(&self, partial: &Partial, work: impl FnOnce() -> T) -> Option<T> {
        let mut all = lock(&self.all);
        let current = all.get(&partial.ino);
        let current = current.is_some_and(|current| std::ptr::eq(&**current, partial));
        current.then(|| {
            all.remove(&partial.ino);
            work()
        })
    }

    /// Counts one more opening, unless there is none of that number.
    fn open(&self, ino: Ino) -> Option<Arc<Partial>> {
        let all = lock(&self.all);
        let partial = all.get(&ino)?.clone();
        partial.open.fetch_add(1, Ordering::SeqCst);
        Some(partial)
    }

    /// Forgets one that nobody has open and no question is under way for, and does what goes with it. True when it
    /// did: its keeper may end.
    pub(super) fn leave(&self, partial: &Partial, work: impl FnOnce()) -> bool {
        let inside = partial.inside();
        let mut all = lock(&self.all);
        let left = inside.busy == 0 && partial.end_keeping();
        if left {
            all.remove(&partial.ino);
            work();
        }
        left
    }

    /// Those that are in use now.
    pub(super) fn list(&self) -> Vec<Arc<Partial>> {
        lock(&self.all).values().cloned().collect()
    }
}

/// An opening of a partial file.
pub struct Part {
    inner: Arc<Inner>,
    partial: Arc<Partial>,
}

/// What reading a partial file gives.
pub enum PartRead {
    /// The bytes; fewer at the end.
    Bytes(Vec<u8>),
    /// Not all of them are here: [`super::Fetch::piece`] brings them.
    Missing,
    /// The tree has the bytes of this file now.
    Whole,
}

impl Part {
    pub(super) fn open(inner: &Arc<Inner>, ino: Ino) -> Option<Part> {
        let partial = inner.partials.open(ino)?;
        let part = Part {
            inner: inner.clone(),
            partial,
        };
        filling::keep(inner, &part.partial);
        Some(part)
    }

    /// The size of the file as its parts were read.
    pub fn size(&self) -> u64 {
        self.partial.inside().size()
    }

    /// Reads up to `len` bytes at `offset` from what is here, and lets what comes next come.
    pub fn read(&self, offset: u64, len: usize) -> Result<PartRead, FetchError> {
        let found = self.partial.read(offset, len)?;
        if let Found::Bytes(bytes) = &found
            && let Some(gap) = self.partial.next_wanted(offset, bytes.len() as u64)
        {
            filling::ahead(&self.inner, &self.partial, gap);
        }
        Ok(match found {
            Found::Bytes(bytes) => PartRead::Bytes(bytes),
            Found::Missing => PartRead::Missing,
            Found::Over => PartRead::Whole,
        })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.partial.open.fetch_sub(1, Ordering::SeqCst);
        self.partial.ring();
    }
}
