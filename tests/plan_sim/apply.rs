//! Carrying out a plan, step by step, as docs of the steps say, with every tree checked after each.

use std::collections::BTreeSet;

use driftfs::model::{ConflictKind, Kind};
use driftfs::reintegrate::plan::plan;
use driftfs::reintegrate::steps::{Action, Plan, Side, Step};
use driftfs::reintegrate::universe::Place;

use super::universe::{Built, set};
use super::{At, Bytes, Id, Node, World, entries, fault, links};

/// What is done of a plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    /// Stops before this step.
    pub stop: Option<usize>,
    /// This step fails, and with it all that need it.
    pub fail: Option<usize>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub plan: Plan,
    /// Conflicts of the plan and of the drivers.
    pub conflicts: Vec<ConflictKind>,
    /// Objects both made alike, whose attributes are the server's.
    pub adopted: BTreeSet<Id>,
}

impl World {
    /// Plans and does it all.
    pub fn sync(&mut self) -> Outcome {
        self.run(Run::default())
    }

    /// Plans and does some of it. Panics when a step cannot be done or leaves a broken tree.
    pub fn run(&mut self, run: Run) -> Outcome {
        let built = self.build();
        let plan = plan(&built.universe);
        let mut conflicts: Vec<ConflictKind> =
            plan.clashes.iter().map(|clash| clash.kind).collect();
        let mut left: BTreeSet<usize> = run.fail.into_iter().collect();
        let mut clashed: Vec<Id> = plan
            .clashes
            .iter()
            .map(|clash| built.ids[clash.key.0])
            .collect();
        for (index, step) in plan.steps.iter().enumerate() {
            assert!(
                step.needs.iter().all(|need| *need < index),
                "needs a later step: {step:?}"
            );
            if run.stop == Some(index) {
                break;
            }
            if left.contains(&index) || step.needs.iter().any(|need| left.contains(need)) {
                left.insert(index);
                continue;
            }
            let exact = left.is_empty();
            if let Err(fault) = self.step(&built, step, exact) {
                panic!("step {index} {step:?}: {fault}\nplan {plan:#?}\n{self:#?}");
            }
            if step.action == Action::Merge && !self.was_merged(&built, step) {
                conflicts.push(ConflictKind::Content);
                clashed.push(built.ids[step.key.0]);
                left.insert(index);
            }
        }
        self.divide();
        self.standing.clear();
        for id in clashed {
            let now = (self.client.get(&id).cloned(), self.server.get(&id).cloned());
            self.standing.insert(id, now);
        }
        let adopted = plan
            .steps
            .iter()
            .filter(|step| step.rule == "both-created-same");
        let adopted = adopted.map(|step| built.ids[step.key.0]).collect();
        Outcome {
            plan,
            conflicts,
            adopted,
        }
    }

    fn was_merged(&self, built: &Built, step: &Step) -> bool {
        let node = &self.client[&built.ids[step.key.0]];
        self.merged_from.contains_key(&node.bytes)
    }

    fn step(&mut self, built: &Built, step: &Step, exact: bool) -> Result<(), String> {
        let id = built.ids[step.key.0];
        let at = |place: &Place| -> At { (built.ids[place.parent.0], place.name.to_string()) };
        if exact {
            self.check_path(id, step, &at)?;
        }
        let trees = match step.side {
            Side::Base => vec![Side::Base],
            side => vec![side, Side::Base],
        };
        match &step.action {
            Action::Make(place) => self.give(id, at(place), step.side)?,
            Action::Merge => self.merge(id),
            action => {
                let values = self.values(id, step.side);
                for tree in trees {
                    self.change(tree, id, action, &at, &values)?;
                }
            }
        }
        for tree in [Side::Client, Side::Server, Side::Base] {
            if let Some(fault) = fault(self.tree(tree)) {
                return Err(format!("{tree:?}: {fault}"));
            }
        }
        Ok(())
    }

