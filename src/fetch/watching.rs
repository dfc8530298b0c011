//! Which directories the lower tells of, and for which of them the last look still counts.
//!
//! A watch is placed *before* the listing it vouches for: what happens in between is told, and makes the listing count
//! no longer. A directory is vouched for when it and every directory in it are watched (a change in one of those moves its
//! times, which the listing shows, without a word about the directory it is in) and no file in it has further names
//! (through which it could change unseen). Then its look counts for [`LONG`], which also bounds what no event tells: stores
//! through a mapping that stays open.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::lock;
use crate::lower::{Answer, Events, Lower, Watch};
use crate::model::{Ino, Kind, Listing, RelPath};

/// How long a look at a directory that is vouched for counts. The kernel may keep it as long again: a minute in all.
pub(super) const LONG: Duration = Duration::from_secs(30);
/// A directory in which things happen is looked at no more often than this …
const SOON: Duration = Duration::from_millis(40);
/// … nor so often that looking takes more than one part in so many of the time.
const SHARE: u32 = 4;
/// Nor is it looked at more seldom than this.
const SELDOM: Duration = Duration::from_secs(1);
/// More directories are not watched at a time.
const MOST: usize = 16_000;
/// After so many looks that brought nothing a directory is left to the next access.
const TRIES: u32 = 5;

/// The directories the lower tells of.
#[derive(Default)]
pub(super) struct Watching {
    /// Somebody listens to what is told.
    on: AtomicBool,
    state: Mutex<State>,
    placed: Condvar,
}

#[derive(Default)]
struct State {
    session: u64,
    /// This lower tells of nothing.
    unable: bool,
    dirs: HashMap<Ino, One>,
    /// Every place is taken: nothing is vouched for until the last promise made to the kernel has run out, then all
    /// begins anew with what is used then.
    full_since: Option<Instant>,
}

/// One directory.
struct One {
    path: RelPath,
    /// The directory it is in, where that is watched too.
    above: Option<Ino>,
    /// When somebody wanted to know how long an answer about it counts.
    used: Option<Instant>,
    placed: bool,
    vouched: bool,
    /// When its last complete look began.
    looked: Option<Instant>,
    /// When something was told of it last.
    news: Option<Instant>,
    /// When its last look began, complete or not, and how long it took.
    tried: Option<Instant>,
    took: Duration,
    failures: u32,
}

impl One {
    fn at(path: RelPath) -> One {
        One {
            path,
            above: None,
            used: None,
            placed: false,
            vouched: false,
            looked: None,
            news: None,
            tried: None,
            took: Duration::ZERO,
            failures: 0,
        }
    }

    /// Something was told of it that no look has seen.
    fn has_news(&self) -> bool {
        match (self.news, self.looked) {
            (Some(news), Some(looked)) => news >= looked,
            (news, None) => news.is_some(),
            (None, _) => false,
        }
    }

    /// Somebody may still keep what was told of it.
    fn is_used(&self) -> bool {
        self.used.is_some_and(|used| used.elapsed() < 3 * LONG)
    }

    fn pause(&self) -> Duration {
        (self.took * SHARE).clamp(SOON, SELDOM)
    }

    fn due(&self) -> Option<Instant> {
        let news = self.news.filter(|_| self.has_news())?;
        Some(self.tried.map_or(news, |tried| tried + self.pause()))
    }
}

/// A look that may end in vouching.
pub(super) struct Placed {
    began: Instant,
    session: u64,
}

impl Watching {
    /// From now on somebody listens.
    pub(super) fn switch_on(&self) {
        self.on.store(true, Ordering::Release);
    }

    /// How long the last look at `dir` counts, if that is another time than usual.
    pub(super) fn fresh_for(&self, dir: Ino) -> Option<Duration> {
        let mut state = lock(&self.state);
        let full = state.full_since.is_some();
        let one = state.dirs.get_mut(&dir).filter(|one| one.placed)?;
        one.used = Some(Instant::now());
        if one.has_news() {
            return Some(one.pause());
        }
        (one.vouched && !full).then_some(LONG)
    }

    /// How many directories are vouched for.
    pub(super) fn vouched(&self) -> usize {
        let state = lock(&self.state);
        state.dirs.values().filter(|one| one.vouched).count()
    }

