//! What the server shows otherwise than base: its directories are listed one after the other and compared with the rows of
//! each, and only what differs is kept. Of all the rest one bit is.
//!
//! Only directories that are surely ours are entered: still at their place, and still the same. What moved, or
//! was replaced, is entered afterwards by [`super::walk`], which holds everything it meets.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::sameness::Match;
use super::tokens::{self, Halt};
use super::walk::became_another;
use super::width::each;
use crate::lower::{Lower, LowerError};
use crate::meta::{Meta, MetaError, Rows};
use crate::model::{Bid, Kind, Listed, Listing, Mask, Name, Observed, RelPath};

/// Directories asked for in one go, for each lane.
const HELD: usize = 4;

/// A set of base objects. Their numbers are given one after the other, so a bit each is least.
#[derive(Default)]
pub(super) struct Bids(Vec<u64>);

impl Bids {
    fn at(bid: Bid) -> (usize, u64) {
        ((bid.0 / 64) as usize, 1 << (bid.0 % 64))
    }

    pub(super) fn insert(&mut self, bid: Bid) {
        let (word, bit) = Bids::at(bid);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    pub(super) fn has(&self, bid: Bid) -> bool {
        let (word, bit) = Bids::at(bid);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }
}

/// What was found.
#[derive(Default)]
pub(super) struct Sifted {
    /// Base objects that are on the server at their place, as base says.
    pub(super) quiet: Bids,
    /// Directories that were listed.
    pub(super) heard: Bids,
    /// Directories that could not be listed, with the reason.
    pub(super) silent: HashMap<Bid, String>,
    /// Names in listed directories that nobody could look at.
    pub(super) unknown: HashMap<Bid, BTreeMap<Name, String>>,
    /// Listed directories that are at their place and not as base says, as their own listing showed them. The root always.
    pub(super) own: HashMap<Bid, Observed>,
    /// Entries that are not as base says, by directory in the order they were met.
    pub(super) differing: Vec<(Bid, Vec<Differing>)>,
    /// What base has in listed directories and is not quiet.
    pub(super) missing: Vec<Bid>,
    /// Quiet directories whose names are not known here.
    pub(super) closed: Vec<Bid>,
}

/// An entry that is not as base says.
pub(super) struct Differing {
    pub(super) entry: Listed,
    /// The base directory it surely is.
    pub(super) dir: Option<Bid>,
}

/// Where to look, and how.
pub(super) struct Sift<'a> {
    pub(super) meta: &'a Meta,
    pub(super) lower: &'a dyn Lower,
    pub(super) mask: Mask,
    /// Base objects in conflict: what the server has of them is asked in full.
    pub(super) disputed: &'a HashSet<Bid>,
    /// Base objects with more names than one: these are never quiet, as one listing does not show all of them.
    pub(super) linked: &'a HashSet<Bid>,
    /// Directories asked for at once.
    pub(super) lanes: usize,
    /// Rows are read by one lane at a time: each reader of the database has memory of its own.
    pub(super) reading: Mutex<()>,
}

/// A directory to be listed.
struct Dir {
    bid: Bid,
    path: RelPath,
    /// As the listing above showed it.
    seen: Option<Observed>,
}

/// One directory's listing beside its rows.
struct Compared {
    /// Its own look; `Err`: it could not be listed, for this reason.
    dir: Result<(Observed, Vec<(Name, String)>), String>,
    /// True when it is as base says.
    calm: bool,
    quiet: Vec<Bid>,
    differing: Vec<Differing>,
    missing: Vec<Bid>,
    closed: Vec<Bid>,
    below: Vec<Dir>,
}

