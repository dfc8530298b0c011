//! Which steps must come before which.

use std::collections::BTreeMap;

use crate::model::Kind;
use crate::reintegrate::drafts::Draft;
use crate::reintegrate::hashing::Map;
use crate::reintegrate::places::{TREES, Wanted};
use crate::reintegrate::steps::{Action, Side};
use crate::reintegrate::universe::{Key, Universe};

/// Why one step needs another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It makes something free: stepping aside does as well.
    Freed,
    /// It has to be done.
    Done,
}

/// What each draft needs.
pub(super) fn needs(wanted: &Wanted<'_>, drafts: &[Draft]) -> Vec<BTreeMap<usize, Need>> {
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
    of: Map<Key, Vec<usize>>,
    /// By the name they free.
    freeing: Map<(Key, Vec<u8>), Vec<usize>>,
    /// By the directory they take something out of.
    emptying: Map<Key, Vec<usize>>,
    /// By object again, to leave out its own steps.
    keys: Vec<Key>,
}

impl Index {
    fn new(wanted: &Wanted<'_>, drafts: &[Draft]) -> Index {
        let mut index = Index {
            of: Map::default(),
            freeing: Map::default(),
            emptying: Map::default(),
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
