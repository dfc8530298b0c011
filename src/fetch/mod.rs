//! How a lower file becomes local bytes, and a lower directory local names. One copy of each fetch at a time.
//!
//! Every question to the lower runs on a thread of its own (a *flight*) and callers wait for it up to their deadline:
//! a silent server costs a caller its deadline and no more, and the answer is still taken when it comes later.
//!
//! On access only what one side changed alone is taken at once: new names, and clean objects the server changed in
//! place. Everything else (removals, moves, replacements, changes on both sides) is left to a sync, which sees the whole
//! tree and so can tell a move from a removal.

mod absorb;
mod ahead;
mod asked;
mod batch;
mod bytes;
mod elsewhere;
mod filling;
mod flight;
mod follow;
mod hold;
mod keeping;
mod known;
mod names;
mod next;
mod pace;
mod partial;
mod pull;
mod ranges;
mod refresh;
mod stale;
mod taking;
mod walk;
mod watching;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::link::{Link, State};
use crate::lower::{Lower, LowerError, Probe};
use crate::meta::MetaError;
use crate::model::{Bid, Ino, Listing, Mask, Problem, RelPath};
use crate::tree::{Tree, TreeError};

pub use elsewhere::Seat;
pub use hold::Hold;
pub use known::{is_known, same_identity};
pub use partial::{Part, PartRead};
pub use stale::Stale;
pub use walk::Walked;

/// Why something could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// We are disconnected, or the server did not answer before the deadline.
    #[error("the server is not reachable")]
    Unreachable,
    /// The server says it is gone (the caller's view will be merged by the next sync).
    #[error("gone on the server")]
    Gone,
    /// The server said something else.
    #[error(transparent)]
    Lower(LowerError),
    /// The tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl From<MetaError> for FetchError {
    fn from(error: MetaError) -> FetchError {
        FetchError::Tree(match error {
            MetaError::Full => TreeError::NoSpace,
            other => TreeError::Meta(other),
        })
    }
}

/// Brings names and bytes here.
pub struct Fetch {
    inner: Arc<Inner>,
}

/// What flights share with the callers.
struct Inner {
    tree: Arc<Tree>,
    lower: Arc<dyn Lower>,
    link: Arc<Link>,
    flights: flight::Flights,
    looked: refresh::Looked,
    stale: stale::Queue,
    asked: asked::Asked,
    ahead: ahead::Ahead,
    partials: partial::Partials,
    pace: pace::Pace,
    elsewhere: elsewhere::Elsewhere,
    holds: Arc<hold::Holds>,
    watching: watching::Watching,
    mask: Mutex<Option<Mask>>,
    problems: Mutex<Vec<Problem>>,
}

impl Fetch {
    /// Joins the parts.
    pub fn new(tree: Arc<Tree>, lower: Arc<dyn Lower>, link: Arc<Link>) -> Fetch {
        let inner = Inner {
            tree,
            lower,
            link,
            flights: flight::Flights::default(),
            looked: refresh::Looked::default(),
            stale: stale::Queue::default(),
            asked: asked::Asked::default(),
            ahead: ahead::Ahead::default(),
            partials: partial::Partials::default(),
            pace: pace::Pace::default(),
            elsewhere: elsewhere::Elsewhere::default(),
            holds: Arc::default(),
            watching: watching::Watching::default(),
            mask: Mutex::new(None),
            problems: Mutex::new(Vec::new()),
        };
        pull::drop_left_over(&inner.tree);
        keeping::tidy(&inner);
        Fetch {
            inner: Arc::new(inner),
        }
    }

    /// Makes sure that a directory is listed here.
    pub fn names(&self, dir: Ino, deadline: Instant) -> Result<(), FetchError> {
        names::fetch(&self.inner, dir, names::For::Use, deadline)
    }

    /// Makes sure that the bytes of a file are here.
    pub fn bytes(&self, ino: Ino, deadline: Instant) -> Result<(), FetchError> {
        bytes::fetch(&self.inner, ino, deadline)
    }

