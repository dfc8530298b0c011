//! The order of the steps: directories before what goes into them, names freed before they are taken, directories
//! emptied before they are removed. Where that goes round in a circle (two names exchanged), one object steps aside to
//! a temporary name first.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

mod needs;
mod walk;

use super::drafts::Draft;
use super::places::{TREES, Wanted};
use super::steps::{Action, Side, Step};
use super::universe::{Key, Place};
use crate::model::{Kind, Name};
use needs::{Need, needs};
use walk::Walk;

/// Puts drafts in order. Gives also the objects whose steps could not be put in any.
pub(super) fn sequence(wanted: &Wanted<'_>, drafts: Vec<Draft>) -> (Vec<Step>, BTreeSet<Key>) {
    let mut order = Order::new(wanted, drafts);
    order.run();
    let all = order.drafts.iter().enumerate();
    let left = all.filter(|(index, _)| !order.over[*index]);
    let stuck = left.map(|(_, draft)| draft.key).collect();
    (order.steps(), stuck)
}

struct Order<'a, 'u> {
    wanted: &'a Wanted<'u>,
    drafts: Vec<Draft>,
    /// What each draft needs.
    needs: Vec<BTreeMap<usize, Need>>,
    /// Who needs each draft.
    needed: Vec<Vec<usize>>,
    /// Needs not yet placed.
    open: Vec<usize>,
    /// Those with none, by rank.
    ready: BTreeSet<(u8, usize)>,
    /// The result: indexes of drafts.
    placed: Vec<usize>,
    /// Which drafts are in it.
    over: Vec<bool>,
    /// All drafts before this one are.
    first: usize,
    /// Names in use in the root, on any tree.
    taken: HashSet<Vec<u8>>,
}

impl<'a, 'u> Order<'a, 'u> {
    fn new(wanted: &'a Wanted<'u>, drafts: Vec<Draft>) -> Order<'a, 'u> {
        let needs = needs(wanted, &drafts);
        let mut order = Order {
            wanted,
            needed: vec![Vec::new(); drafts.len()],
            open: needs.iter().map(BTreeMap::len).collect(),
            over: vec![false; drafts.len()],
            first: 0,
            drafts,
            needs,
            ready: BTreeSet::new(),
            placed: Vec::new(),
            taken: HashSet::new(),
        };
        for (index, needs) in order.needs.iter().enumerate() {
            for need in needs.keys() {
                order.needed[*need].push(index);
            }
            if needs.is_empty() {
                order
                    .ready
                    .insert((rank(wanted, &order.drafts[index]), index));
            }
        }
        order
    }

    fn run(&mut self) {
        loop {
            while let Some((_, next)) = self.ready.pop_first() {
                self.placed.push(next);
                self.over[next] = true;
                for index in 0..self.needed[next].len() {
                    self.met(self.needed[next][index]);
                }
            }
            if self.placed.len() == self.drafts.len() || !self.step_aside() {
                return;
            }
        }
    }

    fn met(&mut self, index: usize) {
        self.open[index] -= 1;
        if self.open[index] == 0 {
            self.ready
                .insert((rank(self.wanted, &self.drafts[index]), index));
        }
    }

    /// Breaks one circle: what is in the way moves to a temporary name. False when there is none to break.
    fn step_aside(&mut self) -> bool {
        let Some((waiting, holder)) = self.circle() else {
            return false;
        };
        let slot = |place: &Place| self.wanted.u.slot(Side::Server, place);
        let asked = self.drafts[waiting].adds.as_ref().map(slot);
        let frees = &self.drafts[holder].frees;
        let at = frees
            .iter()
            .position(|place| Some(slot(place)) == asked)
            .unwrap_or(0);
        let from = self.drafts[holder].frees.remove(at);
        let aside = self.aside(self.drafts[holder].key);
        let draft = &mut self.drafts[holder];
        let side = match &mut draft.action {
            Action::Move { from, .. } | Action::Unlink(from) | Action::Remove(from) => {
                *from = aside.clone();
                draft.side
            }
            // A `Make` frees names in base only.
            _ => Side::Base,
        };
        let action = Action::Move {
            from: from.clone(),
            to: aside,
        };
        let step = self.drafts.len();
        self.drafts.push(Draft::new(
            self.drafts[holder].key,
            side,
            action,
            "step-aside",
        ));
        self.take_over(holder, step, &from);
        self.ready.insert((0, step));
        true
    }