    /// Watches `dir`, and `inside` what it holds of directories, before it is listed. A lower that does not answer is met
    /// again by the listing.
    pub(super) fn place(
        &self,
        lower: &dyn Lower,
        (dir, path): (Ino, &RelPath),
        inside: &[(Ino, RelPath)],
    ) -> Option<Placed> {
        let (ask, drop) = self.wanted((dir, path), inside)?;
        let answer = lower.watch(&ask, &drop);
        let answer = answer
            .inspect_err(|error| tracing::debug!(%error, "nothing is watched"))
            .ok()?;
        let mut state = lock(&self.state);
        if !answer.able {
            state.unable = true;
            state.dirs.clear();
            return None;
        }
        state.begin(answer.session);
        for watch in &ask {
            let ino = Ino(watch.key);
            let placed = answer.placed.contains(&watch.key);
            if placed {
                let fresh = || One::at(watch.dir.clone());
                let one = state.dirs.entry(ino).or_insert_with(fresh);
                one.path = watch.dir.clone();
                one.placed = true;
                one.above = one.above.or((ino != dir).then_some(dir));
            } else {
                state.dirs.remove(&ino);
            }
        }
        let began = Instant::now();
        let one = state.dirs.get_mut(&dir)?;
        one.tried = Some(began);
        self.placed.notify_all();
        Some(Placed {
            began,
            session: answer.session,
        })
    }

    /// What has to be asked for; `None`: nothing.
    fn wanted(
        &self,
        (dir, path): (Ino, &RelPath),
        inside: &[(Ino, RelPath)],
    ) -> Option<(Vec<Watch>, Vec<u64>)> {
        if !self.on.load(Ordering::Acquire) {
            return None;
        }
        let mut state = lock(&self.state);
        if state.unable {
            return None;
        }
        let drop = state.make_room();
        let known = |ino: &Ino, at: &RelPath| {
            let one = state.dirs.get(ino);
            one.is_some_and(|one| one.placed && one.path == *at)
        };
        // The directory itself is asked for each time: another one may have its path now.
        let mut ask = vec![watch(dir, path)];
        let new = inside.iter().filter(|(ino, at)| !known(ino, at));
        ask.extend(new.map(|(ino, at)| watch(*ino, at)));
        if state.dirs.len() + ask.len() > MOST {
            state.full_since.get_or_insert_with(Instant::now);
            return None;
        }
        Some((ask, drop))
    }

    /// A look at `dir` is complete. `inside`: the directories in it, as it knows them.
    pub(super) fn looked(&self, dir: Ino, placed: &Placed, listing: &Listing, inside: &[Ino]) {
        let mut state = lock(&self.state);
        if state.session != placed.session {
            return;
        }
        let all = inside
            .iter()
            .all(|ino| state.dirs.get(ino).is_some_and(|one| one.placed));
        let vouched = all && inside.len() == dirs_in(listing) && !has_linked(listing);
        if let Some(one) = state.dirs.get_mut(&dir).filter(|one| one.placed) {
            one.looked = Some(placed.began);
            one.took = placed.began.elapsed();
            one.vouched = vouched;
            one.failures = 0;
        }
    }

    /// A look at `dir` was not complete: it is tried again a few times, then left to the next access.
    pub(super) fn missed(&self, dir: Ino) {
        let mut state = lock(&self.state);
        let Some(one) = state.dirs.get_mut(&dir) else {
            return;
        };
        one.vouched = false;
        one.tried = Some(Instant::now());
        one.failures += 1;
        if one.failures < TRIES {
            return;
        }
        (one.failures, one.news) = (0, None);
        if !one.placed {
            state.dirs.remove(&dir);
        }
    }

    /// What is known of `dir` may be wrong.
    pub(super) fn doubt(&self, dir: Ino) {
        let mut state = lock(&self.state);
        if let Some(one) = state.dirs.get_mut(&dir) {
            one.news = Some(Instant::now());
        }
        self.placed.notify_all();
    }

    /// Forgets for which directories a look counts longer: each has to be looked at again. Watches stay.
    pub(super) fn clear(&self) {
        let mut state = lock(&self.state);
        state.unable = false;
        for one in state.dirs.values_mut() {
            one.vouched = false;
        }
    }

