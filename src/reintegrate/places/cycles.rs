//! No directory lies in itself.

use std::collections::{BTreeMap, BTreeSet};

use super::{TREES, Wanted};
use crate::model::{ConflictKind, Kind};
use crate::reintegrate::decide::{Fate, Why};
use crate::reintegrate::steps::Side;
use crate::reintegrate::universe::Key;

/// Leaves directories apart that would lie in each other. True when something changed.
pub(super) fn check(wanted: &mut Wanted<'_>) -> bool {
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
