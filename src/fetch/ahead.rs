//! Small files brought before anybody asks: who reads one file of a directory usually reads the next ones too.
//!
//! A *trail* follows one reader: it begins where a file had to be fetched for somebody, and brings the small files after it
//! in the order of listings, some at a time. It goes on only as far as what it brought is used: its window begins small
//! and grows with every file that is opened, and a limit on bytes holds for all trails together. When most of a directory
//! was used the trail goes on into the next one.
//!
//! Callers come first: a file somebody waits for is asked for by itself, unless it is on its way already.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::flight::{Flight, Job};
use super::{Inner, batch, lock, next};
use crate::model::{Cookie, Ino};

/// Trails followed at the same time; of more, the one used longest ago is given up.
const TRAILS: usize = 4;
/// Files a new trail may bring before one of them is used.
pub(super) const FIRST: usize = 16;
/// Files a proven trail may be ahead of its reader.
const WIDEST: usize = 512;
/// Bytes brought and not used yet, of all trails together.
pub(super) const MOST_BYTES: u64 = 32 << 20;
/// Batches of one trail that may be under way.
const WIDTH: usize = 2;

/// One reader being followed.
struct Trail {
    id: u64,
    dir: Ino,
    after: Cookie,
    window: usize,
    used: usize,
    /// Brought or on their way, and not used yet.
    unused: usize,
    under_way: usize,
    /// Its next files are being looked up: two batches must not bring the same ones.
    choosing: bool,
    ended: bool,
}

impl Trail {
    /// Enough was used for another directory to be worth it.
    fn is_proven(&self) -> bool {
        self.used > 0 && self.used >= self.unused
    }
}

#[derive(Default)]
struct State {
    trails: Vec<Trail>,
    next: u64,
    /// Files on their way, with the flight that brings them.
    coming: HashMap<Ino, Arc<Flight>>,
    /// Files brought and not used yet: trail and size.
    brought: HashMap<Ino, (u64, u64)>,
    unused_bytes: u64,
}

/// The trails.
#[derive(Default)]
pub(super) struct Ahead {
    state: Mutex<State>,
}

/// What a batch has to choose its files by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) number: u64,
    trail: u64,
    pub(super) dir: Ino,
    pub(super) after: Cookie,
    /// Files at most.
    pub(super) files: usize,
    /// Bytes at most.
    pub(super) bytes: u64,
    /// Enough was used for the next directory to be worth it.
    pub(super) proven: bool,
}

/// Files that a batch chose, and where the trail goes on.
pub(super) struct Chosen {
    pub(super) files: Vec<(Ino, u64)>,
    pub(super) then: (Ino, Cookie),
}

impl Ahead {
    /// The flight that is bringing a file already.
    pub(super) fn coming(&self, ino: Ino) -> Option<Arc<Flight>> {
        lock(&self.state).coming.get(&ino).cloned()
    }

    /// A file is opened that is here. True when a trail brought it, and may bring more now.
    pub(super) fn used(&self, ino: Ino) -> bool {
        let mut state = lock(&self.state);
        let Some((trail, size)) = state.brought.remove(&ino) else {
            return false;
        };
        state.unused_bytes -= size;
        state.count_use(trail)
    }

    /// A file of `dir`, at that position, had to be fetched for somebody.
    pub(super) fn missed(&self, dir: Ino, at: Cookie) {
        let mut state = lock(&self.state);
        if let Some(found) = state.trails.iter().position(|trail| trail.dir == dir) {
            // The trail is moved to the end: used last.
            let mut trail = state.trails.remove(found);
            if at > trail.after {
                trail.after = at;
                trail.ended = false;
            }
            state.trails.push(trail);
            return;
        }
        if state.trails.len() >= TRAILS {
            let old = state.trails.remove(0).id;
            state.forget(old);
        }
        let id = state.next;
        state.next += 1;
        state.trails.push(Trail {
            id,
            dir,
            after: at,
            window: FIRST,
            used: 0,
            unused: 0,
            under_way: 0,
            choosing: false,
            ended: false,
        });
    }

