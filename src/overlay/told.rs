//! What the kernel was told and may keep, and how it hears when that is no longer so.
//!
//! Offline nothing changes behind our back, so the kernel may keep what it knows for a day. This holds only because
//! everything that is shown differently reaches the kernel: every transaction that the kernel did not ask for says what
//! it changed ([`Tree::tell`](crate::tree::Tree::tell)), and when the link returns *everything* the kernel holds is to be
//! asked again.
//!
//! Replies and news must not cross: an operation may read rows, lose its turn to a change, and reply with what was.
//! So a reply is given while the *gate* is held shared, and lets nothing be kept when there were news of it since the
//! operation began. Whoever passes news on goes through the gate alone first: what was replied before is with the kernel
//! by then, and what is replied later knows of the news.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use super::hidden::is_shown;
use super::{Overlay, Stat};
use crate::fetch::Stale;
use crate::link::State;
use crate::meta::Changed;
use crate::model::{Ino, Kind, Name};
use crate::tree::Tree;

/// How long the kernel may keep what it is told while we are disconnected.
pub(super) const OFFLINE: Duration = Duration::from_secs(24 * 3600);
/// Times from here on are long: what is kept for so long is taken back when it is no longer so.
const LONG: Duration = Duration::from_secs(10);
/// News remembered for replies on their way; whatever is older counts as news of anything.
const NEWS: usize = 256;
/// Names that the kernel keeps as missing for long. More are kept for a short time.
const MISSING: usize = 32_768;

/// See the module.
#[derive(Default)]
pub(super) struct Told {
    gate: RwLock<()>,
    count: AtomicU64,
    news: Mutex<VecDeque<Ino>>,
    missing: Mutex<HashSet<(Ino, Name)>>,
}

/// How long the kernel may keep what it is told of a name.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// That the name leads there.
    pub name: Duration,
    /// What the node is like.
    pub attributes: Duration,
}

impl Keep {
    const NOT: Keep = Keep {
        name: Duration::ZERO,
        attributes: Duration::ZERO,
    };

    /// For a file that was made just now, whatever is open. It is empty, so before a mapping can store anything in it some
    /// call must make it longer, and with that the kernel drops size and times by itself.
    pub fn of_new(self) -> Duration {
        self.name
    }
}

/// When an operation began, counted in news.
#[derive(Clone, Copy, Debug)]
pub struct Asked(u64);

/// Something the kernel must hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Attributes of a node are others.
    Attributes(Ino),
    /// Attributes and bytes of a node are others.
    Node(Ino),
    /// A name came, went, or leads elsewhere.
    Name(Ino, Name),
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Told {
    /// Notes news before they are passed on. `Ino(0)`: of everything.
    fn note(&self, about: impl IntoIterator<Item = Ino>) {
        let mut news = lock(&self.news);
        for ino in about {
            news.push_back(ino);
            self.count.fetch_add(1, Ordering::SeqCst);
        }
        let over = news.len().saturating_sub(NEWS);
        news.drain(..over);
    }

    /// True when there were news of one of these since `asked`.
    fn heard_of(&self, asked: Asked, these: &[Ino]) -> bool {
        let now = self.count.load(Ordering::SeqCst);
        let missed = now.saturating_sub(asked.0);
        if missed == 0 {
            return false;
        }
        let news = lock(&self.news);
        let missed = missed as usize;
        missed > news.len()
            || news
                .iter()
                .rev()
                .take(missed)
                .any(|ino| ino.0 == 0 || these.contains(ino))
    }
}

impl Overlay {
    /// Notes the moment before rows are read for a reply.
    pub fn asked(&self) -> Asked {
        Asked(self.told.count.load(Ordering::SeqCst))
    }

    /// While this is held no news are passed on: for listings, which are read and replied in one go.
    pub fn answering(&self) -> RwLockReadGuard<'_, ()> {
        let gate = self.told.gate.read();
        gate.unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a reply about `ino`, a name in `dir`, with the time the kernel may keep it.
    pub fn answer<T>(
        &self,
        asked: Asked,
        (dir, stat): (Ino, &Stat),
        reply: impl FnOnce(Keep) -> T,
    ) -> T {
        let _gate = self.answering();
        let heard = self.told.heard_of(asked, &[dir, stat.ino]);
        let keep = self.keep_at(dir, stat);
        reply(if heard { Keep::NOT } else { keep })
    }

    /// Gives a reply about the attributes of a node.
    pub fn answer_attributes<T>(
        &self,
        asked: Asked,
        stat: &Stat,
        reply: impl FnOnce(Duration) -> T,
    ) -> T {
        let _gate = self.answering();
        let heard = self.told.heard_of(asked, &[stat.ino]);
        let time = self.keep_for(stat.ino).min(self.while_open(stat));
        reply(if heard { Duration::ZERO } else { time })
    }

