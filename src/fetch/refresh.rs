//! Another look at a directory that is listed here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::absorb;
use super::flight::{Flight, Job};
use super::names::directory;
use super::pull::{self, Pull};
use super::taking::{Taken, take};
use super::{FetchError, Inner, Stale, filling, lock};
use crate::meta::BaseNode;
use crate::model::{Bid, Ino, Kind, Listing, Mask, Name, Observed, RelPath, Sameness};

/// The longest a caller waits for another look; then memory answers.
const LONGEST: Duration = Duration::from_secs(1);
/// New looks that may be under way while the lower is slow.
const SLOW_LOOKS: usize = 16;
/// So many bytes of changed files are brought before the callers of a refresh are answered; the rest comes behind.
const AT_ONCE: u64 = 8 << 20;
/// Looks remembered before old ones are forgotten.
const MANY: usize = 50_000;

/// When directories were last looked at.
#[derive(Default)]
pub(super) struct Looked {
    at: Mutex<HashMap<Ino, Instant>>,
}

impl Looked {
    fn is_fresh(&self, dir: Ino, fresh_for: Duration) -> bool {
        let at = lock(&self.at).get(&dir).copied();
        at.is_some_and(|at| at.elapsed() < fresh_for)
    }

    pub(super) fn note(&self, dir: Ino, at: Instant, fresh_for: Duration) {
        let mut looked = lock(&self.at);
        if looked.len() >= MANY {
            looked.retain(|_, at| at.elapsed() < fresh_for);
        }
        looked.insert(dir, at);
    }

    pub(super) fn clear(&self) {
        lock(&self.at).clear();
    }
}

/// See [`super::Fetch::refresh`].
pub(super) fn refresh(inner: &Arc<Inner>, dir: Ino, deadline: Instant) -> Result<(), FetchError> {
    let fresh_for = inner.fresh_for(dir);
    if !inner.link.may_ask() || inner.holds.held() || inner.looked.is_fresh(dir, fresh_for) {
        return Ok(());
    }
    let node = directory(inner, dir)?;
    if node.listed.is_none() || node.bid.is_none() {
        return Ok(());
    }
    let slow = inner.flights.slow();
    if slow && inner.flights.under_way() >= SLOW_LOOKS {
        return Ok(());
    }
    let flight = begin(inner, dir);
    // One caller pays for a slow server; those after it are answered from memory until it answers again.
    if slow {
        return Ok(());
    }
    match inner
        .flights
        .wait(&flight, deadline.min(Instant::now() + LONGEST))
    {
        Some(Err(FetchError::Tree(error))) => Err(error.into()),
        // Memory answers; the link was told.
        Some(_) | None => Ok(()),
    }
}

/// Begins a look, or joins the one under way.
pub(super) fn begin(inner: &Arc<Inner>, dir: Ino) -> Arc<Flight> {
    let worker = inner.clone();
    inner.flights.join(Job::Refresh(dir), move || {
        let looked = look(&worker, dir);
        if !matches!(looked, Ok(true)) {
            worker.watching.missed(dir);
        }
        looked.map(drop)
    })
}

/// Base as it was before the lower was asked. What a listing says is taken only for names whose base is still that one:
/// a push that ended in between must not be taken back by an older look.
pub(super) struct Before {
    pub(super) bid: Bid,
    pub(super) path: RelPath,
    dir: BaseNode,
    pub(super) names: BTreeMap<Name, BaseNode>,
    pub(super) holds: u64,
    /// The directories in it and where they are on the server.
    dirs: Vec<(Ino, RelPath)>,
}

impl Before {
    /// True when a listing says nothing that base does not: most looks end here, without a transaction.
    fn says(&self, listing: &Listing, mask: &Mask) -> bool {
        let brought = |name: &Name| !absorb::reserved(name);
        let there = listing.entries.iter().filter(|entry| brought(&entry.name));
        let known = listing.unknown.iter().map(|(name, _)| name);
        let known = known.filter(|name| self.names.contains_key(name)).count();
        let mut same = 0;
        for entry in there {
            match self.names.get(&entry.name) {
                Some(base) if calm(base, &entry.seen, mask) => same += 1,
                _ => return false,
            }
        }
        same + known == self.names.len() && !own_differs(&self.dir, &listing.dir)
    }
}

/// True when a directory's own attributes are not what base says.
pub(super) fn own_differs(base: &BaseNode, seen: &Observed) -> bool {
    base.stamp != seen.stamp || absorb::attributes_differ(&base.attrs, &seen.attrs)
}

