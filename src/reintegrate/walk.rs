//! Listing the server's side: every directory that is listed here, wherever the server has it now.
//!
//! A directory that was never listed here is not entered: nothing in it is known, so nothing in it can differ. But when
//! something known is missing, these are searched too: it may have been moved there.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use super::identify::{Identity, identify};
use super::takeover::{Heirs, made_on_both};
use super::trees::{BaseTree, Heard, LiveTree, ServerTree, Sid};
use super::width::each;
use crate::lower::{Answer, Lower, LowerError};
use crate::meta::{BaseNode, Node};
use crate::model::{
    Bid, Dirty, Ino, Kind, Listing, Mask, Name, Observed, RelPath, Sameness, Stamp,
};

/// Directories entered in one scan only to look for something missing.
const SEARCHED: usize = 10_000;

/// What is needed for asking.
pub(super) struct Walk<'a> {
    pub(super) lower: &'a dyn Lower,
    pub(super) base: &'a BaseTree,
    pub(super) live: &'a LiveTree,
    /// Base objects in conflict: what the server has of them is asked in full.
    pub(super) disputed: &'a HashSet<Bid>,
    /// Which live node is which base object.
    pub(super) heirs: &'a Heirs,
    pub(super) mask: Mask,
    /// Directories asked for at once.
    pub(super) lanes: usize,
    /// True when directories that are on the server and not listed here are missing in the trees.
    pub(super) closed: bool,
}

/// Listings that are held at once, for each lane.
const HELD: usize = 4;

/// What was listed, and which of it is known.
#[derive(Default)]
pub(super) struct Found {
    pub(super) server: ServerTree,
    pub(super) identity: Identity,
    /// See [`made_on_both`].
    pub(super) both: HashMap<Sid, Ino>,
}

