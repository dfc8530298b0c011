//! Which live node is which base object, and what both sides made at one name. Pure.
//!
//! Several live nodes may descend from one base object (an editor moved the old file away and wrote a new one). One of
//! them inherits: the one at the base object's place, else one whose bytes were never written, else the one that has had
//! it longest. The others are new objects.

use std::collections::HashMap;

use super::hashing::Map;
use super::identify::Identity;
use super::trees::{BaseTree, LiveTree, ServerTree, Sid};
use crate::meta::Node;
use crate::model::{Bid, Dirty, Ino};

/// Live nodes and base objects that are one, both ways.
#[derive(Default)]
pub(super) struct Heirs {
    pub(super) heir_of: Map<Bid, Ino>,
    pub(super) base_of: Map<Ino, Bid>,
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

#[cfg(test)]
mod tests {
    use super::super::identify::identify;
    use super::super::trees::small::{attrs, base, name, server};
    use super::*;
    use crate::model::Kind::{self, Dir, File};
    use crate::model::{Bytes, Epoch, Mask};

    /// Live: `(ino, dir, name, kind, bid, dirty)`.
    fn live(rows: &[(u64, u64, &str, Kind, Option<u64>, Dirty)]) -> LiveTree {
        let mut tree = LiveTree::default();
        tree.put(node(1, Dir, Some(1), Dirty::CLEAN));
        for (ino, dir, text, kind, bid, dirty) in rows {
            tree.put(node(*ino, *kind, *bid, *dirty));
            tree.name(Ino(*dir), name(text), Ino(*ino));
        }
        tree
    }

    fn node(ino: u64, kind: Kind, bid: Option<u64>, dirty: Dirty) -> Node {
        Node {
            ino: Ino(ino),
            bid: bid.map(Bid),
            attrs: attrs(kind),
            nlink: 1,
            target: None,
            xattrs: Default::default(),
            since: Epoch(1),
            bytes_since: Epoch(1),
            rev: 1,
            dirty,
            writer: 0,
            live_stat: None,
            durable: true,
            listed: None,
            fetched: None,
            bytes: Bytes::Absent,
        }
    }

    #[test]
    fn the_node_at_the_base_place_inherits() {
        let base = base(&[(2, 1, "f", File, 20)]);
        let live = live(&[
            (10, 1, "f~", File, Some(2), Dirty::CLEAN),
            (11, 1, "f", File, Some(2), Dirty::BYTES),
        ]);
        let heirs = heirs(&base, &live);
        assert_eq!(heirs.heir_of.get(&Bid(2)), Some(&Ino(11)));
        assert_eq!(heirs.base_of.get(&Ino(10)), None);
    }

    #[test]
    fn else_the_unwritten_one_else_the_oldest() {
        let base = base(&[(2, 1, "f", File, 20), (3, 1, "g", File, 30)]);
        let live = live(&[
            (10, 1, "a", File, Some(2), Dirty::BYTES),
            (11, 1, "b", File, Some(2), Dirty::CLEAN),
            (12, 1, "c", File, Some(3), Dirty::BYTES),
            (13, 1, "d", File, Some(3), Dirty::BYTES),
        ]);
        let heirs = heirs(&base, &live);
        assert_eq!(heirs.heir_of.get(&Bid(2)), Some(&Ino(11)));
        assert_eq!(heirs.heir_of.get(&Bid(3)), Some(&Ino(12)));
    }

    #[test]
    fn inside_a_directory_that_was_renamed_the_place_still_counts() {
        let base = base(&[(2, 1, "d", Dir, 20), (3, 2, "f", File, 30)]);
        let live = live(&[
            (10, 1, "e", Dir, Some(2), Dirty::NAMES),
            (11, 1, "f", File, Some(3), Dirty::CLEAN),
            (12, 10, "f", File, Some(3), Dirty::BYTES),
        ]);
        assert_eq!(heirs(&base, &live).heir_of.get(&Bid(3)), Some(&Ino(12)));
    }

    #[test]
    fn what_both_made_is_one_object_directories_with_what_is_in_them() {
        let base = base(&[]);
        let live = live(&[
            (10, 1, "d", Dir, None, Dirty::NAMES),
            (11, 10, "f", File, None, Dirty::NAMES),
            (12, 10, "k", File, None, Dirty::NAMES),
            (13, 10, "mine", File, None, Dirty::NAMES),
        ]);
        let server = server(&[
            (0, "d", Dir, 20),
            (1, "f", File, 21),
            (1, "k", Dir, 22),
            (1, "theirs", File, 23),
        ]);
        let identity = identify(&base, &server, &Mask::ALL);
        let both = made_on_both(&live, &server, &identity, &heirs(&base, &live));
        let expected = HashMap::from([(Sid(1), Ino(10)), (Sid(2), Ino(11))]);
        assert_eq!(both, expected);
    }

    #[test]
    fn a_moved_object_is_not_one_with_what_was_made_at_its_new_place() {
        let base = base(&[(2, 1, "old", File, 20)]);
        let live = live(&[
            (10, 1, "old", File, Some(2), Dirty::CLEAN),
            (11, 1, "new", File, None, Dirty::NAMES),
        ]);
        let server = server(&[(0, "new", File, 20)]);
        let identity = identify(&base, &server, &Mask::ALL);
        let both = made_on_both(&live, &server, &identity, &heirs(&base, &live));
        assert!(both.is_empty());
    }
}
