//! All parts of a running mount, joined.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::bell::Bell;
use super::gate::Gate;
use super::image::Image;
use super::launch::PushMode;
use super::place::Place;
use crate::control::Settled;
use crate::fetch::{Fetch, Stale};
use crate::link::{Event, Link, State, Why};
use crate::lower::{AgentClient, Lower};
use crate::meta::{Meta, Record, WriteTxn};
use crate::model::{RelPath, Who};
use crate::reintegrate::{Failure, Mode, Reintegrate, Report};
use crate::sys::{self, DiskSpace};
use crate::tree::{Tree, TreeError};

/// Setting: a person went offline, and did not come back.
pub(super) const FORCED: &str = "link-forced";
/// Setting: newest journal row when the last automatic snapshot was taken.
const SNAPSHOT_AT: &str = "offline-snapshot-at";

/// All parts of a running mount.
pub(super) struct Engine {
    pub(super) place: Place,
    pub(super) push: PushMode,
    pub(super) tree: Arc<Tree>,
    pub(super) lower: Arc<AgentClient>,
    pub(super) link: Arc<Link>,
    pub(super) fetch: Arc<Fetch>,
    pub(super) reintegrate: Reintegrate,
    pub(super) gate: Arc<Gate>,
    pub(super) bell: Bell,
    /// What holds the files, where they are not in the state directory itself.
    pub(super) image: Option<Image>,
    last: Mutex<Option<Report>>,
    space: Mutex<Option<DiskSpace>>,
    /// Set when the server came back: its old handles go before anything is compared.
    stale_handles: AtomicBool,
    /// Held while both sides are merged, so that nobody's agent is taken away under them.
    merging: Mutex<Option<Merged>>,
    /// All that merges moved since the start.
    moved: Mutex<Moved>,
    /// Set when the server came back and only what was changed here was compared: the rest is looked at in the background.
    pub(super) unverified: AtomicBool,
}

/// How many objects merges moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    /// To the server.
    pub(super) pushed: usize,
    /// From the server.
    pub(super) pulled: usize,
    /// Both ways.
    pub(super) merged: usize,
}

/// A merge that was done.
pub(super) struct Merged {
    /// When it began: it knows of everything before.
    pub(super) began: Instant,
    /// What it was to do.
    pub(super) mode: Mode,
    /// What came of it.
    pub(super) settled: Settled,
}

/// The parts an engine is joined from.
pub(super) struct Parts {
    pub(super) place: Place,
    pub(super) push: PushMode,
    pub(super) tree: Arc<Tree>,
    pub(super) lower: Arc<AgentClient>,
    pub(super) link: Arc<Link>,
    pub(super) fetch: Arc<Fetch>,
    pub(super) gate: Arc<Gate>,
    pub(super) image: Option<Image>,
}

impl Engine {
    /// Joins the parts.
    pub(super) fn new(parts: Parts) -> Engine {
        let reintegrate = Reintegrate::new(
            parts.tree.clone(),
            parts.lower.clone(),
            parts.fetch.clone(),
            parts.link.clone(),
        );
        Engine {
            place: parts.place,
            push: parts.push,
            tree: parts.tree,
            lower: parts.lower,
            link: parts.link,
            fetch: parts.fetch,
            reintegrate,
            gate: parts.gate,
            bell: Bell::default(),
            image: parts.image,
            last: Mutex::new(None),
            space: Mutex::new(None),
            stale_handles: AtomicBool::new(false),
            merging: Mutex::new(None),
            moved: Mutex::default(),
            unverified: AtomicBool::new(false),
        }
    }

    /// All that merges moved since the start.
    pub(super) fn moved(&self) -> MutexGuard<'_, Moved> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory that holds live files and sealed objects.
    pub(super) fn objects_dir(&self) -> &Path {
        self.image
            .as_ref()
            .map_or(self.place.state.as_path(), Image::dir)
    }

    /// The database.
    pub(super) fn meta(&self) -> &Meta {
        self.tree.meta()
    }

