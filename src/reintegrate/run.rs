//! One run: finish what was left, look, plan, brake, carry out, look again if something moved.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::hand::Hand;
use super::job::Job;
use super::report::Report;
use super::steps::{Action, Clash, Plan, Side, Step};
use super::trouble::{Failure, Stop};
use super::universe::Universe;
use super::width::Width;
use crate::fetch::Fetch;
use crate::link::Link;
use crate::lower::Lower;
use crate::meta::{Record, Rows, View, WriteTxn};
use crate::model::{Ino, Mask, RelPath, Who};
use crate::tree::Tree;

/// Times a run looks at the server before it leaves the rest to the next one.
const ROUNDS: u32 = 3;

/// Why the snapshots of this file are taken.
const BEFORE_MERGE: &str = "before-merge";

/// How long they stay: 30 days.
const KEPT_SECONDS: i64 = 30 * 24 * 3600;

/// How much a run does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Both ways.
    Sync,
    /// Both ways, and the brake is released by a person.
    Approved,
    /// To the server only, and only these nodes (and what they need).
    Push(BTreeSet<Ino>),
    /// To the server only: everything changed here, by a look at the places it touches. Where that look is not enough (the
    /// server changed something there too, or something is not at its place), nothing is done and [`Report::more`] is set.
    Send,
    /// From the server only.
    Pull,
}

/// What a sync would do.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The steps, conflicts and what waits.
    pub plan: Plan,
    /// Why the brake would hold.
    pub brake: Option<String>,
}

/// Called at every durable point with its name, in tests.
pub type Points = Arc<dyn Fn(&'static str) + Send + Sync>;

/// Makes the client's changes and the server's one.
pub struct Reintegrate {
    pub(super) tree: Arc<Tree>,
    pub(super) lower: Arc<dyn Lower>,
    pub(super) fetch: Arc<Fetch>,
    pub(super) link: Arc<Link>,
    running: Mutex<()>,
    points: Option<Points>,
    pub(super) width: Width,
}

impl Reintegrate {
    /// Joins the parts.
    pub fn new(
        tree: Arc<Tree>,
        lower: Arc<dyn Lower>,
        fetch: Arc<Fetch>,
        link: Arc<Link>,
    ) -> Reintegrate {
        Reintegrate {
            tree,
            lower,
            fetch,
            link,
            running: Mutex::new(()),
            points: None,
            width: Width::default(),
        }
    }

    /// Has `points` called before and after every transaction and before every change of the server.
    #[must_use]
    pub fn with_points(mut self, points: Points) -> Reintegrate {
        self.points = Some(points);
        self
    }

    /// Does so much at once instead of the default.
    #[must_use]
    pub fn with_width(mut self, width: Width) -> Reintegrate {
        self.width = Width {
            together: width.together.max(1),
            lanes: width.lanes.max(1),
        };
        self
    }

    /// Runs until both sides are equal as far as `mode` goes, nothing more can be done, or the server falls silent
    /// (then [`Report::unreachable`] is set and the next run goes on). One run at a time; a second one waits.
    pub fn run(&self, mode: &Mode) -> Result<Report, Failure> {
        let _one = self.one();
        let _hold = self.fetch.hold();
        let mut report = Report::default();
        let ran = self.rounds(mode, &mut report);
        if let Ok(stored) = self.stored() {
            report.conflicts = stored;
        }
        self.fetch.look_again();
        self.sweep(&report);
        match ran {
            Ok(()) => Ok(report),
            Err(Stop::Fatal(failure)) => Err(failure),
            Err(Stop::Link(why)) => {
                self.link.failed(&why);
                report.unreachable = Some(why);
                Ok(report)
            }
            Err(Stop::Later(why) | Stop::Pending(why)) => Err(Failure::Scan(why)),
            Err(Stop::Conflict) => Ok(report),
        }
    }

    /// Files nobody needs any more go now, while no other run can have made one that no row names yet.
    fn sweep(&self, report: &Report) {
        if report.is_quiet() {
            return;
        }
        if let Err(error) = self.tree.sweep() {
            tracing::warn!(%error, "files that are not needed any more stay until the next sync");
        }
    }

    fn rounds(&self, mode: &Mode, report: &mut Report) -> Result<(), Stop> {
        let probe = self.lower.probe()?;
        let mask = probe.mask;
        self.fetch.learn(&probe)?;
        self.hand(report, mask).resume()?;
        loop {
            report.next_round();
            let again = self.round(mode, report, mask)?;
            if !again || report.unreachable.is_some() || report.rounds >= ROUNDS {
                return Ok(());
            }
        }
    }

    /// Gives true when another round is worth it.
    fn round(&self, mode: &Mode, report: &mut Report, mask: Mask) -> Result<bool, Stop> {
        let scan = self.look(mode, mask)?;
        let (plan, brake) = decide(&scan.universe);
        report.pending.extend(plan.pending.iter().cloned());
        report.notes.extend(plan.notes.iter().cloned());
        if *mode == Mode::Send && (brake.is_some() || needs_more(&scan.universe, &plan)) {
            report.more = true;
            return Ok(false);
        }
        if let Some(why) = brake.filter(|_| *mode != Mode::Approved) {
            report.brake = Some(why);
            return Ok(false);
        }
        let wanted = wanted(mode, &scan.universe, &plan);
        let mut chosen = plan.steps.iter().zip(&wanted);
        if chosen.any(|(step, wanted)| *wanted && overwrites(step)) {
            self.snapshot_before()?;
        }
        let mut job = Job::new(self.hand(report, mask), &scan);
        job.refresh_stamps()
            .and_then(|()| job.store_clashes(&plan))?;
        let whole = !matches!(mode, Mode::Push(_) | Mode::Send);
        if whole {
            // What the steps bring into such directories is read as soon as it is shown.
            job.tell_displaced()?;
        }
        let carried = job.carry_out(&plan, &wanted);
        if whole {
            job.drop_settled(&plan)?;
            job.tell_displaced()?;
        }
        let (again, later) = job.tidy_up()?;
        carried.map_err(Stop::Fatal)?;
        let last = report.rounds >= ROUNDS;
        if again && last {
            report.pending.extend(later);
        }
        Ok(again && !last)
    }

    /// What a sync would do. Changes nothing.
    pub fn preview(&self) -> Result<Preview, Failure> {
        let _one = self.one();
        let mask = self.fetch.mask().map_err(Stop::from);
        let looked = mask.and_then(|mask| self.look(&Mode::Sync, mask));
        let scan = looked.map_err(|stop| match stop {
            Stop::Fatal(failure) => failure,
            Stop::Later(why) | Stop::Pending(why) | Stop::Link(why) => Failure::Scan(why),
            Stop::Conflict => Failure::Scan("a conflict is in the way".into()),
        })?;
        let (plan, brake) = decide(&scan.universe);
        Ok(Preview { plan, brake })
    }

    fn one(&self) -> MutexGuard<'_, ()> {
        // The lock guards no data of its own: a run that panicked left everything in its intents.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand<'a>(&'a self, report: &'a mut Report, mask: Mask) -> Hand<'a> {
        Hand {
            on: self,
            report,
            mask,
            lost: None,
            halt: false,
        }
    }

    /// The live tree as it is before server changes go over it. The same kind of snapshot goes after a month, as what
    /// is retained on the server does.
    fn snapshot_before(&self) -> Result<(), Stop> {
        let now = crate::sys::now();
        let views = self.read(|rows| Ok(rows.views()?))?;
        let old =
            |view: &&View| view.reason == BEFORE_MERGE && view.created.sec < now.sec - KEPT_SECONDS;
        let gone: Vec<&View> = views.iter().filter(old).collect();
        if !gone.is_empty() {
            self.commit("old-snapshots", |txn| {
                for view in gone {
                    txn.drop_view(&view.name)?;
                }
                Ok(())
            })?;
        }
        let name = format!("before-merge-{}.{:09}", now.sec, now.nsec);
        self.tree.snapshot(&name, BEFORE_MERGE)?;
        self.point("snapshot");
        Ok(())
    }

    /// Tells a test that a durable point is here.
    pub(super) fn point(&self, name: &'static str) {
        if let Some(points) = &self.points {
            points(name);
        }
    }

    /// One transaction.
    pub(super) fn commit<T>(
        &self,
        name: &'static str,
        work: impl FnOnce(&WriteTxn<'_>) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        self.point(name);
        let value = self.tree.commit(work)?;
        self.point(name);
        Ok(value)
    }

    /// One look at the rows.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Rows<'_>) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        self.tree.meta().read(work)
    }
}