impl Sift<'_> {
    /// Lists every directory that is listed here and surely ours.
    pub(super) fn run(&self) -> Result<Sifted, Halt> {
        let mut sifted = Sifted::default();
        let root = Dir {
            bid: Bid::ROOT,
            path: RelPath::root(),
            seen: None,
        };
        let mut next = VecDeque::from([root]);
        while !next.is_empty() {
            let some: Vec<Dir> = next.drain(..next.len().min(self.lanes * HELD)).collect();
            let silent = AtomicBool::new(false);
            let compared = each(self.lanes, &some, |dir| {
                // After a silence nothing more is asked: each would wait as long.
                if silent.load(Ordering::SeqCst) {
                    return None;
                }
                let compared = self.compare(dir);
                if matches!(compared, Err(Halt::Link(_))) {
                    silent.store(true, Ordering::SeqCst);
                }
                Some(compared)
            });
            for (dir, compared) in some.into_iter().zip(compared) {
                let Some(compared) = compared else { continue };
                next.extend(sifted.take_in(dir.bid, compared?));
            }
        }
        Ok(sifted)
    }

    fn compare(&self, dir: &Dir) -> Result<Compared, Halt> {
        let listing = match self.lower.list(&dir.path, !self.mask.ctime) {
            Ok(listing) => listing,
            Err(error) => return self.not_listed(dir, error),
        };
        let (matches, missing) = self.beside(dir.bid, &listing)?;
        if self.is_calm(dir.bid, &listing, &matches)? {
            return self.sort_out(dir, listing, matches, missing);
        }
        // Extended attributes are asked for only when something differs that they could be part of.
        let listing = match self.lower.list(&dir.path, true) {
            Ok(listing) => listing,
            Err(error) => return self.not_listed(dir, error),
        };
        let (matches, missing) = self.beside(dir.bid, &listing)?;
        self.sort_out(dir, listing, matches, missing)
    }

    fn not_listed(&self, dir: &Dir, error: LowerError) -> Result<Compared, Halt> {
        if matches!(error, LowerError::Link { .. }) {
            return Err(Halt::Link(error));
        }
        let path = &dir.path;
        self.nothing(
            dir,
            format!("{path} could not be listed on the server: {error}"),
        )
    }

    /// Nothing was learned of what is in a directory.
    fn nothing(&self, dir: &Dir, why: String) -> Result<Compared, Halt> {
        let mut missing = Vec::new();
        self.read(|rows| rows.each_base_child(dir.bid, |_, base| missing.push(base.bid)))?;
        Ok(Compared {
            dir: Err(why),
            calm: true,
            quiet: Vec::new(),
            differing: Vec::new(),
            missing,
            closed: Vec::new(),
            below: Vec::new(),
        })
    }

    fn read<T>(&self, work: impl FnOnce(&Rows<'_>) -> Result<T, MetaError>) -> Result<T, Halt> {
        let _one = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        self.meta
            .read(work)
            .map_err(|error| Halt::Tree(tokens::rows(error)))
    }

    /// What base has at the name of each entry, and what it has besides.
    fn beside(&self, dir: Bid, listing: &Listing) -> Result<(Vec<Option<Match>>, Vec<Bid>), Halt> {
        let entries = listing.entries.iter().enumerate();
        let at: HashMap<&Name, usize> = entries.map(|(at, entry)| (&entry.name, at)).collect();
        let mut matches: Vec<Option<Match>> = listing.entries.iter().map(|_| None).collect();
        let mut missing = Vec::new();
        self.read(|rows| {
            rows.each_base_child(dir, |name, base| match at.get(&name) {
                Some(at) => {
                    matches[*at] = Some(self.compare_one(&base, &listing.entries[*at].seen))
                }
                None => missing.push(base.bid),
            })
        })?;
        Ok((matches, missing))
    }

    /// True when no extended attributes have to be asked for.
    fn is_calm(
        &self,
        dir: Bid,
        listing: &Listing,
        matches: &[Option<Match>],
    ) -> Result<bool, Halt> {
        let entries = listing.entries.iter().zip(matches);
        let open = entries.filter(|(entry, matched)| {
            let calm = matched.as_ref().is_some_and(|matched| matched.calm);
            entry.seen.xattrs.is_none() && !calm
        });
        let open: Vec<&Observed> = open.map(|(entry, _)| &entry.seen).collect();
        self.read(|rows| {
            let own = rows.base(dir)?;
            let known = |seen: &Observed| {
                own.as_ref()
                    .is_some_and(|base| self.is_calm_beside(base, seen))
            };
            if listing.dir.xattrs.is_none()
                && !known(&listing.dir)
                && !self.is_as_known(rows, &listing.dir)?
            {
                return Ok(false);
            }
            for seen in open {
                if !self.is_as_known(rows, seen)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn sort_out(
        &self,
        dir: &Dir,
        listing: Listing,
        matches: Vec<Option<Match>>,
        missing: Vec<Bid>,
    ) -> Result<Compared, Halt> {
        if became_another(dir.seen.as_ref().map(|seen| &seen.stamp), &listing) {
            let path = &dir.path;
            let why = format!("{path} became another directory while it was looked at");
            return self.nothing(dir, why);
        }
        let (base, listed) = self.read(|rows| {
            let mut listed = HashSet::new();
            for (entry, matched) in listing.entries.iter().zip(&matches) {
                if let Some(bid) = surely_ours(entry, matched.as_ref())
                    && listed_here(rows, bid)?
                {
                    listed.insert(bid);
                }
            }
            Ok((rows.base(dir.bid)?, listed))
        })?;
        let calm = base.is_some_and(|base| {
            !self.disputed.contains(&dir.bid) && self.is_as_base(&base, &listing.dir)
        });
        let mut compared = Compared {
            dir: Ok((listing.dir, listing.unknown)),
            calm,
            quiet: Vec::new(),
            differing: Vec::new(),
            missing,
            closed: Vec::new(),
            below: Vec::new(),
        };
        for (entry, matched) in listing.entries.into_iter().zip(matches) {
            if entry.name.bytes() == b".drift" {
                compared.missing.extend(matched.map(|matched| matched.bid));
            } else {
                sort_one(dir, entry, matched, &listed, &mut compared);
            }
        }
        Ok(compared)
    }
}

/// The base directory an entry surely is.
fn surely_ours(entry: &Listed, matched: Option<&Match>) -> Option<Bid> {
    let is_dir = entry.seen.stamp.kind == Kind::Dir;
    let ours = matched.filter(|matched| matched.sure && is_dir);
    ours.map(|matched| matched.bid)
}

/// `listed`: directories in this one whose names are known here.
fn sort_one(
    dir: &Dir,
    entry: Listed,
    matched: Option<Match>,
    listed: &HashSet<Bid>,
    compared: &mut Compared,
) {
    let ours = surely_ours(&entry, matched.as_ref());
    let quiet = matched.as_ref().is_some_and(|matched| matched.quiet);
    if let Some(bid) = ours {
        if listed.contains(&bid) {
            compared.below.push(Dir {
                bid,
                path: dir.path.join(&entry.name),
                seen: Some(entry.seen.clone()),
            });
        } else if quiet {
            compared.closed.push(bid);
        }
    }
    match matched {
        Some(matched) if quiet => compared.quiet.push(matched.bid),
        other => {
            compared.missing.extend(other.map(|matched| matched.bid));
            compared.differing.push(Differing { entry, dir: ours });
        }
    }
}

impl Sifted {
    /// Keeps what one directory told, and gives the directories in it.
    fn take_in(&mut self, dir: Bid, compared: Compared) -> Vec<Dir> {
        self.missing.extend(compared.missing);
        self.closed.extend(compared.closed);
        compared
            .quiet
            .into_iter()
            .for_each(|bid| self.quiet.insert(bid));
        if !compared.differing.is_empty() {
            self.differing.push((dir, compared.differing));
        }
        match compared.dir {
            Err(why) => {
                self.silent.insert(dir, why);
            }
            Ok((seen, unknown)) => {
                self.heard.insert(dir);
                if !unknown.is_empty() {
                    self.unknown.insert(dir, unknown.into_iter().collect());
                }
                if !compared.calm || dir == Bid::ROOT {
                    self.own.insert(dir, seen);
                    self.missing.push(dir);
                }
            }
        }
        compared.below
    }
}

/// True when the names of a base directory are known here (it could only be removed here after listing it).
fn listed_here(rows: &Rows<'_>, bid: Bid) -> Result<bool, MetaError> {
    if rows.base_has_children(bid)? {
        return Ok(true);
    }
    let mut named = false;
    for ino in rows.nodes_of(bid)? {
        if let Some(node) = rows.node(ino)?.filter(|node| node.nlink > 0) {
            if node.listed.is_some() {
                return Ok(true);
            }
            named = true;
        }
    }
    Ok(!named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_numbers() {
        let mut set = Bids::default();
        for bid in [1, 63, 64, 1000] {
            assert!(!set.has(Bid(bid)));
            set.insert(Bid(bid));
        }
        let found: Vec<u64> = (0..2000).filter(|bid| set.has(Bid(*bid))).collect();
        assert_eq!(found, [1, 63, 64, 1000]);
    }
}
