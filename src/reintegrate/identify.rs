//! Which server object is which base object. Pure.
//!
//! The same number and birth is the same object, wherever it is now: at another place it was moved. What is then left at
//! the place of a base object that is nowhere else, and of the same kind, is that object too: another client saved it
//! the way editors do (a new file renamed over the old one).

use super::hashing::Map;
use super::trees::{BaseTree, ServerTree, Sid};
use crate::fetch::same_identity;
use crate::model::{Bid, Mask, Stamp};

/// Server and base objects that are one, both ways.
#[derive(Default)]
pub(super) struct Identity {
    pub(super) server_of: Map<Bid, Sid>,
    pub(super) base_of: Map<Sid, Bid>,
}

impl Identity {
    fn join(&mut self, bid: Bid, sid: Sid) {
        self.server_of.insert(bid, sid);
        self.base_of.insert(sid, bid);
    }

    fn is_free(&self, bid: Bid, sid: Sid) -> bool {
        !self.server_of.contains_key(&bid) && !self.base_of.contains_key(&sid)
    }
}

/// Joins what is one.
pub(super) fn identify(base: &BaseTree, server: &ServerTree, mask: &Mask) -> Identity {
    let mut identity = Identity::default();
    identity.join(Bid::ROOT, Sid::ROOT);
    for (sid, met) in server.all().skip(1) {
        if let Some(bid) = met.taken_for.filter(|_| met.seen.is_none()) {
            identity.join(bid, sid);
        }
    }
    // Those still at their place first: a base object whose number was taken over by another of ours must not be
    // drawn away from where it is.
    let order = base.in_order();
    by_place(base, server, &order, &mut identity, |old, seen| {
        same_identity(old, seen, mask, true)
    });
    by_number(base, server, mask, &mut identity);
    by_place(base, server, &order, &mut identity, |old, seen| {
        old.kind == seen.kind
    });
    identity
}

/// Goes down base and joins each object with the one at its place, if `fit` says so. Directories come before what is in
/// them, so a directory found elsewhere takes its entries along.
fn by_place(
    base: &BaseTree,
    server: &ServerTree,
    order: &[Bid],
    identity: &mut Identity,
    fit: impl Fn(&Stamp, &Stamp) -> bool,
) {
    for bid in order {
        let Some(node) = base.nodes.get(bid) else {
            continue;
        };
        for (dir, name) in base.places_of(*bid) {
            let Some(dir) = identity.server_of.get(dir) else {
                continue;
            };
            let Some(sid) = server.children.get(dir).and_then(|names| names.get(name)) else {
                continue;
            };
            let fits = server
                .stamp(*sid)
                .is_some_and(|seen| fit(&node.stamp, seen));
            if fits && identity.is_free(*bid, *sid) {
                identity.join(*bid, *sid);
            }
        }
    }
}

/// Joins what was moved: the same number and birth at another place.
fn by_number(base: &BaseTree, server: &ServerTree, mask: &Mask, identity: &mut Identity) {
    for (sid, met) in server.all() {
        let Some(seen) = &met.seen else { continue };
        let found = base.by_lower(seen.stamp.ino).iter().find(|bid| {
            identity.is_free(**bid, sid)
                && base
                    .nodes
                    .get(bid)
                    .is_some_and(|node| same_identity(&node.stamp, &seen.stamp, mask, false))
        });
        if let Some(bid) = found {
            identity.join(*bid, sid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trees::small::{base, server};
    use super::*;
    use crate::model::Kind::{Dir, File};

    /// Where (by row of the server, from 1) each base object (from 2) is.
    fn found(base: &BaseTree, server: &ServerTree, mask: &Mask) -> Vec<Option<usize>> {
        let identity = identify(base, server, mask);
        let count = base.nodes.len() as u64;
        let of = |bid| identity.server_of.get(&Bid(bid)).map(|sid| sid.0);
        (2..=count).map(of).collect()
    }

    const NO_NUMBERS: Mask = Mask {
        ino: false,
        btime: false,
        ..Mask::ALL
    };

    #[test]
    fn a_moved_file_is_found_by_its_number() {
        let base = base(&[(2, 1, "d", Dir, 20), (3, 1, "f", File, 30)]);
        let server = server(&[(0, "d", Dir, 20), (1, "g", File, 30)]);
        assert_eq!(found(&base, &server, &Mask::ALL), [Some(1), Some(2)]);
        assert_eq!(found(&base, &server, &NO_NUMBERS), [Some(1), None]);
    }

    #[test]
    fn a_moved_directory_takes_replaced_entries_along() {
        let base = base(&[(2, 1, "d", Dir, 20), (3, 2, "f", File, 30)]);
        // Moved to `e`, and `f` in it saved anew by an editor.
        let server = server(&[(0, "e", Dir, 20), (1, "f", File, 31)]);
        assert_eq!(found(&base, &server, &Mask::ALL), [Some(1), Some(2)]);
    }

    #[test]
    fn an_editors_save_keeps_the_identity() {
        let base = base(&[(2, 1, "f", File, 20)]);
        let server = server(&[(0, "f", File, 99)]);
        assert_eq!(found(&base, &server, &Mask::ALL), [Some(1)]);
    }

    #[test]
    fn what_replaced_a_moved_file_is_new() {
        let base = base(&[(2, 1, "f", File, 20)]);
        let server = server(&[(0, "f", File, 99), (0, "f~", File, 20)]);
        assert_eq!(found(&base, &server, &Mask::ALL), [Some(2)]);
    }

    #[test]
    fn two_files_that_changed_places_are_both_found() {
        let base = base(&[(2, 1, "a", File, 20), (3, 1, "b", File, 30)]);
        let server = server(&[(0, "a", File, 30), (0, "b", File, 20)]);
        assert_eq!(found(&base, &server, &Mask::ALL), [Some(2), Some(1)]);
    }

    #[test]
    fn one_renamed_over_the_other_leaves_the_other_nowhere() {
        let base = base(&[(2, 1, "a", File, 20), (3, 1, "b", File, 30)]);
        let server = server(&[(0, "b", File, 20)]);
        assert_eq!(found(&base, &server, &Mask::ALL), [Some(1), None]);
    }

    #[test]
    fn another_kind_at_the_place_is_another_object() {
        let base = base(&[(2, 1, "a", File, 20)]);
        let server = server(&[(0, "a", Dir, 21)]);
        assert_eq!(found(&base, &server, &Mask::ALL), [None]);
    }

    #[test]
    fn a_hard_link_is_one_object_met_twice() {
        let base = base(&[(2, 1, "a", File, 20)]);
        let server = server(&[(0, "a", File, 20), (0, "b", File, 20)]);
        assert_eq!(server.get(Sid(1)).places.len(), 2);
        assert_eq!(found(&base, &server, &Mask::ALL), [Some(1)]);
    }
}
