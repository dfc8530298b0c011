//! Carrying out a plan: each step only when those it needs were done, independent ones together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::grouping::{Limits, Rest, sends};
use super::hand::Hand;
use super::report::Line;
use super::scan::Scan;
use super::steps::{Action, Plan, Side, Step};
use super::trouble::{Failure, Stop};
use super::universe::{Key, Place, Server, Universe, Version};
use super::world::World;
use crate::fetch::Stale;
use crate::model::{Ino, IntentId, Mask, ObjectId, Observed, Problem, TxnId};

/// Transaction numbers are taken at most this many at a time.
const NUMBERS: usize = 4096;

/// Steps that carry more bytes than this are not done together: they fill the line anyway.
const BYTES_TOGETHER: u64 = 32 << 20;

/// One round's work.
pub struct Job<'a> {
    /// Access to the server, and the report.
    pub hand: Hand<'a>,
    /// As scanned.
    pub universe: &'a Universe,
    /// As of now.
    pub world: World,
    /// Server bytes the scan has read already, sealed.
    pub read: &'a BTreeMap<Key, ObjectId>,
    /// Objects whose stamp was not base's.
    pub moved: &'a [Key],
    /// Server bytes read ahead of the steps that want them, sealed.
    pub arrived: BTreeMap<Key, Result<(ObjectId, Observed), Stop>>,
    /// What the kernel must forget.
    pub stale: Vec<Stale>,
    /// Server directories whose names we changed.
    pub filled: BTreeSet<Key>,
    /// Live nodes whose dirty sets may be too large now.
    pub touched: BTreeSet<Ino>,
    /// True when something moved since the scan: another round is worth it.
    pub again: bool,
    /// Steps that were not done because something moved, for the report if it is the last round.
    pub later: Vec<Problem>,
    /// Intentions that keep sealed objects until the round is over.
    pub holds: Vec<IntentId>,
    /// Sealed objects the tree keeps for us until they are given back.
    pub lent: Vec<ObjectId>,
    /// Which steps of the plan were done.
    pub done: Vec<bool>,
    numbers: VecDeque<TxnId>,
    /// Steps of the plan, for taking as many numbers as are needed.
    left: usize,
}

