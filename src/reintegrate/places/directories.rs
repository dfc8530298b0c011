//! Everything lies in a directory that is there.

use std::collections::{BTreeMap, BTreeSet};

use super::{TREES, Wanted};
use crate::reintegrate::decide::{Fate, Why};
use crate::reintegrate::steps::Side;
use crate::reintegrate::universe::Key;

/// Brings directories back, or leaves apart what has none. True when something changed.
///
/// Looks at everything first and changes after, so that the order of objects decides nothing.
pub(super) fn check(wanted: &mut Wanted<'_>) -> bool {
    let mut lacks = Lacks::default();
    for key in wanted.u.keys().skip(1) {
        for tree in TREES {
            match wanted.of(key).fate {
                Fate::Gone => removal(wanted, tree, key, &mut lacks),
                Fate::Both(_) | Fate::Apart(_) => presence(wanted, tree, key, &mut lacks),
            }
        }
    }
    let changed = !(lacks.back.is_empty() && lacks.beneath.is_empty() && lacks.silent.is_empty());
    for (directory, waits) in lacks.back {
        if waits {
            let reason = "removed on one side, but something in it waits; `driftfs st` lists it";
            wanted.set_apart(directory, Why::Waits(reason.into()));
        } else {
            wanted.bring_back(directory);
        }
    }
    for (key, directory) in lacks.beneath {
        wanted.set_apart(key, Why::Beneath(directory));
    }
    for key in lacks.silent {
        wanted.set_apart(key, Why::Waits(String::new()));
    }
    changed
}

/// What is wrong with directories.
#[derive(Default)]
struct Lacks {
    /// Directories to be removed that something lives in; true: only because it waits.
    back: BTreeMap<Key, bool>,
    /// What would go into a directory that is not on the other side.
    beneath: BTreeMap<Key, Key>,
    /// Removals that depend on a conflict about the directory.
    silent: BTreeSet<Key>,
}

/// An object that will be in `tree` needs its directories there.
fn presence(wanted: &Wanted<'_>, tree: Side, key: Key, lacks: &mut Lacks) {
    for place in wanted.then(tree, key).into_iter().flatten() {
        let parent = place.parent;
        if parent == Key::ROOT || wanted.then(tree, parent).is_some() {
            continue;
        }
        let waits = matches!(
            wanted.of(key).fate,
            Fate::Apart(Why::Waits(_) | Why::Beneath(_))
        );
        if wanted.of(parent).fate == Fate::Gone {
            // Where only base still has it there, there is nothing to bring the directory back for.
            let held = tree == Side::Base && !wanted.both(key);
            *lacks.back.entry(parent).or_default() |= waits || held;
        } else if wanted.both(key) {
            lacks.beneath.insert(key, parent);
        }
    }
}

/// What is removed from a directory that is itself left apart depends on that conflict: it waits silently.
fn removal(wanted: &Wanted<'_>, tree: Side, key: Key, lacks: &mut Lacks) {
    for place in wanted.u.now(tree, key).into_iter().flatten() {
        let apart = matches!(wanted.of(place.parent).fate, Fate::Apart(_));
        let mut trees = TREES.iter();
        if apart && !trees.all(|tree| wanted.u.now(*tree, place.parent).is_some()) {
            lacks.silent.insert(key);
        }
    }
}