    /// Makes sure that a file can be opened: all of a small one is here afterwards, or of one that comes in a moment; of
    /// a large one the first piece.
    pub fn begin(&self, ino: Ino, deadline: Instant) -> Result<(), FetchError> {
        keeping::begin(&self.inner, ino, deadline)
    }

    /// Opens a file of which only parts are here, after [`Fetch::begin`], or without the server what is left of an
    /// earlier time.
    pub fn open_part(&self, ino: Ino) -> Option<Part> {
        keeping::open(&self.inner, ino)
    }

    /// Brings a part of an open file that is not here.
    pub fn piece(&self, ino: Ino, at: (u64, u64), deadline: Instant) -> Result<(), FetchError> {
        filling::piece(&self.inner, ino, at, deadline)
    }

    /// Stores which parts of large files are here: before an orderly end.
    pub fn save_parts(&self) {
        keeping::save_all(&self.inner);
    }

    /// True while nothing is asked of the server.
    pub fn idle(&self) -> bool {
        self.inner.flights.under_way() == 0
    }

    /// To be told of every file that is opened: a file brought ahead of its use lets its successors come.
    pub fn used(&self, ino: Ino) {
        if self.inner.ahead.used(ino) {
            ahead::go_on(&self.inner);
        }
    }

    /// Looks at a directory on the server again if that was longer ago than the link's revalidation time, and takes
    /// what only the server changed. Waits at most until `deadline` (or 1 s), then memory answers. Does nothing when
    /// disconnected. Nodes whose kernel caches must go are queued for [`Fetch::take_stale`].
    pub fn refresh(&self, dir: Ino, deadline: Instant) -> Result<(), FetchError> {
        refresh::refresh(&self.inner, dir, deadline)
    }

    /// True while another look at a directory is under way (a caller may have given up waiting for it).
    pub fn is_looking(&self, dir: Ino) -> bool {
        self.inner.flights.is_open(flight::Job::Refresh(dir))
    }

    /// Lists directories that are not listed yet, nearest to the root first, until `budget` names were brought, all is
    /// listed, the server is not reachable, or `go_on` says no. For a background thread.
    pub fn names_walk(&self, budget: usize, go_on: &dyn Fn() -> bool) -> Walked {
        walk::walk(&self.inner, budget, go_on)
    }

    /// Listens to what the lower tells of changes and looks at changed directories at once, until `go_on` says no. For a
    /// background thread. Directories are watched from its first moment on; on a lower that tells nothing it idles.
    pub fn follow(&self, go_on: &dyn Fn() -> bool) {
        follow::follow(&self.inner, go_on);
    }

    /// How long a look at `dir` counts where the lower tells of changes: longer than usual, and shorter right after it told
    /// of one. `None`: as usual.
    pub fn watched_for(&self, dir: Ino) -> Option<Duration> {
        self.inner.watched_for(dir)
    }

    /// How many directories need not be looked at because the lower tells of changes in them.
    pub fn watched(&self) -> usize {
        self.inner.watching.vouched()
    }

    /// What the kernel must forget since the last call; the notify thread waits here up to `wait`.
    pub fn take_stale(&self, wait: Duration) -> Vec<Stale> {
        self.inner.stale.take(wait)
    }

    /// Adds to what the kernel must forget (used by reintegrate after a pull).
    pub fn push_stale(&self, stale: Vec<Stale>) {
        self.inner.stale.push(stale);
    }

    /// True when a refresh met changes that need a whole sync (moves, removals, both-sided); reading resets it.
    pub fn wants_sync(&self) -> bool {
        self.inner.asked.take()
    }

    /// Says that a whole sync is needed.
    pub fn want_sync(&self) {
        self.inner.asked.want();
    }

    /// Learns from a whole look what the server has at another place than base, and where. What is not named is where
    /// base has it.
    pub fn found_elsewhere(&self, seats: HashMap<Bid, Seat>) {
        self.inner.elsewhere.set(seats);
    }

