//! No name is held twice.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher;

use super::{TREES, Wanted};
use crate::model::ConflictKind;
use crate::reintegrate::decide::{Fate, Why};
use crate::reintegrate::hashing::{Map, Quick};
use crate::reintegrate::steps::Side;
use crate::reintegrate::universe::{Key, Place, Universe};

/// A name in a tree.
type Slot = (Side, (Key, Vec<u8>));

/// Several objects that would hold one name.
struct Crowd {
    tree: Side,
    slot: (Key, Vec<u8>),
    holding: Vec<Key>,
    /// Those of them that would move there.
    coming: Vec<Key>,
}

/// Leaves apart what would take a name that is held. True when something changed.
pub(super) fn check(wanted: &mut Wanted<'_>) -> bool {
    let crowds = crowds(wanted);
    let hard = |crowd: &&Crowd| crowd.tree != Side::Base && !someone_waits(wanted, crowd);
    let (clashing, waiting): (Vec<&Crowd>, Vec<&Crowd>) = crowds.iter().partition(hard);
    let pairs: BTreeSet<(Key, Key)> = clashing.iter().map(|crowd| pair(wanted, crowd)).collect();
    for key in clashing.iter().flat_map(|crowd| &crowd.coming) {
        wanted.set_apart(*key, Why::Clash);
    }
    for (key, other) in pairs {
        let clash = (ConflictKind::Occupied, Some(other), "name-taken");
        wanted.verdicts[key.0].clashes.push(clash);
    }
    let reason = "its name is still held by something that waits or is in conflict: `driftfs conflicts`, `driftfs st`";
    for key in waiting.iter().flat_map(|crowd| &crowd.coming) {
        if wanted.both(*key) {
            wanted.set_apart(*key, Why::Waits(reason.into()));
        }
    }
    !crowds.is_empty()
}

fn someone_waits(wanted: &Wanted<'_>, crowd: &Crowd) -> bool {
    let waits = |key: &Key| {
        let fate = &wanted.of(*key).fate;
        matches!(fate, Fate::Apart(Why::Waits(_) | Why::Beneath(_)))
    };
    crowd.holding.iter().any(waits)
}

/// The names more than one object would hold. Hashes of the names tell which may be; only these are looked at in full.
fn crowds(wanted: &Wanted<'_>) -> Vec<Crowd> {
    let suspects = suspects(wanted);
    if suspects.is_empty() {
        return Vec::new();
    }
    let mut holders = arrivals(wanted, &suspects);
    for key in wanted.u.keys().skip(1) {
        for tree in TREES {
            for place in wanted.then(tree, key).into_iter().flatten() {
                if !suspects.contains(&hash(wanted.u, tree, place)) {
                    continue;
                }
                let slot = (tree, wanted.u.slot(tree, place));
                if let Some(found) = holders.get_mut(&slot) {
                    found.insert(key);
                }
            }
        }
    }
    let crowded = holders.into_iter().filter(|(_, keys)| keys.len() > 1);
    let mut crowds: Vec<Crowd> = crowded
        .map(|((tree, slot), keys)| Crowd {
            tree,
            slot,
            coming: keys
                .iter()
                .copied()
                .filter(|key| wanted.both(*key))
                .collect(),
            holding: keys.into_iter().collect(),
        })
        .collect();
    crowds.sort_by(|a, b| (a.tree, &a.slot).cmp(&(b.tree, &b.slot)));
    crowds
}

/// Hashes of places somebody is about to take and more than one object may hold.
fn suspects(wanted: &Wanted<'_>) -> HashSet<u64> {
    let mut first: Map<u64, Key> = Map::default();
    let mut suspects = HashSet::new();
    // Most directories get nothing new, and their names need not be looked at one by one.
    let mut busy: HashSet<Key> = HashSet::new();
    each_arrival(wanted, |tree, place, key| {
        busy.insert(place.parent);
        let hash = hash(wanted.u, tree, place);
        if *first.entry(hash).or_insert(key) != key {
            suspects.insert(hash);
        }
    });
    if busy.is_empty() {
        return suspects;
    }
    for key in wanted.u.keys().skip(1) {
        for tree in TREES {
            let places = wanted.then(tree, key).into_iter().flatten();
            for place in places.filter(|place| busy.contains(&place.parent)) {
                let hash = hash(wanted.u, tree, place);
                if first.get(&hash).is_some_and(|first| *first != key) {
                    suspects.insert(hash);
                }
            }
        }
    }
    suspects
}

fn hash(u: &Universe, tree: Side, place: &Place) -> u64 {
    let folds = tree == Side::Server && !u.case_sensitive;
    if folds {
        return Quick.hash_one((tree as u8, u.slot(tree, place)));
    }
    Quick.hash_one((tree as u8, (place.parent, place.name.bytes())))
}

/// The places somebody is about to take, by tree, as far as they are suspect.
fn arrivals(wanted: &Wanted<'_>, suspects: &HashSet<u64>) -> HashMap<Slot, BTreeSet<Key>> {
    let mut all: HashMap<Slot, BTreeSet<Key>> = HashMap::new();
    each_arrival(wanted, |tree, place, key| {
        if suspects.contains(&hash(wanted.u, tree, place)) {
            let slot = (tree, wanted.u.slot(tree, place));
            all.entry(slot).or_default().insert(key);
        }
    });
    all
}

fn each_arrival(wanted: &Wanted<'_>, mut work: impl FnMut(Side, &Place, Key)) {
    for key in wanted.u.keys() {
        let Fate::Both(places) = &wanted.of(key).fate else {
            continue;
        };
        for tree in TREES {
            let now = wanted.u.now(tree, key);
            for place in places {
                if !now.is_some_and(|now| now.contains(place)) {
                    work(tree, place, key);
                }
            }
        }
    }
}

/// Of the objects wanting one name: the one the client has there, and the one the server has there.
fn pair(wanted: &Wanted<'_>, crowd: &Crowd) -> (Key, Key) {
    let there = |tree: Side, key: &Key| {
        let places = wanted.u.now(tree, *key).into_iter().flatten();
        places
            .into_iter()
            .any(|place| wanted.u.slot(tree, place) == crowd.slot)
    };
    let all = &crowd.holding;
    let client = all.iter().find(|key| there(Side::Client, key));
    let key = *client.unwrap_or(&all[0]);
    let others = || all.iter().filter(|other| **other != key);
    let server = others().find(|other| there(Side::Server, other));
    let other = server.or_else(|| others().next()).copied();
    (key, other.unwrap_or(key))
}