fn before(inner: &Inner, dir: Ino) -> Result<Option<Before>, FetchError> {
    let holds = inner.holds.ever();
    inner.tree.meta().read(|rows| {
        let Some(bid) = rows.node(dir)?.and_then(|node| node.bid) else {
            return Ok(None);
        };
        let (Some(path), Some(own)) = (inner.elsewhere.path(rows, bid)?, rows.base(bid)?) else {
            return Ok(None);
        };
        let (mut names, mut dirs) = (BTreeMap::new(), Vec::new());
        for (name, child) in rows.base_entries(bid)? {
            if let Some(base) = rows.base(child)? {
                if base.attrs.kind == Kind::Dir {
                    let live = rows.nodes_of(child)?.into_iter().next();
                    dirs.extend(live.map(|ino| (ino, path.join(&name))));
                }
                names.insert(name, base);
            }
        }
        Ok(Some(Before {
            bid,
            path,
            dir: own,
            names,
            holds,
            dirs,
        }))
    })
}

/// Gives true when everything the server says of `dir` is known here now, or noted as a question for a sync.
fn look(inner: &Arc<Inner>, dir: Ino) -> Result<bool, FetchError> {
    let mask = inner.mask()?;
    let Some(before) = before(inner, dir)? else {
        return Ok(false);
    };
    // Watched first: what changes after the listing was read is told.
    let here = (dir, &before.path);
    let placed = inner.watching.place(&*inner.lower, here, &before.dirs);
    let started = Instant::now();
    let mut listing = ask(inner, &before.path, false)?;
    if wants_xattrs(&before, &listing, &mask) {
        listing = ask(inner, &before.path, true)?;
    }
    ask_own_xattrs(inner, &before, &mut listing)?;
    inner.remark(&before.path, &listing);
    let taken = if before.says(&listing, &mask) {
        Taken::complete()
    } else {
        take(inner, dir, &before, &listing, mask)?
    };
    inner.looked.note(dir, started, inner.link.fresh_for());
    for stale in &taken.stale {
        if let Stale::Node(ino) = stale {
            filling::follow(inner, *ino)?;
        }
    }
    inner.stale.push(taken.stale);
    bring(inner, dir, taken.pulls)?;
    if let Some(placed) = placed.filter(|_| taken.complete) {
        let inside: Vec<Ino> = before.dirs.iter().map(|(ino, _)| *ino).collect();
        inner.watching.looked(dir, &placed, &listing, &inside);
    }
    Ok(taken.complete)
}

fn ask(inner: &Inner, path: &RelPath, xattrs: bool) -> Result<Listing, FetchError> {
    inner
        .lower
        .list(path, xattrs)
        .map_err(|error| inner.told("looking again", error))
}

/// A directory's own extended attributes, when it is not as base says: taking the rest without them would make it look
/// compared.
fn ask_own_xattrs(inner: &Inner, before: &Before, listing: &mut Listing) -> Result<(), FetchError> {
    if listing.dir.xattrs.is_some() || !own_differs(&before.dir, &listing.dir) {
        return Ok(());
    }
    let looked = inner.lower.look(&before.path, true);
    let looked = looked.map_err(|error| inner.told("looking again", error))?;
    // Newer than the listing's stamp at worst, which the next look then finds changed.
    let same = looked.filter(|seen| seen.stamp.ino == listing.dir.stamp.ino);
    listing.dir.xattrs = same.and_then(|seen| seen.xattrs);
    Ok(())
}

/// Extended attributes cost a round trip each on some lowers, so they are asked for only when something is new, or when
/// the lower has no ctime that would tell.
fn wants_xattrs(before: &Before, listing: &Listing, mask: &Mask) -> bool {
    listing
        .entries
        .iter()
        .any(|entry| match before.names.get(&entry.name) {
            None => !absorb::reserved(&entry.name),
            Some(base) => !calm(base, &entry.seen, mask),
        })
}

/// True when nothing tells the server's object from base.
pub(super) fn calm(base: &BaseNode, seen: &Observed, mask: &Mask) -> bool {
    matches!(
        base.stamp.compare(&seen.stamp, mask),
        Sameness::Same | Sameness::Unverified
    ) && !absorb::attributes_differ(&base.attrs, &seen.attrs)
        && (seen.target.is_none() || seen.target == base.target)
}

/// Brings changed bytes: small ones before the callers are answered, the rest each in a flight of its own.
fn bring(inner: &Arc<Inner>, dir: Ino, pulls: Vec<Pull>) -> Result<(), FetchError> {
    let mut left = AT_ONCE;
    for file in pulls {
        if file.seen.size <= left {
            left -= file.seen.size;
            pull::run(inner, &file)?;
        } else {
            let worker = inner.clone();
            inner.flights.join(Job::Pull(file.ino), move || {
                let pulled = pull::run(&worker, &file);
                if pulled.is_err() {
                    worker.watching.doubt(dir);
                }
                pulled
            });
        }
    }
    Ok(())
}