    /// Takes in what the lower told.
    pub(super) fn heard(&self, answer: &Answer<Events>) {
        let mut state = lock(&self.state);
        let Ok(events) = answer else {
            return state.lost();
        };
        state.begin(events.session);
        if events.lost {
            state.lost();
        }
        for key in &events.changed {
            state.tell_one(Ino(*key), events.names.contains(key));
        }
        for key in &events.moved {
            // What is below has another path too.
            if let Some(path) = state.dirs.get(&Ino(*key)).map(|one| one.path.clone()) {
                state.tell(|one| one.path.is_within(&path));
                let below = |one: &&mut One| one.path.is_within(&path);
                for one in state.dirs.values_mut().filter(below) {
                    (one.placed, one.vouched) = (false, false);
                }
            }
        }
        for key in &events.ended {
            if let Some(one) = state.dirs.get_mut(&Ino(*key)) {
                (one.placed, one.vouched) = (false, false);
            }
        }
    }

    /// Waits until something is watched, at most `limit`; true when it is.
    pub(super) fn wait_for_any(&self, limit: Duration) -> bool {
        let state = lock(&self.state);
        let none = |state: &mut State| state.dirs.is_empty();
        match self.placed.wait_timeout_while(state, limit, none) {
            Ok((state, _)) => !state.dirs.is_empty(),
            Err(_) => false,
        }
    }

    /// The directories that should be looked at by now, and when the next one should, if one is known.
    /// What nobody uses waits for the next access.
    pub(super) fn due(&self) -> (Vec<Ino>, Option<Instant>) {
        let state = lock(&self.state);
        let now = Instant::now();
        let (mut due, mut next) = (Vec::new(), None::<Instant>);
        for (ino, one) in state.dirs.iter().filter(|(_, one)| one.is_used()) {
            match one.due() {
                Some(at) if at <= now => due.push(*ino),
                Some(at) => next = Some(next.map_or(at, |next| next.min(at))),
                None => {}
            }
        }
        (due, next)
    }
}

impl State {
    /// Another session: what was watched in the last one is not, and what it would have told is lost.
    fn begin(&mut self, session: u64) {
        if self.session != session {
            self.session = session;
            self.lost();
            for one in self.dirs.values_mut() {
                (one.placed, one.vouched) = (false, false);
            }
        }
    }

    fn lost(&mut self) {
        self.tell(|_| true);
    }

    fn tell(&mut self, whom: impl Fn(&One) -> bool) {
        let now = Instant::now();
        for one in self.dirs.values_mut().filter(|one| whom(one)) {
            one.news = Some(now);
        }
    }

    fn tell_one(&mut self, ino: Ino, names: bool) {
        let now = Instant::now();
        let Some(one) = self.dirs.get_mut(&ino) else {
            return;
        };
        one.news = Some(now);
        // Its own times are in the listing of the directory it is in; a look at itself would bring them too.
        let above = one.above.filter(|_| names && !one.is_used());
        if let Some(above) = above.and_then(|above| self.dirs.get_mut(&above)) {
            above.news = Some(now);
        }
    }

    /// When all places were taken long enough ago, gives all of them up. Gives the keys that are watched no more.
    fn make_room(&mut self) -> Vec<u64> {
        if self.full_since.is_none_or(|since| since.elapsed() < LONG) {
            return Vec::new();
        }
        self.full_since = None;
        self.dirs.drain().map(|(ino, _)| ino.0).collect()
    }
}

fn watch(dir: Ino, path: &RelPath) -> Watch {
    Watch {
        key: dir.0,
        dir: path.clone(),
    }
}

fn dirs_in(listing: &Listing) -> usize {
    let is_dir = |kind| kind == Kind::Dir;
    let entries = listing.entries.iter();
    entries
        .filter(|entry| is_dir(entry.seen.stamp.kind) && !super::absorb::reserved(&entry.name))
        .count()
}

fn has_linked(listing: &Listing) -> bool {
    let linked = |kind, nlink| kind != Kind::Dir && nlink > 1;
    let mut entries = listing.entries.iter();
    entries.any(|entry| linked(entry.seen.stamp.kind, entry.seen.nlink))
}

#[cfg(test)]
#[path = "watching_test.rs"]
mod tests;