    /// Step `step` frees `from` instead of `holder`, which comes after it.
    fn take_over(&mut self, holder: usize, step: usize, from: &Place) {
        let slot = |place: &Place| self.wanted.u.slot(Side::Server, place);
        let only = self.drafts[holder].frees.is_empty();
        let mut moved = vec![holder];
        for &index in &self.needed[holder] {
            let same = self.drafts[index].adds.as_ref().map(slot) == Some(slot(from));
            let freed = self.needs[index].get(&holder) == Some(&Need::Freed);
            if freed && (only || same) {
                moved.push(index);
            }
        }
        for index in &moved[1..] {
            self.needs[*index].remove(&holder);
            self.needs[*index].insert(step, Need::Freed);
        }
        self.needed[holder].retain(|index| !moved[1..].contains(index));
        self.needs[holder].insert(step, Need::Done);
        self.open[holder] += 1;
        self.needs.push(BTreeMap::new());
        self.over.push(false);
        self.open.push(0);
        self.needed.push(moved);
    }

    /// A name in the root nobody has.
    fn aside(&mut self, key: Key) -> Place {
        if self.taken.is_empty() {
            let u = self.wanted.u;
            let places = u.keys().flat_map(|key| TREES.map(|tree| u.now(tree, key)));
            let root = places
                .flatten()
                .flatten()
                .filter(|place| place.parent == Key::ROOT);
            self.taken = root.map(|place| place.name.bytes().to_vec()).collect();
            self.taken.insert(Vec::new());
        }
        let mut tries = (0..).map(|n| format!(".driftfs-aside-{}-{n}", key.0).into_bytes());
        let bytes = tries.find(|bytes| self.taken.insert(bytes.clone()));
        let name = bytes.and_then(|bytes| Name::new(&bytes).ok());
        Place {
            parent: Key::ROOT,
            name: name.expect("short, no slash, and one of endlessly many is free"),
        }
    }

    /// In a circle of needs: one that waits for a name, and the one that holds it.
    fn circle(&mut self) -> Option<(usize, usize)> {
        // There may be very many circles: what is over is not looked at again for each.
        while *self.over.get(self.first)? {
            self.first += 1;
        }
        let start = self.first;
        let mut path = vec![start];
        let mut seen = HashMap::from([(start, 0)]);
        loop {
            let last = *path.last()?;
            let next = *self.needs[last].keys().find(|need| !self.over[**need])?;
            if let Some(from) = seen.get(&next) {
                path.push(next);
                let mut edges = path[*from..].windows(2).map(|pair| (pair[0], pair[1]));
                return edges.find(|(waiting, holder)| {
                    self.needs[*waiting].get(holder) == Some(&Need::Freed)
                        && !self.drafts[*holder].frees.is_empty()
                });
            }
            seen.insert(next, path.len());
            path.push(next);
        }
    }

    /// The steps in order, with their paths at that moment.
    fn steps(self) -> Vec<Step> {
        let mut position = vec![0; self.drafts.len()];
        for (at, index) in self.placed.iter().enumerate() {
            position[*index] = at;
        }
        let mut walk = Walk::new(self.wanted.u);
        let mut steps = Vec::with_capacity(self.placed.len());
        for index in &self.placed {
            let draft = &self.drafts[*index];
            let mut needs: Vec<usize> = self.needs[*index]
                .keys()
                .map(|need| position[*need])
                .collect();
            needs.sort_unstable();
            steps.push(Step {
                key: draft.key,
                side: draft.side,
                action: draft.action.clone(),
                path: walk.path_of(draft),
                rule: draft.rule,
                needs,
            });
            walk.done(draft);
        }
        steps
    }
}

/// Smaller first, where needs leave the choice.
fn rank(wanted: &Wanted<'_>, draft: &Draft) -> u8 {
    let directory = wanted.u.kind(draft.key) == Some(Kind::Dir);
    match &draft.action {
        _ if draft.side == Side::Base => 0,
        // Rights a directory gains are there before it is worked in, those it loses go afterwards.
        Action::Attrs(set) if directory => match set.mode {
            Some(mode) if mode & 0o300 != 0o300 => 6,
            _ => 1,
        },
        Action::Make(_) | Action::Move { .. } | Action::Link(_) => 2,
        Action::Merge | Action::Bytes => 3,
        Action::Attrs(_) => 4,
        Action::Unlink(_) | Action::Remove(_) => 5,
    }
}