impl Walk<'_> {
    /// Lists all that is listed here. An error: the server does not answer.
    pub(super) fn everything(&self) -> Answer<Found> {
        let next = VecDeque::from([Sid::ROOT]);
        let found = self.go_on(ServerTree::new(), next)?;
        Ok(found.unwrap_or_default())
    }

    /// Lists the rest where the server's side is known in part. `None`: directories that are not listed here have to be
    /// searched, and some of these are not in the trees ([`Walk::closed`]).
    pub(super) fn rest(&self, server: ServerTree) -> Answer<Option<Found>> {
        let all = server.all();
        let unheard = all.filter(|(sid, _)| !server.heard.contains_key(sid));
        let ours = unheard.filter(|(sid, _)| self.surely_listed(&server, *sid));
        let next = ours.map(|(sid, _)| sid).collect();
        self.go_on(server, next)
    }

    fn go_on(&self, mut server: ServerTree, mut next: VecDeque<Sid>) -> Answer<Option<Found>> {
        loop {
            while !next.is_empty() {
                let some: Vec<Sid> = next.drain(..next.len().min(self.lanes * HELD)).collect();
                for met in self.enter_all(&mut server, &some)? {
                    next.extend(
                        met.into_iter()
                            .filter(|sid| self.surely_listed(&server, *sid)),
                    );
                }
            }
            let (identity, both) = self.known(&server);
            match self.more(&mut server, &identity, &both) {
                Some(more) => next.extend(more),
                None => return Ok(None),
            }
            if next.is_empty() {
                return Ok(Some(Found {
                    server,
                    identity,
                    both,
                }));
            }
        }
    }

    /// Lists these base directories at their base places, and nothing else.
    pub(super) fn these(&self, dirs: &HashSet<Bid>) -> Answer<Found> {
        let mut server = ServerTree::new();
        // From the root downwards: what a listing of the directory above says counts more than base.
        let mut some = Vec::new();
        for bid in self.base.in_order() {
            if !dirs.contains(&bid) {
                continue;
            }
            if some.len() >= self.lanes || self.waits_for(&some, bid) {
                self.enter_all_of(&mut server, &std::mem::take(&mut some))?;
            }
            some.push(bid);
        }
        self.enter_all_of(&mut server, &some)?;
        self.made_here(server)
    }

    /// Directories made here that the server has too, inside of what was listed.
    fn made_here(&self, mut server: ServerTree) -> Answer<Found> {
        loop {
            let (identity, both) = self.known(&server);
            let unheard = |sid: &&Sid| is_dir(&server, **sid) && !server.heard.contains_key(sid);
            let mut next: Vec<Sid> = both.keys().filter(unheard).copied().collect();
            if next.is_empty() {
                return Ok(Found {
                    server,
                    identity,
                    both,
                });
            }
            next.sort_unstable();
            self.enter_all(&mut server, &next)?;
        }
    }

    /// The place of a base directory on the server as far as this scan knows; `None` when it is not there any more.
    fn seat(&self, server: &mut ServerTree, bid: Bid) -> Option<Sid> {
        if bid == Bid::ROOT {
            return Some(Sid::ROOT);
        }
        let (parent, name) = self.base.places_of(bid).next()?;
        let dir = self.seat(server, *parent)?;
        let met = server.children.get(&dir).and_then(|names| names.get(name));
        match met {
            Some(sid) => is_dir(server, *sid).then_some(*sid),
            None if server.heard.contains_key(&dir) => None,
            None => Some(server.suppose(dir, name, bid)),
        }
    }

    fn known(&self, server: &ServerTree) -> (Identity, HashMap<Sid, Ino>) {
        let identity = identify(self.base, server, &self.mask);
        let both = made_on_both(self.live, server, &identity, self.heirs);
        (identity, both)
    }

    /// True when one of these base directories lies above another one.
    fn waits_for(&self, above: &[Bid], bid: Bid) -> bool {
        let mut at = bid;
        while let Some((parent, _)) = self.base.places_of(at).next() {
            if above.contains(parent) {
                return true;
            }
            at = *parent;
        }
        false
    }

    /// Lists base directories at their places, none of them within another one.
    fn enter_all_of(&self, server: &mut ServerTree, bids: &[Bid]) -> Answer<()> {
        let seats = bids.iter().filter_map(|bid| self.seat(server, *bid));
        let seats: Vec<Sid> = seats.collect();
        self.enter_all(server, &seats).map(drop)
    }

    /// Lists directories, several at once, into the tree, and gives what was met in each.
    fn enter_all(&self, server: &mut ServerTree, dirs: &[Sid]) -> Answer<Vec<Vec<Sid>>> {
        let asked: Vec<RelPath> = dirs
            .iter()
            .map(|dir| server.get(*dir).path.clone())
            .collect();
        let silent = AtomicBool::new(false);
        let answers = each(self.lanes, &asked, |path| {
            // After a silence nothing more is asked: each would wait as long.
            if silent.load(Ordering::SeqCst) {
                return None;
            }
            let answer = self.list(path);
            if matches!(answer, Err(LowerError::Link { .. })) {
                silent.store(true, Ordering::SeqCst);
            }
            Some(answer)
        });
        let mut met = Vec::with_capacity(dirs.len());
        let heard = dirs.iter().zip(asked).zip(answers);
        for ((dir, path), answer) in heard.filter_map(|(of, answer)| Some((of, answer?))) {
            met.push(self.take_in(server, *dir, &path, answer)?);
        }
        Ok(met)
    }

    /// Puts what one directory's listing says into the tree and gives what was met there.
    fn take_in(
        &self,
        server: &mut ServerTree,
        dir: Sid,
        path: &RelPath,
        answer: Answer<Listing>,
    ) -> Answer<Vec<Sid>> {
        let listing = match answer {
            Ok(listing) => listing,
            Err(error @ LowerError::Link { .. }) => return Err(error),
            Err(error) => {
                let why = format!("{path} could not be listed on the server: {error}");
                server.heard.insert(dir, Heard::Nothing(why));
                return Ok(Vec::new());
            }
        };
        if became_another(server.stamp(dir), &listing) {
            let why = format!("{path} became another directory while it was looked at");
            server.heard.insert(dir, Heard::Nothing(why));
            return Ok(Vec::new());
        }
        server.objects[dir.0].seen = Some(listing.dir.clone());
        let unknown: BTreeMap<Name, String> = listing.unknown.into_iter().collect();
        server.heard.insert(dir, Heard::Names(unknown));
        let entries = listing.entries.iter();
        let entries = entries.filter(|entry| entry.name.bytes() != b".drift");
        Ok(entries
            .map(|entry| server.meet(dir, entry, &self.mask))
            .collect())
    }

    /// Extended attributes are asked for only when something differs that they could be part of.
    fn list(&self, path: &RelPath) -> Answer<Listing> {
        let listing = self.lower.list(path, !self.mask.ctime)?;
        let quiet = |seen: &Observed| seen.xattrs.is_some() || self.is_as_known(seen);
        let all_quiet =
            quiet(&listing.dir) && listing.entries.iter().all(|entry| quiet(&entry.seen));
        if all_quiet {
            Ok(listing)
        } else {
            self.lower.list(path, true)
        }
    }

    fn is_as_known(&self, seen: &Observed) -> bool {
        let calm = |node: &BaseNode| {
            // Its fingerprint may be base's by now, while its attributes are not.
            !self.disputed.contains(&node.bid)
                && matches!(
                    node.stamp.compare(&seen.stamp, &self.mask),
                    Sameness::Same | Sameness::Unverified
                )
        };
        let known = self.base.by_lower(seen.stamp.ino).iter();
        known.filter_map(|bid| self.base.nodes.get(bid)).any(calm)
    }

    /// True for a directory that is surely one we know, and listed here.
    fn surely_listed(&self, server: &ServerTree, sid: Sid) -> bool {
        let Some(seen) = server.stamp(sid).filter(|seen| seen.kind == Kind::Dir) else {
            return false;
        };
        self.base.by_lower(seen.ino).iter().any(|bid| {
            let known = self.base.nodes.get(bid);
            known.is_some_and(|node| {
                crate::fetch::same_identity(&node.stamp, seen, &self.mask, false)
            }) && self.listed_here(*bid)
        })
    }

    /// True when the names of a base directory are known here (it could only be removed here after listing it).
    fn listed_here(&self, bid: Bid) -> bool {
        let mut nodes = self.live.of(bid).peekable();
        nodes.peek().is_none()
            || nodes.any(|node| node.listed.is_some())
            || self.base.children.contains_key(&bid)
    }

    /// Directories still to be entered, once all that are surely known have been: those that turned out to be ours, and
    /// when there are none left, those where something missing may be. `None`: not all of these are in the trees.
    fn more(
        &self,
        server: &mut ServerTree,
        identity: &Identity,
        both: &HashMap<Sid, Ino>,
    ) -> Option<Vec<Sid>> {
        let unheard = |sid: &Sid| is_dir(server, *sid) && !server.heard.contains_key(sid);
        let is_ours = |sid: &Sid| match identity.base_of.get(sid) {
            Some(bid) => self.listed_here(*bid),
            None => both.contains_key(sid),
        };
        let left = server.all().map(|(sid, _)| sid).filter(unheard);
        let (ours, others): (Vec<Sid>, Vec<Sid>) = left.partition(is_ours);
        let enough = server.searched.len() >= SEARCHED;
        let misses =
            || self.misses_something(server, identity) || self.misses_a_name(server, identity);
        if !ours.is_empty() || enough || !misses() {
            return Some(ours);
        }
        if self.closed {
            return None;
        }
        server.searched.extend(&others);
        Some(others)
    }

    /// True when something base knows is not where it was, and nowhere else so far.
    fn misses_something(&self, server: &ServerTree, identity: &Identity) -> bool {
        self.base.places.iter().any(|(bid, places)| {
            let seen_absent = || {
                places.iter().any(|(dir, name)| {
                    let heard = identity.server_of.get(dir).map(|sid| server.heard.get(sid));
                    matches!(heard, Some(Some(Heard::Names(unknown))) if !unknown.contains_key(name))
                })
            };
            !identity.server_of.contains_key(bid) && seen_absent()
        })
    }

    /// True when a file written here has more names on the server than were met: replacing it there must not part them.
    fn misses_a_name(&self, server: &ServerTree, identity: &Identity) -> bool {
        identity.server_of.iter().any(|(bid, sid)| {
            let met = server.get(*sid);
            let names = met.seen.as_ref().map_or(0, |seen| match seen.attrs.kind {
                Kind::Dir => 0,
                _ => seen.nlink as usize,
            });
            let written = |node: &Node| node.dirty.has(Dirty::BYTES);
            names > met.places.len() && self.live.of(*bid).any(written)
        })
    }
}

fn is_dir(server: &ServerTree, sid: Sid) -> bool {
    let met = server.get(sid);
    match &met.seen {
        Some(seen) => seen.stamp.kind == Kind::Dir,
        None => true,
    }
}

/// True when the directory listed is not the one that was seen before.
pub(super) fn became_another(before: Option<&Stamp>, listing: &Listing) -> bool {
    before.is_some_and(|before| {
        before.ino != listing.dir.stamp.ino || listing.dir.stamp.kind != Kind::Dir
    })
}