    /// Keeps [`Fetch::refresh`] from taking anything until the returned value is dropped, so that what a scan read of
    /// base stays true while its plan is carried out. First listings and contents still come.
    pub fn hold(&self) -> Hold {
        hold::Holds::hold(&self.inner.holds)
    }

    /// Which stamp fields count on this lower: as learnt from the last probe, else as stored, else asked now.
    pub fn mask(&self) -> Result<Mask, FetchError> {
        self.inner.mask()
    }

    /// Learns which stamp fields count from a probe.
    pub fn learn(&self, probe: &Probe) -> Result<(), FetchError> {
        self.inner.learn(probe.mask)
    }

    /// Names on the server that cannot be shown, and why.
    pub fn problems(&self) -> Vec<Problem> {
        lock(&self.inner.problems).clone()
    }

    /// Forgets when directories were last looked at: the next access asks the server. To be called when the link
    /// returns, and after a sync.
    pub fn look_again(&self) {
        self.inner.looked.clear();
        self.inner.asked.clear();
        self.inner.watching.clear();
    }
}

impl Inner {
    fn watched_for(&self, dir: Ino) -> Option<Duration> {
        // Nobody hears what is told while the link is in doubt.
        let told = self.watching.fresh_for(dir)?;
        (self.link.state() == State::Connected).then_some(told)
    }

    fn fresh_for(&self, dir: Ino) -> Duration {
        let told = self.watched_for(dir);
        told.unwrap_or_else(|| self.link.fresh_for())
    }

    fn mask(&self) -> Result<Mask, FetchError> {
        if let Some(mask) = *lock(&self.mask) {
            return Ok(mask);
        }
        let stored = self.tree.meta().read(|rows| rows.setting(MASK))?;
        if let Some(mask) = stored.and_then(|text| serde_json::from_str(&text).ok()) {
            *lock(&self.mask) = Some(mask);
            return Ok(mask);
        }
        let probe = self
            .lower
            .probe()
            .map_err(|error| self.told("probe", error))?;
        self.learn(probe.mask)?;
        Ok(probe.mask)
    }

    fn learn(&self, mask: Mask) -> Result<(), FetchError> {
        if lock(&self.mask).replace(mask) == Some(mask) {
            return Ok(());
        }
        // A mask of plain numbers and booleans always becomes JSON.
        let text = serde_json::to_string(&mask).unwrap_or_default();
        Ok(self
            .tree
            .meta()
            .write(|txn| txn.set_setting(MASK, Some(&text)))?)
    }

    /// Turns the lower's error into ours and tells the link of a silent server.
    fn told(&self, what: &str, error: LowerError) -> FetchError {
        match error {
            LowerError::Link { .. } => {
                self.link.failed(&format!("{what}: {error}"));
                FetchError::Unreachable
            }
            LowerError::NotFound(_) => {
                self.asked.want();
                FetchError::Gone
            }
            other => FetchError::Lower(other),
        }
    }

    /// Replaces the remarks about one directory by those of its newest listing.
    fn remark(&self, dir: &RelPath, listing: &Listing) {
        let reserved = listing.entries.iter().map(|entry| &entry.name);
        let reserved = reserved.filter_map(|name| absorb::reserved_problem(dir, name));
        let unknown = listing.unknown.iter().map(|(name, why)| Problem {
            path: dir.join(name),
            reason: format!(
                "the server lists it but does not show what it is ({why}), so it is not shown here; \
                 look at it on the server: ls -ld '{name}'"
            ),
        });
        let now: Vec<Problem> = reserved.chain(unknown).collect();
        let mut problems = lock(&self.problems);
        problems.retain(|problem| {
            problem
                .path
                .split()
                .is_none_or(|(parent, _)| parent != *dir)
        });
        let room = PROBLEMS.saturating_sub(problems.len());
        problems.extend(now.into_iter().take(room));
    }
}

/// Setting that holds the [`Mask`] as JSON.
const MASK: &str = "mask";
/// More remarks than a person reads are not kept.
const PROBLEMS: usize = 1000;

/// Locks a mutex whose data is whole after every statement, so a panic elsewhere leaves it usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