/// The plan, and the brake's word on it.
fn decide(universe: &Universe) -> (Plan, Option<String>) {
    let plan = super::plan::plan(universe);
    let brake = super::brake::brake(universe, &plan).map(|brake| brake.why);
    (plan, brake)
}

/// True when a look at the touched places alone does not settle what was changed here.
fn needs_more(universe: &Universe, plan: &Plan) -> bool {
    let new = |clash: &Clash| universe.get(clash.key).standing.is_none();
    let pulls = |step: &Step| step.side == Side::Client;
    !plan.pending.is_empty() || plan.clashes.iter().any(new) || plan.steps.iter().any(pulls)
}

/// Which steps a mode allows, by index. A push of some nodes takes along what those steps need, as long as that is not a
/// pull.
fn wanted(mode: &Mode, universe: &Universe, plan: &Plan) -> Vec<bool> {
    let by_side = |side: fn(Side) -> bool| plan.steps.iter().map(|step| side(step.side)).collect();
    let inos = match mode {
        Mode::Sync | Mode::Approved => return by_side(|_| true),
        Mode::Send => return by_side(|side| side != Side::Client),
        Mode::Pull => return by_side(|side| side != Side::Server),
        Mode::Push(inos) => inos,
    };
    let mine = |step: &Step| {
        let ino = universe.get(step.key).ino;
        ino.is_some_and(|ino| inos.contains(&ino))
    };
    let mut chosen = vec![false; plan.steps.len()];
    for (index, step) in plan.steps.iter().enumerate().rev() {
        if chosen[index] || mine(step) {
            chosen[index] = true;
            step.needs.iter().for_each(|need| chosen[*need] = true);
        }
    }
    for (chosen, step) in chosen.iter_mut().zip(&plan.steps) {
        *chosen &= step.side != Side::Client;
    }
    chosen
}

/// True when a step changes something the live tree has.
fn overwrites(step: &Step) -> bool {
    let fresh = matches!(step.action, Action::Make(_) | Action::Link(_));
    step.side == Side::Client && !fresh
}

/// Adds a journal row for something driftfs itself did.
pub(super) fn record(
    txn: &WriteTxn<'_>,
    verb: &str,
    ino: Option<Ino>,
    path: &RelPath,
    detail: &str,
) -> Result<(), Stop> {
    Ok(txn.record(&row(verb, ino, path, detail))?)
}

/// A journal row for something driftfs itself did.
pub(super) fn row(verb: &str, ino: Option<Ino>, path: &RelPath, detail: &str) -> Record {
    Record {
        seq: 0,
        when: crate::sys::now(),
        who: Who::DRIFTFS,
        program: "driftfs".into(),
        ino,
        path: path.clone(),
        verb: verb.into(),
        detail: detail.into(),
    }
}
