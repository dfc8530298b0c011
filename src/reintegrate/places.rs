//! Final names: which wanted places fit together, so that afterwards client, server and base are each a valid tree.
//!
//! Starts from what is wanted of each object alone and takes back what cannot stand, until nothing changes. An object
//! only ever goes from *gone* to *both* (a directory that must come back) to *apart* (left as each side has it), so
//! this ends. Base is checked like the other two: a name held there by a conflict is not free.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::decide::{Fate, Fields, Verdict, Why};
use super::steps::Side;
use super::universe::{Key, Place, Universe, Version};
use crate::model::{ConflictKind, Kind};

/// All three trees.
pub(super) const TREES: [Side; 3] = [Side::Client, Side::Server, Side::Base];

/// The universe and what is wanted of it.
pub(super) struct Wanted<'a> {
    /// What there is.
    pub u: &'a Universe,
    /// What is wanted of each object.
    pub verdicts: Vec<Verdict>,
}

impl Universe {
    /// What one tree has of an object now.
    pub(super) fn version(&self, tree: Side, key: Key) -> Option<&Version> {
        let object = self.get(key);
        match tree {
            Side::Client => object.client.as_ref(),
            Side::Server => object.server_version(),
            Side::Base => object.base.as_ref(),
        }
    }

    /// The names one tree has for an object now.
    pub(super) fn now(&self, tree: Side, key: Key) -> Option<&BTreeSet<Place>> {
        self.version(tree, key).map(|version| &version.places)
    }

    /// The kind of an object.
    pub(super) fn kind(&self, key: Key) -> Option<Kind> {
        let versions = TREES.iter().find_map(|tree| self.version(*tree, key));
        versions.map(|version| version.attrs.kind)
    }

    /// All keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> + use<> {
        (0..self.objects.len()).map(Key)
    }

    /// A place as this tree tells places apart.
    pub(super) fn slot(&self, tree: Side, place: &Place) -> (Key, Vec<u8>) {
        let bytes = place.name.bytes();
        let folded = match std::str::from_utf8(bytes) {
            Ok(text) if tree == Side::Server && !self.case_sensitive => {
                text.to_lowercase().into_bytes()
            }
            _ => bytes.to_vec(),
        };
        (place.parent, folded)
    }
}

impl Wanted<'_> {
    /// What is wanted of one object.
    pub fn of(&self, key: Key) -> &Verdict {
        &self.verdicts[key.0]
    }

    /// The names of an object in a tree once the plan is done; `None`: it is not there.
    pub fn then(&self, tree: Side, key: Key) -> Option<&BTreeSet<Place>> {
        match &self.of(key).fate {
            Fate::Both(places) => Some(places),
            Fate::Gone => None,
            Fate::Apart(_) => self.u.now(tree, key),
        }
    }

    /// The directory of a directory in a tree once the plan is done.
    pub fn parent_then(&self, tree: Side, key: Key) -> Option<Key> {
        self.then(tree, key)?.first().map(|place| place.parent)
    }

    fn both(&self, key: Key) -> bool {
        matches!(self.of(key).fate, Fate::Both(_))
    }

    /// Leaves an object as each side has it. Without base nothing of it is agreed, so no field can be either.
    fn set_apart(&mut self, key: Key, why: Why) {
        let baseless = self.u.get(key).base.is_none();
        let verdict = &mut self.verdicts[key.0];
        verdict.fate = Fate::Apart(why);
        verdict.filled = false;
        verdict
            .clashes
            .retain(|(kind, _, _)| *kind != ConflictKind::Deleted);
        if baseless {
            verdict.fields = Fields::none();
        }
    }

    /// A directory one side removed comes back with what lives in it.
    fn bring_back(&mut self, key: Key) {
        let sides = [Side::Client, Side::Server];
        let living = sides
            .iter()
            .find_map(|side| self.u.now(*side, key))
            .cloned();
        match living {
            Some(places) => {
                self.verdicts[key.0] = Verdict::by("filled-directory", Fate::Both(places));
                self.verdicts[key.0].filled = true;
            }
            None => self.set_apart(key, Why::Waits(String::new())),
        }
    }
}

/// Takes back what cannot stand.
pub(super) fn settle<'a>(u: &'a Universe, verdicts: Vec<Verdict>) -> Wanted<'a> {
    let mut wanted = Wanted { u, verdicts };
    while directories(&mut wanted) | collisions(&mut wanted) | cycles(&mut wanted) {}
    filled(&mut wanted);
    wanted
}

