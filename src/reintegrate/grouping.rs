//! Which steps of a plan are carried out together: those of one sort that do not wait for each other. Pure.
//!
//! Steps of one sort may pass each other when neither needs the other, since what they need is written at each
//! (`sequence/needs.rs`). Across sorts the order of the plan holds: rights come before work, removals after it.

use std::collections::HashSet;

use super::steps::{Action, Plan, Side, Step};
use super::universe::Key;

/// Sorts of steps that may be carried out together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// New objects and new bytes.
    Put,
    /// Names taken away.
    Take,
    /// Attributes.
    Set,
}

fn sort(step: &Step) -> Option<Sort> {
    match step.action {
        Action::Make(_) | Action::Bytes => Some(Sort::Put),
        Action::Unlink(_) | Action::Remove(_) => Some(Sort::Take),
        Action::Attrs(_) => Some(Sort::Set),
        Action::Move { .. } | Action::Link(_) | Action::Merge => None,
    }
}

/// How far one group may reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Steps in it.
    pub(super) steps: usize,
    /// Bytes its steps carry; the first one may carry more.
    pub(super) bytes: u64,
}

/// Steps looked at for one group, for each that goes into it.
const LOOKED_AT: usize = 16;

/// What of a plan is still to be done.
pub(super) struct Rest<'a> {
    plan: &'a Plan,
    /// Tried, or never to be tried.
    over: Vec<bool>,
    /// Everything before is over.
    from: usize,
}

impl<'a> Rest<'a> {
    /// All that is wanted of a plan.
    pub(super) fn new(plan: &'a Plan, wanted: &[bool]) -> Rest<'a> {
        Rest {
            plan,
            over: wanted.iter().map(|wanted| !wanted).collect(),
            from: 0,
        }
    }

    /// The next steps to be tried, by index; `done` are those that went well, and a step is never tried unless all it needs
    /// are among them. `bytes` tells what a step carries. `None`: nothing is left.
    pub(super) fn next(
        &mut self,
        done: &[bool],
        limits: Limits,
        bytes: impl Fn(&Step) -> u64,
    ) -> Option<Vec<usize>> {
        let first = self.first(done)?;
        let step = &self.plan.steps[first];
        let mut group = vec![first];
        self.over[first] = true;
        let Some(of) = sort(step) else {
            return Some(group);
        };
        // A step that waits for one of these, or is about the same object, stays behind them.
        let mut ahead: HashSet<usize> = HashSet::from([first]);
        let mut keys: HashSet<Key> = HashSet::from([step.key]);
        let mut carried = bytes(step);
        let end = self.plan.steps.len().min(first + limits.steps * LOOKED_AT);
        for at in first + 1..end {
            let next = &self.plan.steps[at];
            if self.over[at] {
                continue;
            }
            if group.len() >= limits.steps || sort(next) != Some(of) {
                break;
            }
            let waits = next.needs.iter().any(|need| ahead.contains(need));
            if waits || next.side != step.side || keys.contains(&next.key) {
                ahead.insert(at);
                keys.insert(next.key);
                continue;
            }
            if !ready(next, done) {
                self.over[at] = true;
                continue;
            }
            carried = carried.saturating_add(bytes(next));
            if carried > limits.bytes {
                break;
            }
            self.over[at] = true;
            ahead.insert(at);
            keys.insert(next.key);
            group.push(at);
        }
        Some(group)
    }

    /// The first step left that can be tried.
    fn first(&mut self, done: &[bool]) -> Option<usize> {
        while let Some(step) = self.plan.steps.get(self.from) {
            if !self.over[self.from] {
                if ready(step, done) {
                    return Some(self.from);
                }
                self.over[self.from] = true;
            }
            self.from += 1;
        }
        None
    }
}

fn ready(step: &Step, done: &[bool]) -> bool {
    step.needs.iter().all(|need| done[*need])
}

/// True for a step that changes the server.
pub(super) fn sends(step: &Step) -> bool {
    step.side == Side::Server
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Name, RelPath};
    use crate::reintegrate::universe::Place;

    fn place() -> Place {
        Place {
            parent: Key::ROOT,
            name: Name::new(b"x").unwrap(),
        }
    }

    fn step(key: usize, side: Side, action: Action, needs: &[usize]) -> Step {
        Step {
            key: Key(key),
            side,
            action,
            path: RelPath::root(),
            rule: "test",
            needs: needs.to_vec(),
        }
    }

    fn make(key: usize, needs: &[usize]) -> Step {
        step(key, Side::Server, Action::Make(place()), needs)
    }

    /// Carries out everything; what is in `failing` fails. Gives the groups.
    fn groups(steps: Vec<Step>, width: usize, failing: &[usize]) -> Vec<Vec<usize>> {
        let plan = Plan {
            steps,
            ..Plan::default()
        };
        let mut rest = Rest::new(&plan, &vec![true; plan.steps.len()]);
        let mut done = vec![false; plan.steps.len()];
        let limits = Limits {
            steps: width,
            bytes: 100,
        };
        let mut groups = Vec::new();
        while let Some(group) = rest.next(&done, limits, |step| step.key.0 as u64) {
            for at in &group {
                done[*at] = !failing.contains(at);
            }
            groups.push(group);
        }
        groups
    }

    #[test]
    fn one_at_a_time_is_the_order_of_the_plan() {
        let steps = vec![make(1, &[]), make(2, &[0]), make(3, &[]), make(4, &[1])];
        let all = groups(steps, 1, &[]);
        assert_eq!(all, [vec![0], vec![1], vec![2], vec![3]]);
    }

    #[test]
    fn what_waits_for_one_of_them_comes_after_them() {
        let steps = vec![
            make(1, &[]),
            make(2, &[0]),
            make(3, &[]),
            make(4, &[1]),
            make(5, &[2]),
        ];
        let all = groups(steps, 10, &[]);
        assert_eq!(all, [vec![0, 2], vec![1, 4], vec![3]]);
    }

    #[test]
    fn what_needs_a_failed_step_is_never_tried() {
        let steps = vec![make(1, &[]), make(2, &[0]), make(3, &[1]), make(4, &[])];
        assert_eq!(groups(steps, 10, &[0]), [vec![0, 3]]);
    }

    #[test]
    fn sorts_do_not_mix_and_one_object_is_not_in_a_group_twice() {
        let removal = |key| step(key, Side::Server, Action::Remove(place()), &[]);
        let bytes = |key| step(key, Side::Server, Action::Bytes, &[]);
        let steps = vec![make(1, &[]), bytes(2), bytes(1), removal(3), make(4, &[])];
        let all = groups(steps, 10, &[]);
        assert_eq!(all, [vec![0, 1], vec![2], vec![3], vec![4]]);
    }

    #[test]
    fn the_sides_do_not_mix_but_do_not_part_a_group() {
        let here = |key| step(key, Side::Client, Action::Make(place()), &[]);
        let steps = vec![make(1, &[]), here(2), make(3, &[]), here(4)];
        assert_eq!(groups(steps, 10, &[]), [vec![0, 2], vec![1, 3]]);
    }

    #[test]
    fn many_bytes_end_a_group() {
        let steps = vec![make(200, &[]), make(60, &[]), make(30, &[]), make(20, &[])];
        assert_eq!(groups(steps, 10, &[]), [vec![0], vec![1, 2], vec![3]]);
    }

    #[test]
    fn moves_are_alone() {
        let go = |key| {
            let action = Action::Move {
                from: place(),
                to: place(),
            };
            step(key, Side::Server, action, &[])
        };
        assert_eq!(groups(vec![go(1), go(2)], 10, &[]), [vec![0], vec![1]]);
    }
}