    /// A trail that may bring more, marked as choosing.
    fn turn(&self) -> Option<Turn> {
        let mut state = lock(&self.state);
        let bytes = MOST_BYTES
            .checked_sub(state.unused_bytes)
            .filter(|b| *b > 0)?;
        let ready = state.trails.iter_mut().rev().find(|trail| {
            // Full batches: a file at a time would cost a question each.
            let room = trail.window.saturating_sub(trail.unused);
            let worth = room >= batch::FILES.min(trail.window / 2).max(1)
                && (trail.after != next::END || trail.is_proven());
            !trail.ended && !trail.choosing && trail.under_way < WIDTH && worth
        })?;
        ready.choosing = true;
        ready.under_way += 1;
        let turn = Turn {
            number: 0,
            trail: ready.id,
            dir: ready.dir,
            after: ready.after,
            files: (ready.window - ready.unused).min(batch::FILES),
            bytes: bytes.min(batch::BYTES),
            proven: ready.is_proven(),
        };
        state.next += 1;
        Some(Turn {
            number: state.next,
            ..turn
        })
    }

    /// A batch has chosen: its files are on their way from now on.
    pub(super) fn chose(&self, turn: &Turn, chosen: &Chosen, flight: &Arc<Flight>) {
        let mut state = lock(&self.state);
        for (ino, size) in &chosen.files {
            state.coming.insert(*ino, flight.clone());
            state.unused_bytes += size;
        }
        let Some(trail) = state.trail(turn.trail) else {
            return;
        };
        trail.choosing = false;
        trail.unused += chosen.files.len();
        // A reader may have gone further meanwhile.
        let moved = (trail.dir, trail.after) != (turn.dir, turn.after);
        if !moved || chosen.then.0 != trail.dir {
            (trail.dir, trail.after) = chosen.then;
        }
    }

    /// A batch has landed: `placed` of its files are here.
    fn landed(&self, turn: &Turn, chosen: &[(Ino, u64)], placed: &[Ino]) {
        let mut state = lock(&self.state);
        let mut lost = 0;
        for (ino, size) in chosen {
            state.coming.remove(ino);
            if placed.binary_search(ino).is_ok() {
                state.brought.insert(*ino, (turn.trail, *size));
            } else {
                state.unused_bytes -= size;
                lost += 1;
            }
        }
        if let Some(trail) = state.trail(turn.trail) {
            trail.under_way -= 1;
            trail.choosing = false;
            trail.unused -= lost;
            // A server that gives nothing is not asked on.
            trail.ended |= placed.is_empty();
        } else {
            state.forget(turn.trail);
        }
    }

    /// Gives up every trail: the server is not to be asked now, or memory of what was read is of no use.
    pub(super) fn stop(&self) {
        let mut state = lock(&self.state);
        state.trails.clear();
        let sizes: u64 = state.brought.drain().map(|(_, (_, size))| size).sum();
        state.unused_bytes -= sizes;
    }
}

impl State {
    fn trail(&mut self, id: u64) -> Option<&mut Trail> {
        self.trails.iter_mut().find(|trail| trail.id == id)
    }

    /// One more file of a trail was used. True when that lets it go on.
    fn count_use(&mut self, id: u64) -> bool {
        let Some(trail) = self.trail(id) else {
            return false;
        };
        trail.used += 1;
        trail.unused = trail.unused.saturating_sub(1);
        trail.window = (FIRST + trail.used * 2).min(WIDEST);
        !trail.ended && !trail.choosing && trail.under_way < WIDTH
    }

    /// Nobody waits any more for what a trail brought.
    fn forget(&mut self, id: u64) {
        let mut freed = 0;
        self.brought.retain(|_, (trail, size)| {
            if *trail == id {
                freed += *size;
            }
            *trail != id
        });
        self.unused_bytes -= freed;
    }
}

/// Starts batches as long as trails may go on.
pub(super) fn go_on(inner: &Arc<Inner>) {
    while inner.link.may_ask() {
        let Some(turn) = inner.ahead.turn() else {
            return;
        };
        let worker = inner.clone();
        // Made before the thread: one that cannot start ends the trail by dropping it.
        let landing = Landing {
            inner: worker,
            turn,
            chosen: Vec::new(),
            placed: Vec::new(),
        };
        let job = Job::Ahead(turn.number);
        let bring = move |flight: &Arc<_>| batch::bring(landing, flight);
        inner.flights.join_knowing(job, bring);
    }
}

/// Tells the trails of a batch that ended, whatever happened to its thread.
pub(super) struct Landing {
    pub(super) inner: Arc<Inner>,
    pub(super) turn: Turn,
    pub(super) chosen: Vec<(Ino, u64)>,
    pub(super) placed: Vec<Ino>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.placed.sort_unstable();
        let ahead = &self.inner.ahead;
        ahead.landed(&self.turn, &self.chosen, &self.placed);
        if !self.placed.is_empty() {
            go_on(&self.inner);
        }
    }
}