/// Everything lies in a directory that is there. True when something changed.
///
/// Looks at everything first and changes after, so that the order of objects decides nothing.
fn directories(wanted: &mut Wanted<'_>) -> bool {
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

/// No name is held twice. True when something changed.
fn collisions(wanted: &mut Wanted<'_>) -> bool {
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

/// The names more than one object would hold.
fn crowds(wanted: &Wanted<'_>) -> Vec<Crowd> {
    let mut holders = arrivals(wanted);
    if holders.is_empty() {
        return Vec::new();
    }
    for key in wanted.u.keys().skip(1) {
        for tree in TREES {
            for place in wanted.then(tree, key).into_iter().flatten() {
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

/// The places somebody is about to take, by tree.
fn arrivals(wanted: &Wanted<'_>) -> HashMap<Slot, BTreeSet<Key>> {
    let mut all: HashMap<Slot, BTreeSet<Key>> = HashMap::new();
    for key in wanted.u.keys() {
        let Fate::Both(places) = &wanted.of(key).fate else {
            continue;
        };
        for tree in TREES {
            let now = wanted.u.now(tree, key);
            for place in places {
                if !now.is_some_and(|now| now.contains(place)) {
                    let slot = (tree, wanted.u.slot(tree, place));
                    all.entry(slot).or_default().insert(key);
                }
            }
        }
    }
    all
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

/// No directory lies in itself. True when something changed.
fn cycles(wanted: &mut Wanted<'_>) -> bool {
    let mut rings: BTreeMap<BTreeSet<Key>, Side> = BTreeMap::new();
    for tree in TREES {
        for key in wanted.u.keys().skip(1) {
            if moves(wanted, tree, key)
                && let Some(ring) = ring(wanted, tree, key)
            {
                rings.entry(ring).or_insert(tree);
            }
        }
    }
    let knots: Vec<Knot> = rings
        .into_iter()
        .map(|(ring, tree)| knot(wanted, tree, &ring))
        .collect();
    for knot in &knots {
        untie(wanted, knot);
    }
    !knots.is_empty()
}

/// True for a directory that shall lie elsewhere in this tree than now.
fn moves(wanted: &Wanted<'_>, tree: Side, key: Key) -> bool {
    let Fate::Both(places) = &wanted.of(key).fate else {
        return false;
    };
    let now = wanted.u.now(tree, key);
    wanted.u.kind(key) == Some(Kind::Dir) && now.is_some_and(|now| now != places)
}

/// The directories from `start` upwards, if they lead back to it.
fn ring(wanted: &Wanted<'_>, tree: Side, start: Key) -> Option<BTreeSet<Key>> {
    let mut ring = BTreeSet::from([start]);
    let mut at = wanted.parent_then(tree, start)?;
    while at != start {
        if at == Key::ROOT || !ring.insert(at) {
            return None;
        }
        at = wanted.parent_then(tree, at)?;
    }
    Some(ring)
}

/// Directories that would lie in each other, and who moved them.
struct Knot {
    /// A ring in base alone waits for the conflict that holds it there.
    base: bool,
    by_client: BTreeSet<Key>,
    by_server: BTreeSet<Key>,
}

fn knot(wanted: &Wanted<'_>, tree: Side, ring: &BTreeSet<Key>) -> Knot {
    let moved = |side: Side| -> BTreeSet<Key> {
        let keys = ring.iter().copied();
        keys.filter(|key| moves(wanted, side, *key)).collect()
    };
    let base = tree == Side::Base;
    // What changes on the server was moved by the client, and the other way round.
    let mut by_client = moved(Side::Server);
    if base {
        by_client.extend(moved(Side::Base));
    }
    Knot {
        base,
        by_client,
        by_server: moved(Side::Client),
    }
}

/// Leaves every moved directory of a knot where each side has it.
fn untie(wanted: &mut Wanted<'_>, knot: &Knot) {
    let movers = &knot.by_client | &knot.by_server;
    for key in &movers {
        let why = if knot.base {
            let reason = "moving it waits for the conflict about a directory it would go into: `driftfs conflicts`";
            Why::Waits(reason.into())
        } else {
            Why::Clash
        };
        wanted.set_apart(*key, why);
    }
    let first = knot.by_client.first().or(movers.first());
    if let (false, Some(key)) = (knot.base, first) {
        let mut others = knot.by_server.iter().chain(&movers);
        let other = others.find(|other| *other != key).copied();
        let clash = (ConflictKind::DirCycle, other, "directory-cycle");
        wanted.verdicts[key.0].clashes.push(clash);
    }
}

/// Names the conflict about a directory that comes back, at the directory whose own contents are the reason: one whose
/// contents are only other such directories, or carry the conflict themselves, needs no second one.
fn filled(wanted: &mut Wanted<'_>) {
    let listed = |verdict: &Verdict| {
        let deleted = |(kind, _, _): &(ConflictKind, _, _)| *kind == ConflictKind::Deleted;
        verdict.filled || verdict.clashes.iter().any(deleted)
    };
    let mut reasons = HashSet::new();
    for key in wanted.u.keys().filter(|key| !listed(wanted.of(*key))) {
        for tree in [Side::Client, Side::Server] {
            let places = wanted.then(tree, key).into_iter().flatten();
            reasons.extend(places.map(|place| place.parent));
        }
    }
    for verdict in reasons.iter().map(|key| key.0) {
        let verdict = &mut wanted.verdicts[verdict];
        if verdict.filled {
            let clash = (ConflictKind::Deleted, None, "edit-beats-delete");
            verdict.clashes.push(clash);
        }
    }
}