    /// The path a step names is the one the object has there at that moment.
    fn check_path(&self, id: Id, step: &Step, at: &dyn Fn(&Place) -> At) -> Result<(), String> {
        let side = match step.side {
            Side::Base if self.client.contains_key(&id) => Side::Client,
            side => side,
        };
        let tree = self.tree(side);
        let paths = match &step.action {
            Action::Make(place) | Action::Link(place) => {
                let (dir, name) = at(place);
                let above = links(tree, dir);
                vec![
                    above
                        .first()
                        .map_or(name.clone(), |dir| format!("{dir}/{name}")),
                ]
            }
            _ if id == super::ROOT => vec![".".to_string()],
            _ => links(tree, id),
        };
        if paths.contains(&step.path.to_string()) {
            Ok(())
        } else {
            Err(format!("its path is {paths:?}"))
        }
    }

    /// The version a step takes bytes from.
    fn values(&self, id: Id, side: Side) -> Option<Node> {
        let from = match side {
            Side::Client => &self.server,
            Side::Server | Side::Base => &self.client,
        };
        from.get(&id).cloned()
    }

    fn give(&mut self, id: Id, place: At, side: Side) -> Result<(), String> {
        let from = match side {
            Side::Server | Side::Base => Side::Client,
            Side::Client => Side::Server,
        };
        let source = self.tree(from).get(&id).cloned();
        let mut node = source.ok_or("nothing to make it from")?;
        if side == Side::Base {
            let other = self.server.get(&id).ok_or("only one side made it")?;
            let xattrs = &mut node.xattrs;
            xattrs.retain(|name, value| other.xattrs.get(name) == Some(value));
        }
        if node.kind == Kind::Dir && side != Side::Base {
            node.mode |= 0o700;
        }
        node.places = BTreeSet::from([place]);
        if side != Side::Base && self.tree_mut(side).insert(id, node.clone()).is_some() {
            return Err("it is there already".into());
        }
        self.base.insert(id, node);
        Ok(())
    }

    fn change(
        &mut self,
        tree: Side,
        id: Id,
        action: &Action,
        at: &dyn Fn(&Place) -> At,
        values: &Option<Node>,
    ) -> Result<(), String> {
        if let Action::Remove(_) = action
            && !entries(self.tree(tree), id).is_empty()
        {
            return Err(format!("not empty in {tree:?}"));
        }
        let whole = self.tree_mut(tree);
        let node = whole.get_mut(&id).ok_or(format!("not in {tree:?}"))?;
        match action {
            Action::Move { from, to } => {
                // Base may have another name where the object has several.
                if !node.places.remove(&at(from)) {
                    return Err(format!("has no name {from:?} in {tree:?}"));
                }
                node.places.insert(at(to));
            }
            Action::Link(place) => {
                if !node.places.insert(at(place)) {
                    return Err(format!("has the name already in {tree:?}"));
                }
            }
            Action::Unlink(place) => {
                if !node.places.remove(&at(place)) {
                    return Err(format!("has no such name in {tree:?}"));
                }
            }
            Action::Remove(place) => {
                if node.places != BTreeSet::from([at(place)]) {
                    return Err(format!("has other names in {tree:?}"));
                }
                whole.remove(&id);
            }
            Action::Bytes => {
                let values = values.as_ref().ok_or("nothing to take bytes from")?;
                node.bytes = values.bytes;
                node.target.clone_from(&values.target);
                node.mtime = values.mtime;
            }
            Action::Attrs(change) => set(node, change),
            Action::Make(_) | Action::Merge => unreachable!("done elsewhere"),
        }
        Ok(())
    }

    /// A driver that merges when the sum of both versions is even, and then always to the same bytes.
    fn merge(&mut self, id: Id) {
        let (ours, theirs) = (self.client[&id].clone(), self.server[&id].clone());
        if self.unmergeable || (ours.bytes + theirs.bytes) % 2 == 1 {
            return;
        }
        let (low, high) = (ours.bytes.min(theirs.bytes), ours.bytes.max(theirs.bytes));
        let merged: Bytes = (low << 32) ^ (high << 8) ^ self.base[&id].bytes ^ (1 << 60);
        self.merged_from.insert(merged, BTreeSet::from([low, high]));
        for (tree, bytes, mtime) in [
            (Side::Client, merged, ours.mtime.max(theirs.mtime)),
            (Side::Base, theirs.bytes, theirs.mtime),
        ] {
            if let Some(node) = self.tree_mut(tree).get_mut(&id) {
                node.bytes = bytes;
                node.mtime = mtime;
            }
        }
    }
}
