//! Carrying out a plan: one step after the other, each only when those it needs were done.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::hand::Hand;
use super::report::Line;
use super::scan::Scan;
use super::steps::{Action, Plan, Side, Step};
use super::trouble::{Failure, Stop};
use super::universe::{Key, Place, Server, Universe, Version};
use super::world::World;
use crate::fetch::Stale;
use crate::model::{Ino, IntentId, Mask, ObjectId, Problem, TxnId};

/// Transaction numbers are taken this many at a time, so that they are on disk before the first is used.
const NUMBERS: usize = 256;

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
}

impl<'a> Job<'a> {
    /// Ready to begin.
    pub fn new(hand: Hand<'a>, looked: &'a Scan) -> Job<'a> {
        Job {
            hand,
            universe: &looked.universe,
            world: World::new(&looked.universe),
            read: &looked.read,
            stale: Vec::new(),
            filled: BTreeSet::new(),
            touched: BTreeSet::new(),
            again: false,
            later: Vec::new(),
            holds: Vec::new(),
            lent: Vec::new(),
            done: Vec::new(),
            numbers: VecDeque::new(),
        }
    }

    /// Does the steps of a plan that are `wanted`. An error ends the run; a silent server ends the round.
    pub fn carry_out(&mut self, plan: &Plan, wanted: &[bool]) -> Result<(), Failure> {
        self.done = vec![false; plan.steps.len()];
        for (index, step) in plan.steps.iter().enumerate() {
            let ready = step.needs.iter().all(|need| self.done[*need]);
            if !ready || !wanted[index] {
                continue;
            }
            match self.step(step) {
                Ok(()) => {
                    self.done[index] = true;
                    self.tell(step);
                }
                Err(stop) => self.hinder(step, stop)?,
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

    fn step(&mut self, step: &Step) -> Result<(), Stop> {
        match step.side {
            Side::Server => self.push(step),
            Side::Client => self.pull(step),
            Side::Base => self.agree(step),
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

    /// The next transaction number. They are synced to disk before they are used: a number that came back after a
    /// power cut would find the attempt directory of another change.
    pub fn number(&mut self) -> Result<TxnId, Stop> {
        if let Some(number) = self.numbers.pop_front() {
            return Ok(number);
        }
        let taken = self.hand.on.commit("numbers", |txn| {
            let mut taken = VecDeque::new();
            for _ in 0..NUMBERS {
                taken.push_back(txn.new_txn()?);
            }
            Ok(taken)
        })?;
        self.hand.on.tree.sync_names()?;
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