    /// What the last merge told.
    pub(super) fn last_report(&self) -> MutexGuard<'_, Option<Report>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The room there is: the server's as last told, else that of the state directory.
    pub(super) fn space(&self) -> DiskSpace {
        let known = *self.space.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .or_else(|| sys::disk_space(&self.place.state).ok())
            .unwrap_or_default()
    }

    pub(super) fn set_space(&self, space: DiskSpace) {
        *self.space.lock().unwrap_or_else(PoisonError::into_inner) = Some(space);
    }

    /// Carries an event through the link, and does what the new state asks for.
    pub(super) fn step(&self, event: &Event, what: &str) -> State {
        let (before, after) = self.link.step(event, what);
        if before == after {
            return after;
        }
        match after {
            State::Disconnected(why) if !matches!(before, State::Disconnected(_)) => {
                self.left(why, what);
            }
            State::Returning => self.returning(),
            State::Connected if before == State::Returning => self.note("online", ""),
            State::Connected | State::Suspect | State::Disconnected(_) => {}
        }
        after
    }

    /// The link is gone: the state at this moment is kept as a snapshot.
    fn left(&self, why: Why, what: &str) {
        if let Err(error) = self.snapshot_if_changed() {
            tracing::warn!(%error, "no snapshot at going offline");
        }
        self.note("offline", if what.is_empty() { why.word() } else { what });
    }

    /// A flap of the link without changes between leaves no second snapshot.
    fn snapshot_if_changed(&self) -> Result<(), TreeError> {
        let now = sys::now();
        let (newest, taken) = self.meta().read(|rows| {
            let newest = rows.records(None, u64::MAX, 16)?;
            let ours = |record: &Record| matches!(record.verb.as_str(), "offline" | "online");
            let newest = newest.into_iter().find(|record| !ours(record));
            let seq = newest.map_or(0, |record| record.seq).to_string();
            Ok::<_, TreeError>((seq, rows.setting(SNAPSHOT_AT)?))
        })?;
        if taken.as_ref() == Some(&newest) {
            return Ok(());
        }
        let name = format!("offline-{}.{:09}", now.sec, now.nsec);
        self.tree.snapshot(&name, "offline")?;
        self.tree
            .commit(|txn| Ok(txn.set_setting(SNAPSHOT_AT, Some(&newest))?))
    }

    /// The server is back: whatever was open there is stale, and both sides are merged.
    fn returning(&self) {
        self.stale_handles.store(true, Ordering::Release);
        self.fetch.look_again();
        self.fetch.push_stale(vec![Stale::Everything]);
        self.bell.sync();
    }

    /// One run of `reintegrate` (the caller holds [`Engine::turn`]), after the handles of a server that came back were dropped: stale ones go on showing
    /// old content.
    pub(super) fn merge(&self, mode: &Mode) -> Result<Report, Failure> {
        if self.stale_handles.swap(false, Ordering::AcqRel) {
            self.lower.renew();
        }
        let done = self.reintegrate.run(mode);
        // It may have held the whole tree in memory.
        sys::give_memory_back();
        done
    }

    /// The turn to merge, with the last merge that was done. One merge at a time.
    pub(super) fn turn(&self) -> MutexGuard<'_, Option<Merged>> {
        self.merging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A journal row for something that happened to the mount as a whole.
    pub(super) fn note(&self, verb: &str, detail: &str) {
        let write = |txn: &WriteTxn<'_>| Ok::<_, TreeError>(txn.record(&row(verb, detail))?);
        if let Err(error) = self.tree.commit(write) {
            tracing::warn!(%error, verb, "not written to the journal");
        }
    }

    /// Stores whether a person is offline by hand, so that a restart keeps it, and shuts or opens the gate.
    pub(super) fn set_forced(&self, forced: bool) -> Result<(), TreeError> {
        self.tree
            .commit(|txn| Ok::<_, TreeError>(txn.set_setting(FORCED, forced.then_some("1"))?))?;
        self.gate.shut(forced);
        Ok(())
    }
}

fn row(verb: &str, detail: &str) -> Record {
    Record {
        seq: 0,
        when: sys::now(),
        who: Who::DRIFTFS,
        program: "driftfs".into(),
        ino: None,
        path: RelPath::root(),
        verb: verb.into(),
        detail: detail.into(),
    }
}
