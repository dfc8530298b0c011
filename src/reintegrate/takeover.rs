//! Which live node is which base object, and what both sides made at one name. Pure.
//!
//! Several live nodes may descend from one base object (an editor moved the old file away and wrote a new one). One of
//! them inherits: the one at the base object's place, else one whose bytes were never written, else the one that has had
//! it longest. The others are new objects.

use std::collections::HashMap;

use super::identify::Identity;
use super::trees::{BaseTree, LiveTree, ServerTree, Sid};
use crate::meta::Node;
use crate::model::{Bid, Dirty, Ino};

/// Live nodes and base objects that are one, both ways.
#[derive(Default)]
pub(super) struct Heirs {
    pub(super) heir_of: HashMap<Bid, Ino>,
    pub(super) base_of: HashMap<Ino, Bid>,
}

/// Gives every base object at most one heir.
pub(super) fn heirs(base: &BaseTree, live: &LiveTree) -> Heirs {
    let mut heirs = Heirs::default();
    // Directories first: whether a node is at its base place depends on who is its directory's heir.
    for bid in base.in_order() {
        let kind = base.nodes.get(&bid).map(|node| node.attrs.kind);
        let of_kind = |node: &&Node| Some(node.attrs.kind) == kind;
        let heir = live
            .of(bid)
            .filter(of_kind)
            .min_by_key(|node| claim(base, live, &heirs, bid, node));
        if let Some(ino) = heir.map(|node| node.ino) {
            heirs.heir_of.insert(bid, ino);
            heirs.base_of.insert(ino, bid);
        }
    }
    heirs
}

/// The smaller, the better the claim.
fn claim(
    base: &BaseTree,
    live: &LiveTree,
    heirs: &Heirs,
    bid: Bid,
    node: &Node,
) -> (bool, bool, Ino) {
    let at_place = live.places_of(node.ino).any(|(dir, name)| {
        base.places_of(bid)
            .any(|(parent, old)| old == name && heirs.heir_of.get(parent) == Some(dir))
    });
    (!at_place, node.dirty.has(Dirty::BYTES), node.ino)
}

/// Server objects base does not know at a name where the live tree has something new of the same kind: one object, made
/// on both sides. Directories made on both sides are one, and so may be what is in them.
pub(super) fn made_on_both(
    live: &LiveTree,
    server: &ServerTree,
    identity: &Identity,
    heirs: &Heirs,
) -> HashMap<Sid, Ino> {
    let mut pairs: HashMap<Sid, Ino> = HashMap::new();
    let mut dir_of: HashMap<Ino, Sid> = HashMap::new();
    for ino in live.in_order() {
        if let Some(bid) = heirs.base_of.get(&ino) {
            if let Some(sid) = identity.server_of.get(bid) {
                dir_of.insert(ino, *sid);
            }
            continue;
        }
        let Some(node) = live.nodes.get(&ino) else {
            continue;
        };
        let there = live.places_of(ino).find_map(|(dir, name)| {
            let sid = *server.children.get(dir_of.get(dir)?)?.get(name)?;
            let new = !identity.base_of.contains_key(&sid) && !pairs.contains_key(&sid);
            let fits = server.stamp(sid)?.kind == node.attrs.kind;
            (new && fits).then_some(sid)
        });
        if let Some(sid) = there {
            pairs.insert(sid, ino);
            dir_of.insert(ino, sid);
        }
    }
    pairs
}
