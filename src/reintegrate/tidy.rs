//! After the steps: what is equal now is clean now. A dirty mark says "may differ", so a crash before this loses nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::job::Job;
use super::trouble::Stop;
use super::universe::{Key, Server};
use crate::meta::{BaseNode, Node, Rows, WriteTxn};
use crate::model::{Bid, Dirty, Ino, Kind, Name, Problem, Xattrs};

impl Job<'_> {
    /// Clears marks, lists what was made whole, tells the kernel. Gives whether another round is worth it, and what is
    /// left if there is none.
    pub fn tidy_up(mut self) -> Result<(bool, Vec<Problem>), Stop> {
        let stale = std::mem::take(&mut self.stale);
        if !stale.is_empty() {
            self.hand.on.fetch.push_stale(stale);
        }
        let lent = std::mem::take(&mut self.lent);
        if let Err(error) = self.hand.on.tree.give_back(lent) {
            tracing::warn!(%error, "copies that were sent stay until the next sync");
        }
        let holds = std::mem::take(&mut self.holds);
        if !holds.is_empty() {
            self.hand.on.commit("holds", |txn| {
                for id in holds {
                    txn.drop_intent(id)?;
                }
                Ok(())
            })?;
        }
        if self.hand.report.unreachable.is_none() {
            self.take_directory_times()?;
        }
        self.list_whole()?;
        let touched = std::mem::take(&mut self.touched);
        self.hand.on.clear_marks(touched)?;
        Ok((self.again && !self.hand.halt, self.later))
    }

    /// A directory that came in this round, with every name the server has in it: its names are known from now on.
    fn list_whole(&mut self) -> Result<(), Stop> {
        let mut came: BTreeMap<Key, Vec<Name>> = BTreeMap::new();
        for (index, object) in self.universe.objects.iter().enumerate() {
            let fresh = object.listed && object.client.is_none();
            if fresh && self.world.get(Key(index)).ino.is_some() {
                came.insert(Key(index), Vec::new());
            }
        }
        if came.is_empty() {
            return Ok(());
        }
        for object in &self.universe.objects {
            let Server::Present(version) = &object.server else {
                continue;
            };
            for place in &version.places {
                if let Some(names) = came.get_mut(&place.parent) {
                    names.push(place.name.clone());
                }
            }
        }
        self.hand.on.commit("listed", |txn| {
            for (key, names) in &came {
                if let Some(ino) = self.world.get(*key).ino {
                    list_if_whole(txn, ino, names)?;
                }
            }
            Ok(())
        })
    }

    /// A directory whose entries we changed on the server has a new mtime there. Directories show the server's: base and
    /// live take it. The stamp stays, because somebody else may have added a name in the same instant.
    fn take_directory_times(&mut self) -> Result<(), Stop> {
        for key in std::mem::take(&mut self.filled) {
            let standing = self.world.get(key);
            let (Some(bid), ino) = (standing.bid, standing.ino) else {
                continue;
            };
            let Ok(path) = self.world.server_path(key) else {
                continue;
            };
            let seen = match self.hand.on.lower.look(&path, false) {
                Ok(Some(seen)) if seen.stamp.kind == Kind::Dir => seen,
                Ok(_) => continue,
                Err(error) => match Stop::from(error) {
                    Stop::Link(why) => {
                        self.hand.on.link.failed(&why);
                        self.hand.report.unreachable = Some(why);
                        return Ok(());
                    }
                    stop @ Stop::Fatal(_) => return Err(stop),
                    _ => continue,
                },
            };
            self.hand.on.commit("directory-times", |txn| {
                super::basing::change(txn, bid, |row| row.attrs.mtime = seen.attrs.mtime)?;
                if let Some(mut node) = ino.map(|ino| txn.node(ino)).transpose()?.flatten() {
                    node.attrs.mtime = seen.attrs.mtime;
                    txn.put_node(&node)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl super::run::Reintegrate {
    fn clear_marks(&self, touched: BTreeSet<Ino>) -> Result<(), Stop> {
        let before: Vec<Ino> = self.read(|rows| {
            let mut dirty = Vec::new();
            for ino in touched {
                if rows.node(ino)?.is_some_and(|node| !node.dirty.is_clean()) {
                    dirty.push(ino);
                }
            }
            Ok::<_, Stop>(dirty)
        })?;
        if before.is_empty() {
            return Ok(());
        }
        self.commit("clean", |txn| {
            for ino in before {
                clear(txn, ino)?;
            }
            Ok(())
        })
    }
}

fn list_if_whole(txn: &WriteTxn<'_>, ino: Ino, names: &[Name]) -> Result<(), Stop> {
    let Some(mut node) = txn.node(ino)?.filter(|node| node.listed.is_none()) else {
        return Ok(());
    };
    for name in names {
        if txn.entry(ino, name)?.is_none() {
            return Ok(());
        }
    }
    node.listed = Some(txn.epoch()?);
    Ok(txn.put_node(&node)?)
}

/// Clears the marks of a node that base proves unfounded. BYTES is not among them: only comparing bytes clears it.
fn clear(txn: &WriteTxn<'_>, ino: Ino) -> Result<(), Stop> {
    let Some(mut node) = txn.node(ino)? else {
        return Ok(());
    };
    let Some(bid) = node.bid else { return Ok(()) };
    let Some(base) = txn.base(bid)? else {
        return Ok(());
    };
    let mut dirty = node.dirty;
    if same_attributes(&node, &base) {
        dirty = dirty.without(Dirty::ATTRS);
    }
    if same_xattrs(&node.xattrs, &base) {
        dirty = dirty.without(Dirty::XATTRS);
    }
    if dirty.has(Dirty::NAMES) && same_names(txn, ino, bid)? {
        dirty = dirty.without(Dirty::NAMES);
    }
    if dirty.has(Dirty::ENTRIES) && same_entries(txn, ino, bid)? {
        dirty = dirty.without(Dirty::ENTRIES);
    }
    if dirty == node.dirty {
        return Ok(());
    }
    node.dirty = dirty;
    Ok(txn.put_node(&node)?)
}

/// True when mode, owner, group and (of files) mtime are base's. A directory's mtime is the server's business.
pub fn same_attributes(node: &Node, base: &BaseNode) -> bool {
    let (a, b) = (&node.attrs, &base.attrs);
    let timed = node.attrs.kind == Kind::File && !node.dirty.has(Dirty::BYTES);
    (a.mode, a.uid, a.gid) == (b.mode, b.uid, b.gid) && (!timed || a.mtime == b.mtime)
}

/// True when the extended attributes that travel are base's.
pub fn same_xattrs(live: &Xattrs, base: &BaseNode) -> bool {
    fn travelling(all: &Xattrs) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        all.iter()
            .filter(|(name, _)| !name.starts_with(b"security."))
    }
    match &base.xattrs {
        Some(base) => travelling(live).eq(travelling(base)),
        None => live.is_empty(),
    }
}

/// True when the node's names are base's. A name in a directory base does not know is not.
fn same_names(rows: &Rows<'_>, ino: Ino, bid: Bid) -> Result<bool, Stop> {
    let mut live: BTreeSet<(Bid, Name)> = BTreeSet::new();
    for (parent, name) in rows.names(ino)? {
        match rows.node(parent)?.and_then(|parent| parent.bid) {
            Some(parent) => live.insert((parent, name)),
            None => return Ok(false),
        };
    }
    let base: BTreeSet<(Bid, Name)> = rows.base_places(bid)?.into_iter().collect();
    Ok(live == base)
}

/// True when the directory's entries are base's, object by object.
fn same_entries(rows: &Rows<'_>, dir: Ino, bid: Bid) -> Result<bool, Stop> {
    let base = rows.base_entries(bid)?;
    let mut count = 0;
    let mut after = crate::model::Cookie(0);
    loop {
        let some = rows.entries(dir, after, 1000)?;
        let Some(last) = some.last() else { break };
        after = last.cookie;
        count += some.len();
    }
    if count != base.len() {
        return Ok(false);
    }
    for (name, child) in base {
        let live = rows.entry(dir, &name)?;
        let Some(entry) = live else { return Ok(false) };
        if rows.node(entry.ino)?.and_then(|node| node.bid) != Some(child) {
            return Ok(false);
        }
    }
    Ok(true)
}
