//! Conflicts as rows: stored with every version they are about, replaced when a side was seen anew, dropped when the
//! disagreement is over.

use std::collections::BTreeMap;

use super::steps::Clash;
use super::universe::{Key, Object, Place, Server, Universe, Version};
use crate::meta::{Conflict, MetaError, WriteTxn};
use crate::model::{
    Bid, ConflictId, ConflictKind, Ino, Kind, Mask, ObjectId, RelPath, Sameness, Stamp, Time,
};
use crate::variants::{Proposal, Second, Term, Terms};

/// A disagreement and what of its versions is kept here. The objects named must have rows.
pub struct Found<'a> {
    /// The three trees as scanned, before any step was done.
    pub universe: &'a Universe,
    /// The object.
    pub key: Key,
    /// The second object, where two are in each other's way.
    pub other: Option<Key>,
    /// What about.
    pub kind: ConflictKind,
    /// Where, for people.
    pub path: RelPath,
    /// Base bytes, sealed.
    pub base: BTreeMap<Key, ObjectId>,
    /// Server bytes, sealed, with the fingerprint they belong to.
    pub server: BTreeMap<Key, (ObjectId, Stamp)>,
    /// The proposal of a merge driver.
    pub merged: Option<Proposal>,
    /// When.
    pub when: Time,
}

impl Found<'_> {
    /// Stores the conflict in the caller's transaction. One that is stored already gets new terms and keeps its number
    /// and its time. What was deleted on one side and is back by now keeps the terms it had: they say what was deleted.
    pub fn store(&self, txn: &WriteTxn<'_>) -> Result<ConflictId, MetaError> {
        let object = self.universe.get(self.key);
        let terms = self.terms();
        let mut row = Conflict {
            id: ConflictId(0),
            kind: self.kind,
            ino: object.ino,
            bid: object.bid,
            path: contested(&terms).unwrap_or_else(|| self.path.clone()),
            since: self.when,
            objects: terms.objects(),
            terms: terms.json(),
        };
        let known = txn.conflicts()?.into_iter().find(|old| is_about(old, &row));
        let Some(known) = known else {
            return txn.add_conflict(&row);
        };
        let deleted = self.kind == ConflictKind::Deleted && object.standing.is_some();
        if deleted || (self.merged.is_none() && says_more(&known, &terms)) {
            return Ok(known.id);
        }
        row.id = known.id;
        row.since = known.since;
        txn.set_conflict(&row)?;
        Ok(known.id)
    }

    /// What base, client and server have of both objects.
    pub fn terms(&self) -> Terms {
        let mut terms = self.terms_of(self.key);
        terms.merged = self.merged;
        terms.other = self.other.map(|key| {
            let object = self.universe.get(key);
            Box::new(Second {
                ino: object.ino,
                bid: object.bid,
                terms: self.terms_of(key),
            })
        });
        terms
    }

    fn terms_of(&self, key: Key) -> Terms {
        let object = self.universe.get(key);
        let server = match &object.server {
            Server::Present(version) => Some(version),
            Server::Absent | Server::Unknown(_) => None,
        };
        let read = self.server.get(&key);
        Terms {
            version: 1,
            base: object.base.as_ref().map(|version| {
                let object = self.base.get(&key).copied();
                self.term(version, object, None, |object| object.base.as_ref())
            }),
            client: object
                .client
                .as_ref()
                .map(|version| self.term(version, None, None, |object| object.client.as_ref())),
            server: server.map(|version| {
                let stamp = read.map(|(_, stamp)| *stamp).or(object.stamp);
                let sealed = read.map(|(sealed, _)| *sealed);
                self.term(version, sealed, stamp, |object| match &object.server {
                    Server::Present(version) => Some(version),
                    Server::Absent | Server::Unknown(_) => None,
                })
            }),
            merged: None,
            rev: object.rev,
            other: None,
        }
    }

    fn term(
        &self,
        version: &Version,
        object: Option<ObjectId>,
        stamp: Option<Stamp>,
        side: impl Fn(&Object) -> Option<&Version>,
    ) -> Term {
        let mut attrs = version.attrs;
        if let (Kind::File, Some(stamp)) = (attrs.kind, stamp) {
            attrs.size = stamp.size;
        }
        Term {
            attrs,
            target: version.target.clone(),
            xattrs: version.xattrs.clone(),
            object,
            stamp,
            places: version
                .places
                .iter()
                .filter_map(|place| path_of(self.universe, place, &side))
                .collect(),
        }
    }
}

/// The name two objects are after: one holds it here, the other on the server. An object may have further names.
fn contested(terms: &Terms) -> Option<RelPath> {
    let second = &terms.other.as_ref()?.terms;
    let places = |term: &Option<Term>| term.as_ref().map_or(Vec::new(), |t| t.places.clone());
    let shared = |here: &Terms, there: &Terms| {
        let theirs = places(&there.server);
        let mut ours = places(&here.client).into_iter();
        ours.find(|path| theirs.contains(path))
    };
    shared(terms, second).or_else(|| shared(second, terms))
}

