//! Another look at a directory that is listed here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::absorb::{self, Into};
use super::flight::Job;
use super::names::directory;
use super::pull::{self, Pull};
use super::{FetchError, Inner, Stale, is_known, lock};
use crate::meta::{BaseNode, Node, WriteTxn};
use crate::model::{
    Bid, Bytes, Dirty, Ino, Kind, Listed, Listing, Mask, Name, Observed, RelPath, Sameness,
};

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

    fn note(&self, dir: Ino, at: Instant, fresh_for: Duration) {
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
    let fresh_for = inner.link.fresh_for();
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
    let worker = inner.clone();
    let flight = inner
        .flights
        .join(Job::Refresh(dir), move || look(&worker, dir));
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

/// Base as it was before the lower was asked. What a listing says is taken only for names whose base is still that one:
/// a push that ended in between must not be taken back by an older look.
struct Before {
    bid: Bid,
    path: RelPath,
    dir: BaseNode,
    names: BTreeMap<Name, BaseNode>,
    holds: u64,
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
fn own_differs(base: &BaseNode, seen: &Observed) -> bool {
    base.stamp != seen.stamp || absorb::attributes_differ(&base.attrs, &seen.attrs)
}

fn before(inner: &Inner, dir: Ino) -> Result<Option<Before>, FetchError> {
    let holds = inner.holds.ever();
    inner.tree.meta().read(|rows| {
        let Some(bid) = rows.node(dir)?.and_then(|node| node.bid) else {
            return Ok(None);
        };
        let (Some(path), Some(own)) = (rows.base_path(bid)?, rows.base(bid)?) else {
            return Ok(None);
        };
        let mut names = BTreeMap::new();
        for (name, child) in rows.base_entries(bid)? {
            if let Some(base) = rows.base(child)? {
                names.insert(name, base);
            }
        }
        Ok(Some(Before {
            bid,
            path,
            dir: own,
            names,
            holds,
        }))
    })
}

fn look(inner: &Arc<Inner>, dir: Ino) -> Result<(), FetchError> {
    let mask = inner.mask()?;
    let Some(before) = before(inner, dir)? else {
        return Ok(());
    };
    let started = Instant::now();
    let mut listing = ask(inner, &before.path, false)?;
    if wants_xattrs(&before, &listing, &mask) {
        listing = ask(inner, &before.path, true)?;
    }
    inner.remark(&before.path, &listing);
    let taken = if before.says(&listing, &mask) {
        Taken::default()
    } else {
        take(inner, dir, &before, &listing, mask)?
    };
    inner.looked.note(dir, started, inner.link.fresh_for());
    inner.stale.push(taken.stale);
    bring(inner, taken.pulls)
}

fn ask(inner: &Inner, path: &RelPath, xattrs: bool) -> Result<Listing, FetchError> {
    inner
        .lower
        .list(path, xattrs)
        .map_err(|error| inner.told("looking again", error))
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
fn calm(base: &BaseNode, seen: &Observed, mask: &Mask) -> bool {
    matches!(
        base.stamp.compare(&seen.stamp, mask),
        Sameness::Same | Sameness::Unverified
    ) && !absorb::attributes_differ(&base.attrs, &seen.attrs)
        && (seen.target.is_none() || seen.target == base.target)
}

/// What one look brought.
#[derive(Default)]
struct Taken {
    stale: Vec<Stale>,
    pulls: Vec<Pull>,
}

fn take(
    inner: &Inner,
    dir: Ino,
    before: &Before,
    listing: &Listing,
    mask: Mask,
) -> Result<Taken, FetchError> {
    inner.tree.commit(|txn| -> Result<Taken, FetchError> {
        let mut taken = Taken::default();
        let node = txn
            .node(dir)?
            .filter(|node| node.bid == Some(before.bid) && node.listed.is_some());
        let base = txn.base(before.bid)?;
        let (Some(mut node), Some(base)) = (node, base) else {
            return Ok(taken);
        };
        if inner.holds.held() || inner.holds.ever() != before.holds {
            return Ok(taken);
        }
        let root = before.bid == Bid::ROOT;
        if !root && !base.stamp.same_object(&listing.dir.stamp, &mask) {
            inner.asked.want();
            return Ok(taken);
        }
        let mut look = Look {
            inner,
            txn,
            before,
            mask,
            taken: &mut taken,
        };
        look.own(&mut node, base, &listing.dir)?;
        for entry in &listing.entries {
            look.entry(&mut node, entry)?;
        }
        look.gone(listing)?;
        Ok(taken)
    })
}

/// One look being taken.
struct Look<'a, 't> {
    inner: &'a Inner,
    txn: &'a WriteTxn<'t>,
    before: &'a Before,
    mask: Mask,
    taken: &'a mut Taken,
}

impl Look<'_, '_> {
    /// The directory's own attributes.
    fn own(
        &mut self,
        node: &mut Node,
        mut base: BaseNode,
        seen: &Observed,
    ) -> Result<(), FetchError> {
        if !own_differs(&base, seen) {
            return Ok(());
        }
        let shown = node.clone();
        if absorb::take_dir(node, &mut base, seen) {
            self.txn.put_base(&base)?;
            if *node != shown {
                self.txn.put_node(node)?;
                self.taken.stale.push(Stale::Node(node.ino));
            }
        } else {
            self.inner.asked.want();
        }
        Ok(())
    }

    fn entry(&mut self, dir: &mut Node, entry: &Listed) -> Result<(), FetchError> {
        let now = self.txn.base_entry(self.before.bid, &entry.name)?;
        match (self.before.names.get(&entry.name), now) {
            (None, None) => self.appeared(dir, entry),
            (Some(base), Some(bid)) if base.bid == bid => self.known(entry, base),
            // Base moved while the server was asked: the next look is newer.
            _ => Ok(()),
        }
    }

    /// A name base does not have.
    fn appeared(&mut self, dir: &mut Node, entry: &Listed) -> Result<(), FetchError> {
        if absorb::reserved(&entry.name) {
            return Ok(());
        }
        let taken_here = self.txn.entry(dir.ino, &entry.name)?.is_some();
        if taken_here || is_known(self.txn, &entry.seen.stamp, &self.mask)?.is_some() {
            self.ask(&entry.name, Some(&entry.seen));
            return Ok(());
        }
        let mut into = Into {
            bid: self.before.bid,
            node: dir,
            mask: self.mask,
        };
        let ino = absorb::add(self.txn, &mut into, entry, None)?;
        self.txn.put_node(into.node)?;
        let path = self.before.path.join(&entry.name);
        absorb::record(self.txn, ino, path, "new on the server")?;
        let name = Stale::Name(dir.ino, entry.name.clone());
        self.taken.stale.extend([name, Stale::Node(dir.ino)]);
        Ok(())
    }

    /// A name base has: nothing, a change in place that can be taken, or a question for a sync.
    fn known(&mut self, entry: &Listed, before: &BaseNode) -> Result<(), FetchError> {
        let seen = &entry.seen;
        if calm(before, seen, &self.mask) {
            return Ok(());
        }
        let Some(mut base) = self.txn.base(before.bid)? else {
            return Ok(());
        };
        if base.stamp != before.stamp {
            return Ok(());
        }
        let node = self.sole_node(base.bid)?;
        let Some(mut node) = node.filter(|_| base.stamp.same_object(&seen.stamp, &self.mask))
        else {
            self.ask(&entry.name, Some(seen));
            return Ok(());
        };
        if node.attrs.kind == Kind::Dir {
            if absorb::take_dir(&mut node, &mut base, seen) {
                return self.store(&node, &base);
            }
            self.ask(&entry.name, Some(seen));
            return Ok(());
        }
        if !node.dirty.is_clean() {
            self.ask(&entry.name, Some(seen));
            return Ok(());
        }
        if node.bytes == Bytes::Here && node.attrs.kind == Kind::File {
            self.taken.pulls.push(Pull {
                ino: node.ino,
                place: (self.before.bid, entry.name.clone()),
                path: self.before.path.join(&entry.name),
                base,
                seen: seen.stamp,
            });
            return Ok(());
        }
        self.changed(node, seen, &base)
    }

    /// A clean object without bytes here becomes what the server has.
    fn changed(
        &mut self,
        mut node: Node,
        seen: &Observed,
        base: &BaseNode,
    ) -> Result<(), FetchError> {
        let base = BaseNode {
            xattrs: seen.xattrs.clone().or(base.xattrs.clone()),
            ..absorb::base_of(base.bid, seen)
        };
        node.attrs = seen.attrs;
        node.target = seen.target.clone();
        if let Some(xattrs) = &base.xattrs {
            node.xattrs = xattrs.clone();
        }
        self.store(&node, &base)
    }

    fn store(&mut self, node: &Node, base: &BaseNode) -> Result<(), FetchError> {
        let mut node = node.clone();
        node.rev += 1;
        self.txn.put_base(base)?;
        self.txn.put_node(&node)?;
        self.taken.stale.push(Stale::Node(node.ino));
        Ok(())
    }

    /// The one live node with a name that descends from a base object.
    fn sole_node(&self, bid: Bid) -> Result<Option<Node>, FetchError> {
        let mut named = Vec::new();
        for ino in self.txn.nodes_of(bid)? {
            named.extend(self.txn.node(ino)?.filter(|node| node.nlink > 0));
        }
        let one = (named.len() == 1).then(|| named.remove(0));
        Ok(one.filter(|node| !node.dirty.has(Dirty::NAMES)))
    }

    /// Names base has and the server does not: a sync finds out whether they were removed or moved.
    fn gone(&mut self, listing: &Listing) -> Result<(), FetchError> {
        let there: std::collections::HashSet<&Name> = listing
            .entries
            .iter()
            .map(|entry| &entry.name)
            .chain(listing.unknown.iter().map(|(name, _)| name))
            .collect();
        for (name, base) in &self.before.names {
            let still = self.txn.base_entry(self.before.bid, name)? == Some(base.bid);
            if still && !there.contains(name) {
                self.ask(name, None);
            }
        }
        Ok(())
    }

    fn ask(&self, name: &Name, seen: Option<&Observed>) {
        self.inner
            .asked
            .differs(self.before.bid, name, seen.map(|seen| seen.stamp));
    }
}

/// Brings changed bytes: small ones before the callers are answered, the rest each in a flight of its own.
fn bring(inner: &Arc<Inner>, pulls: Vec<Pull>) -> Result<(), FetchError> {
    let mut left = AT_ONCE;
    for file in pulls {
        if file.seen.size <= left {
            left -= file.seen.size;
            pull::run(inner, &file)?;
        } else {
            let worker = inner.clone();
            inner
                .flights
                .join(Job::Pull(file.ino), move || pull::run(&worker, &file));
        }
    }
    Ok(())
}
