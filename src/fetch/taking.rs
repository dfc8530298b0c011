//! Taking what another look told: new names and clean objects changed in place. The rest is a question for a sync.

use std::collections::HashSet;

use super::absorb::{self, Into};
use super::pull::Pull;
use super::refresh::{Before, calm, own_differs};
use super::{FetchError, Inner, Stale, is_known};
use crate::meta::{BaseNode, Node, WriteTxn};
use crate::model::{Bid, Bytes, Dirty, Ino, Kind, Listed, Listing, Mask, Name, Observed};

/// What one look brought.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) stale: Vec<Stale>,
    pub(super) pulls: Vec<Pull>,
    /// Everything the listing says was taken or noted as a question for a sync.
    pub(super) complete: bool,
}

impl Taken {
    /// Of a listing that says nothing new.
    pub(super) fn complete() -> Taken {
        Taken {
            complete: true,
            ..Taken::default()
        }
    }
}

/// Takes what only the server changed, in one transaction.
pub(super) fn take(
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
        taken.complete = true;
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
        let there: HashSet<&Name> = listing
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