    /// Gives the reply that there is nothing of a name.
    pub fn answer_missing<T>(
        &self,
        asked: Asked,
        (dir, name): (Ino, &Name),
        reply: impl FnOnce(Duration) -> T,
    ) -> T {
        let _gate = self.answering();
        if is_shown(dir) || self.told.heard_of(asked, &[dir]) {
            return reply(Duration::ZERO);
        }
        let mut time = self.fresh_for(dir);
        // Nobody asks about what is missing, so what is kept for long must be taken back by name.
        if time >= LONG {
            let mut missing = lock(&self.told.missing);
            if missing.len() < MISSING {
                missing.insert((dir, name.clone()));
            } else {
                time = self.link.fresh_for();
            }
        }
        reply(time)
    }

    /// How long the kernel may keep a node that it meets in `dir`.
    pub fn keep_at(&self, dir: Ino, stat: &Stat) -> Keep {
        let name = self.fresh_for(dir);
        let mut time = name;
        if stat.attrs.kind != Kind::Dir && stat.nlink > 1 {
            // Its attributes are asked for where its first name is; this may be another.
            time = time.min(self.link.fresh_for());
        }
        Keep {
            name,
            attributes: time.min(self.while_open(stat)),
        }
    }

    /// A file that is open for writing may change by a mapping, of which the kernel tells its caches nothing. Where pages go
    /// to the live file without us, not even later.
    fn while_open(&self, stat: &Stat) -> Duration {
        if stat.attrs.kind == Kind::File && self.tree.is_written_unasked(stat.ino) {
            Duration::ZERO
        } else if stat.attrs.kind == Kind::File && self.tree.may_be_written(stat.ino) {
            self.link.fresh_for()
        } else {
            Duration::MAX
        }
    }

    /// How long an answer counts while nobody tells us of changes: until we return, if we are disconnected.
    pub(super) fn usual_time(&self) -> Duration {
        match self.link.state() {
            State::Disconnected(_) => OFFLINE,
            _ => self.link.fresh_for(),
        }
    }

    /// How long the kernel may go on keeping a listing of `dir` whose time is over: it hears of every change in it. `None`: not
    /// without asking.
    pub fn listing_goes_on(&self, dir: Ino) -> Option<Duration> {
        let time = self.fresh_for(dir);
        (!is_shown(dir) && time >= LONG).then_some(time)
    }

    /// The server may be asked again: whatever the kernel was told before is to be asked anew.
    fn everything(&self) -> Vec<News> {
        let missing = std::mem::take(&mut *lock(&self.told.missing));
        // What was made meanwhile the kernel knows: to drop the name of a directory somebody is in would harm it.
        let still = |(dir, name): &(Ino, Name)| {
            let entry = self.tree.meta().quick(|rows| rows.entry(*dir, name));
            matches!(entry, Ok(None) | Err(_))
        };
        let missing = missing.into_iter().filter(still);
        let missing = missing.map(|(dir, name)| News::Name(dir, name));
        let nodes = self.tree.referenced();
        let nodes = nodes.into_iter().chain([Ino::ROOT]).map(News::Attributes);
        missing.chain(nodes).collect()
    }

    /// What the kernel must hear; waits up to `wait` for something.
    pub fn take_news(&self, wait: Duration) -> Vec<News> {
        let stale = self.fetch.take_stale(wait);
        if stale.is_empty() {
            return Vec::new();
        }
        self.told.note(stale.iter().map(about));
        // Replies that did not know of it are with the kernel after this.
        drop(self.told.gate.write());
        let mut news = Vec::new();
        for item in stale {
            match item {
                Stale::Everything => news.extend(self.everything()),
                Stale::Attributes(ino) => news.push(News::Attributes(ino)),
                Stale::Node(ino) => {
                    self.open.forget_content(ino);
                    news.push(News::Node(ino));
                }
                Stale::Name(dir, name) => {
                    let mut missing = lock(&self.told.missing);
                    let key = (dir, name);
                    missing.remove(&key);
                    news.push(News::Name(key.0, key.1));
                }
            }
        }
        news
    }

    /// Notes that what a node shows was changed by us beyond what the kernel asked for.
    pub(super) fn changed_more(&self, ino: Ino) {
        self.told.note([ino]);
        self.fetch.push_stale(vec![Stale::Attributes(ino)]);
    }
}

fn about(stale: &Stale) -> Ino {
    match stale {
        Stale::Node(ino) | Stale::Attributes(ino) | Stale::Name(ino, _) => *ino,
        Stale::Everything => Ino(0),
    }
}

/// What a transaction changed, as news for those who keep it. Only what the kernel holds can be kept there; replies on
/// their way hear of all of it.
pub(super) fn stale(tree: &Tree, told: &Told, changed: Changed) -> Vec<Stale> {
    if changed.everything {
        told.note([Ino(0)]);
        return vec![Stale::Everything];
    }
    let mut about: Vec<Ino> = changed.names.iter().map(|(dir, _)| *dir).collect();
    about.dedup();
    told.note(changed.nodes.iter().copied().chain(about));
    let held = |ino: &Ino| *ino == Ino::ROOT || tree.is_referenced(*ino);
    let nodes = changed
        .nodes
        .into_iter()
        .filter(held)
        .map(Stale::Attributes);
    let names = changed.names.into_iter().filter(|(dir, _)| held(dir));
    nodes
        .chain(names.map(|(dir, name)| Stale::Name(dir, name)))
        .collect()
}
