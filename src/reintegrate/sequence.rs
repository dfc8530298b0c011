//! The order of the steps: directories before what goes into them, names freed before they are taken, directories
//! emptied before they are removed. Where that goes round in a circle (two names exchanged), one object steps aside to
//! a temporary name first.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::drafts::Draft;
use super::places::{TREES, Wanted};
use super::steps::{Action, Side, Step};
use super::universe::{Key, Place, Universe};
use crate::model::{Kind, Name, RelPath};

/// Why one step needs another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// It makes something free: stepping aside does as well.
    Freed,
    /// It has to be done.
    Done,
}

/// Puts drafts in order.
pub(super) fn sequence(wanted: &Wanted<'_>, drafts: Vec<Draft>) -> Vec<Step> {
    let mut order = Order::new(wanted, drafts);
    order.run();
    order.steps()
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
    fn circle(&self) -> Option<(usize, usize)> {
        let placed: HashSet<usize> = self.placed.iter().copied().collect();
        let start = (0..self.drafts.len()).find(|index| !placed.contains(index))?;
        let mut path = vec![start];
        let mut seen = HashMap::from([(start, 0)]);
        loop {
            let last = *path.last()?;
            let next = *self.needs[last]
                .keys()
                .find(|need| !placed.contains(need))?;
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
        let mut walk = Walk {
            u: self.wanted.u,
            moved: HashMap::new(),
        };
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

/// What each draft needs.
fn needs(wanted: &Wanted<'_>, drafts: &[Draft]) -> Vec<BTreeMap<usize, Need>> {
    let index = Index::new(wanted, drafts);
    let mut all = Vec::with_capacity(drafts.len());
    for (at, draft) in drafts.iter().enumerate() {
        let mut freed = index.freed(wanted, draft);
        out_of(wanted, drafts, &index, draft, &mut freed);
        let done = index.done(drafts, at);
        // What has to be done has to be done, whatever it also makes free.
        let mut needs: BTreeMap<usize, Need> = BTreeMap::new();
        needs.extend(freed.into_iter().map(|step| (step, Need::Freed)));
        needs.extend(done.into_iter().map(|step| (step, Need::Done)));
        all.push(needs);
    }
    all
}

/// Drafts by what others may need of them.
struct Index {
    /// By object.
    of: HashMap<Key, Vec<usize>>,
    /// By the name they free.
    freeing: HashMap<(Key, Vec<u8>), Vec<usize>>,
    /// By the directory they take something out of.
    emptying: HashMap<Key, Vec<usize>>,
    /// By object again, to leave out its own steps.
    keys: Vec<Key>,
}

impl Index {
    fn new(wanted: &Wanted<'_>, drafts: &[Draft]) -> Index {
        let mut index = Index {
            of: HashMap::new(),
            freeing: HashMap::new(),
            emptying: HashMap::new(),
            keys: drafts.iter().map(|draft| draft.key).collect(),
        };
        for (at, draft) in drafts.iter().enumerate() {
            index.of.entry(draft.key).or_default().push(at);
            for place in &draft.frees {
                let slot = wanted.u.slot(Side::Server, place);
                index.freeing.entry(slot).or_default().push(at);
                index.emptying.entry(place.parent).or_default().push(at);
            }
        }
        index
    }

    fn steps_of(&self, key: Key) -> &[usize] {
        self.of.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Steps of other objects that make free what this one takes: a name, or a directory that goes.
    fn freed(&self, wanted: &Wanted<'_>, draft: &Draft) -> Vec<usize> {
        let name = draft
            .adds
            .as_ref()
            .map(|place| wanted.u.slot(Side::Server, place));
        let name = name.and_then(|slot| self.freeing.get(&slot));
        let goes = matches!(draft.action, Action::Remove(_));
        let contents = self.emptying.get(&draft.key).filter(|_| goes);
        let all = name.into_iter().chain(contents).flatten().copied();
        all.filter(|step| self.keys[*step] != draft.key).collect()
    }

    /// Steps that must be done: the directory it goes into is made, and its own earlier steps.
    fn done(&self, drafts: &[Draft], at: usize) -> Vec<usize> {
        let draft = &drafts[at];
        let parent = draft
            .adds
            .iter()
            .flat_map(|place| self.steps_of(place.parent));
        let made = parent.filter(|step| is_make(&drafts[**step]));
        let own = self.steps_of(draft.key).iter().filter(|step| **step != at);
        let own = own.filter(|step| own_first(draft, &drafts[**step]));
        made.chain(own).copied().collect()
    }
}

fn is_make(draft: &Draft) -> bool {
    matches!(draft.action, Action::Make(_))
}

/// Among the steps of one object: must `first` come before `then`?
fn own_first(then: &Draft, first: &Draft) -> bool {
    match (&then.action, &first.action) {
        (Action::Make(_), _) => false,
        (_, Action::Make(_)) => true,
        // No object is ever without a name.
        (Action::Unlink(_), Action::Move { .. } | Action::Link(_)) => true,
        (Action::Remove(_), Action::Unlink(_)) => true,
        (Action::Bytes, Action::Merge) => true,
        _ => false,
    }
}

/// A directory moves only when what it goes into has left it.
fn out_of(
    wanted: &Wanted<'_>,
    drafts: &[Draft],
    index: &Index,
    draft: &Draft,
    freed: &mut Vec<usize>,
) {
    let Some(place) = &draft.adds else { return };
    if draft.frees.is_empty() || wanted.u.kind(draft.key) != Some(Kind::Dir) {
        return;
    }
    for tree in TREES.into_iter().filter(|tree| relocates(draft, *tree)) {
        let mut at = place.parent;
        while at != Key::ROOT {
            if within(wanted.u, tree, at, draft.key) {
                let steps = index.steps_of(at).iter().copied();
                freed.extend(steps.filter(|step| relocates(&drafts[*step], tree)));
            }
            match wanted.parent_then(tree, at) {
                Some(parent) => at = parent,
                None => break,
            }
        }
    }
}

/// True when a step moves its object within a tree. A `Make` does so in base, when base had another name for it.
fn relocates(draft: &Draft, tree: Side) -> bool {
    let moving = draft.adds.is_some() && !draft.frees.is_empty();
    let here = draft.side == tree && matches!(draft.action, Action::Move { .. });
    moving && (here || tree == Side::Base)
}

/// True when `inner` lies in `outer` in a tree now.
fn within(u: &Universe, tree: Side, inner: Key, outer: Key) -> bool {
    let mut at = inner;
    while at != Key::ROOT {
        let parent = u.now(tree, at).and_then(|places| places.first());
        match parent.map(|place| place.parent) {
            Some(parent) if parent == outer => return true,
            Some(parent) => at = parent,
            None => return false,
        }
    }
    false
}

/// Paths while the steps are being done.
struct Walk<'a> {
    u: &'a Universe,
    /// Places given by steps so far.
    moved: HashMap<(Side, Key), Place>,
}

impl Walk<'_> {
    fn place(&self, side: Side, key: Key) -> Option<Place> {
        let moved = self.moved.get(&(side, key));
        moved.or_else(|| self.u.now(side, key)?.first()).cloned()
    }

    fn join(&self, side: Side, last: &Place) -> RelPath {
        let mut names = vec![last.name.clone()];
        let mut at = last.parent;
        while at != Key::ROOT {
            let Some(place) = self.place(side, at) else {
                break;
            };
            names.push(place.name);
            at = place.parent;
        }
        names.reverse();
        RelPath::from_names(names)
    }

    fn path_of(&self, draft: &Draft) -> RelPath {
        let side = match draft.side {
            Side::Base if self.u.get(draft.key).client.is_some() => Side::Client,
            side => side,
        };
        let place = match &draft.action {
            Action::Make(place) | Action::Link(place) => Some(place.clone()),
            _ if draft.side != side => self.place(side, draft.key),
            Action::Move { from, .. } | Action::Unlink(from) | Action::Remove(from) => {
                Some(from.clone())
            }
            Action::Bytes | Action::Merge | Action::Attrs(_) => self.place(side, draft.key),
        };
        place
            .map(|place| self.join(side, &place))
            .unwrap_or_default()
    }

    /// Base follows every step.
    fn done(&mut self, draft: &Draft) {
        for tree in BTreeSet::from([draft.side, Side::Base]) {
            let lost = match &draft.action {
                Action::Unlink(place) => self.place(tree, draft.key).as_ref() == Some(place),
                _ => false,
            };
            if let Some(to) = &draft.adds {
                self.moved.insert((tree, draft.key), to.clone());
            } else if lost {
                let now = self.u.now(tree, draft.key).into_iter().flatten();
                let mut rest = now.filter(|place| !draft.frees.contains(place));
                if let Some(place) = rest.next() {
                    self.moved.insert((tree, draft.key), place.clone());
                }
            }
        }
    }
}