/// The path of a place on one side; `None` when it leads nowhere there.
fn path_of(
    universe: &Universe,
    place: &Place,
    side: &impl Fn(&Object) -> Option<&Version>,
) -> Option<RelPath> {
    let mut names = vec![place.name.clone()];
    let mut at = place.parent;
    while at != Key::ROOT {
        let up = side(universe.get(at))?.places.first()?;
        names.push(up.name.clone());
        at = up.parent;
        if names.len() > universe.objects.len() {
            return None;
        }
    }
    names.reverse();
    Some(RelPath::from_names(names))
}

/// True when a stored conflict is about the same thing. Without a base object the path tells: an editor's save gives
/// the name to a new node.
fn is_about(old: &Conflict, new: &Conflict) -> bool {
    let same_bid = old.bid.is_some() && old.bid == new.bid;
    let same_ino = old.ino.is_some() && old.ino == new.ino;
    let here = old.path == new.path;
    let same_path = old.bid.is_none() && new.bid.is_none() && here;
    // An object with several names may be in the way of another one at each.
    let named = old.kind != ConflictKind::Occupied || here;
    old.kind == new.kind && named && (same_bid || same_ino || same_path)
}

/// True when the stored terms are about the same versions and have a proposal besides.
fn says_more(known: &Conflict, terms: &Terms) -> bool {
    let Ok(old) = Terms::parse(&known.terms) else {
        return false;
    };
    let stamp = |terms: &Terms| terms.server.as_ref().and_then(|term| term.stamp);
    let calm =
        |stamp: Option<Stamp>| stamp.map(|stamp| (stamp.size, stamp.mtime, stamp.ctime, stamp.ino));
    old.merged.is_some() && old.rev == terms.rev && calm(stamp(&old)) == calm(stamp(terms))
}

/// The conflict that stands for an object: stored, and neither side changed since. The planner then plans it again as
/// the same one. What was deleted on one side and edited on the other stands until somebody decides.
pub fn standing(
    conflicts: &[Conflict],
    object: (Option<Bid>, Option<Ino>),
    server: Option<&Stamp>,
    rev: u64,
    mask: &Mask,
) -> Option<ConflictId> {
    let (bid, ino) = object;
    let about = |c: &&Conflict| (bid.is_some() && c.bid == bid) || (ino.is_some() && c.ino == ino);
    let mut found = conflicts.iter().filter(about);
    let stands = found.find(|conflict| {
        let Ok(terms) = Terms::parse(&conflict.terms) else {
            return false;
        };
        conflict.kind == ConflictKind::Deleted
            || (terms.rev == rev && unmoved(&terms, server, mask))
    });
    stands.map(|conflict| conflict.id)
}

fn unmoved(terms: &Terms, server: Option<&Stamp>, mask: &Mask) -> bool {
    match (
        terms.server.as_ref().map(|term| term.stamp.as_ref()),
        server,
    ) {
        (None, None) => true,
        (Some(Some(then)), Some(now)) => {
            matches!(
                then.compare(now, mask),
                Sameness::Same | Sameness::Unverified
            )
        }
        _ => false,
    }
}

/// Ends the conflicts that a complete look at all three trees did not find again: both sides are equal, or only one
/// differs from base by now. Unknown objects keep theirs, and so do removals that can still be chosen. Gives what ended.
pub fn drop_settled(
    txn: &WriteTxn<'_>,
    universe: &Universe,
    planned: &[Clash],
) -> Result<Vec<Conflict>, MetaError> {
    let mut ended = Vec::new();
    for conflict in txn.conflicts()? {
        let keys = keys_of(universe, &conflict);
        let again = planned.iter().any(|clash| {
            let named = clash.kind != ConflictKind::Occupied || clash.path == conflict.path;
            clash.kind == conflict.kind
                && named
                && (keys.contains(&clash.key) || clash.other.is_some_and(|key| keys.contains(&key)))
        });
        let unknown = keys
            .iter()
            .any(|key| matches!(universe.get(*key).server, Server::Unknown(_)));
        let there = keys.iter().any(|key| {
            let object = universe.get(*key);
            object.base.is_some() || object.client.is_some()
        });
        let chosen_later = conflict.kind == ConflictKind::Deleted && there;
        if !again && !unknown && !chosen_later {
            txn.drop_conflict(conflict.id)?;
            ended.push(conflict);
        }
    }
    Ok(ended)
}

fn keys_of(universe: &Universe, conflict: &Conflict) -> Vec<Key> {
    let objects = universe.objects.iter().enumerate();
    let ours = objects.filter(|(_, object)| {
        let same_bid = object.bid.is_some() && object.bid == conflict.bid;
        same_bid || (object.ino.is_some() && object.ino == conflict.ino)
    });
    ours.map(|(index, _)| Key(index)).collect()
}