impl<'a> Job<'a> {
    /// Ready to begin.
    pub fn new(hand: Hand<'a>, looked: &'a Scan) -> Job<'a> {
        Job {
            hand,
            universe: &looked.universe,
            world: World::new(&looked.universe),
            read: &looked.read,
            moved: &looked.moved,
            arrived: BTreeMap::new(),
            stale: Vec::new(),
            filled: BTreeSet::new(),
            touched: BTreeSet::new(),
            again: false,
            later: Vec::new(),
            holds: Vec::new(),
            lent: Vec::new(),
            done: Vec::new(),
            numbers: VecDeque::new(),
            left: 1,
        }
    }

    /// Does the steps of a plan that are `wanted`. An error ends the run; a silent server ends the round.
    pub fn carry_out(&mut self, plan: &Plan, wanted: &[bool]) -> Result<(), Failure> {
        self.done = vec![false; plan.steps.len()];
        self.left = plan.steps.len();
        let limits = Limits {
            steps: self.hand.on.width.together,
            bytes: BYTES_TOGETHER,
        };
        let universe = self.universe;
        let mut rest = Rest::new(plan, wanted);
        while let Some(group) = rest.next(&self.done, limits, |step| bytes_of(universe, step)) {
            let steps: Vec<(usize, &Step)> =
                group.iter().map(|at| (*at, &plan.steps[*at])).collect();
            if steps.iter().all(|(_, step)| sends(step)) {
                self.push_all(&steps)?;
            } else {
                self.at_home(&steps)?;
            }
            if let Some(why) = self.hand.lost.take() {
                self.hand.on.link.failed(&why);
                self.hand.report.unreachable = Some(why);
            }
            if self.hand.report.unreachable.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Steps on this side, and those that only move base.
    fn at_home(&mut self, steps: &[(usize, &Step)]) -> Result<(), Failure> {
        let is_new =
            |step: &Step| step.side == Side::Client && matches!(step.action, Action::Make(_));
        let (new, others): (Vec<_>, Vec<_>) = steps.iter().partition(|(_, step)| is_new(step));
        if !self.take_all_new(&new) {
            self.one_by_one(&new)?;
        } else {
            for (at, step) in new {
                self.came_to(at, step, Ok(()))?;
            }
        }
        if let Err(stop) = self.read_ahead(&others)
            && let Some((at, step)) = others.first()
        {
            return self.came_to(*at, step, Err(stop));
        }
        let others = self.replace_together(others)?;
        self.one_by_one(&others)
    }

    fn one_by_one(&mut self, steps: &[(usize, &Step)]) -> Result<(), Failure> {
        for (at, step) in steps {
            let done = match step.side {
                Side::Client => self.pull(step),
                _ => self.agree(step),
            };
            self.came_to(*at, step, done)?;
            if self.hand.lost.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// What became of a step.
    pub fn came_to(
        &mut self,
        at: usize,
        step: &Step,
        done: Result<(), Stop>,
    ) -> Result<(), Failure> {
        match done {
            Ok(()) => {
                self.done[at] = true;
                self.tell(step);
                Ok(())
            }
            Err(stop) => self.hinder(step, stop),
        }
    }

    fn hinder(&mut self, step: &Step, stop: Stop) -> Result<(), Failure> {
        tracing::debug!(path = %step.path, action = ?step.action, ?stop, "a step was not done");
        let path = step.path.clone();
        match stop {
            Stop::Later(reason) => {
                self.again = true;
                let reason =
                    format!("it changed while it was being merged ({reason}). Next: driftfs sync");
                self.later.push(Problem { path, reason });
            }
            Stop::Pending(reason) => self.hand.report.pending.push(Problem { path, reason }),
            // It is stored; the report lists all that are.
            Stop::Conflict => {}
            Stop::Link(why) => self.hand.lost = Some(why),
            Stop::Fatal(failure) => return Err(failure),
        }
        Ok(())
    }

    fn tell(&mut self, step: &Step) {
        let line = Line {
            path: step.path.clone(),
            what: step.action.word().to_string(),
        };
        match (step.side, &step.action) {
            (_, Action::Merge) => self.hand.report.merged.push(line.path),
            (Side::Server, _) => self.hand.report.pushed.push(line),
            (Side::Client, _) => self.hand.report.pulled.push(line),
            (Side::Base, _) => {}
        }
    }

    /// The next transaction number. The database syncs them to disk before it gives the first of them: a number that
    /// came back after a power cut would find the attempt directory of another change.
    pub fn number(&mut self) -> Result<TxnId, Stop> {
        if let Some(number) = self.numbers.pop_front() {
            return Ok(number);
        }
        let count = self.left.clamp(1, NUMBERS);
        let taken = self.hand.on.commit("numbers", |txn| {
            let mut taken = VecDeque::new();
            for _ in 0..count {
                taken.push_back(txn.new_txn()?);
            }
            Ok(taken)
        })?;
        self.numbers = taken;
        let none = || Stop::Later("no transaction number".into());
        self.numbers.pop_front().ok_or_else(none)
    }

    /// The server's version of an object that the plan says is there.
    pub fn server(&self, key: Key) -> Result<&'a Version, Stop> {
        match &self.universe.get(key).server {
            Server::Present(version) => Ok(version),
            _ => Err(Stop::Later("it is not on the server any more".into())),
        }
    }

    /// The place in base that belongs to a place.
    pub fn at(&self, place: &Place) -> Result<super::intents::At, Stop> {
        Ok(super::intents::At {
            parent: self.world.bid(place.parent)?,
            name: place.name.clone(),
        })
    }

    /// Which stamp fields count.
    pub fn mask(&self) -> Mask {
        self.hand.mask
    }
}

/// Bytes a step carries from one side to the other.
fn bytes_of(universe: &Universe, step: &Step) -> u64 {
    let object = universe.get(step.key);
    let from = match (step.side, &object.server) {
        (Side::Server, _) => object.client.as_ref(),
        (Side::Client, Server::Present(version)) => Some(version),
        _ => None,
    };
    match step.action {
        Action::Make(_) if step.side == Side::Client => 0,
        Action::Make(_) | Action::Bytes => from.map_or(0, |version| version.attrs.size),
        _ => 0,
    }
}
