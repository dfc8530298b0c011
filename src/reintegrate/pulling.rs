//! Client steps that change names and attributes: one transaction each, base in the same one.
//!
//! Every step looks first whether the live tree is still as the plan saw it; if a program was faster, the step is left
//! for the next round.

use super::basing;
use super::intents::At;
use super::job::Job;
use super::steps::{Action, Step};
use super::trouble::Stop;
use super::universe::{Key, Place, Version};
use crate::fetch::Stale;
use crate::lower::SetAttrs;
use crate::meta::{BaseNode, Node, WriteTxn};
use crate::model::{Attrs, Bid, Bytes, Dirty, Ino, Kind, Name, RelPath, Stamp, Xattrs};

fn faster() -> Stop {
    Stop::Later("a program changed it here".into())
}

impl Job<'_> {
    /// Carries out a step on the live tree.
    pub fn pull(&mut self, step: &Step) -> Result<(), Stop> {
        match &step.action {
            Action::Make(place) => self.take_new(step.key, place, &step.path),
            Action::Bytes => self.take_bytes(step.key, &step.path),
            Action::Merge => self.merge(step),
            Action::Attrs(change) => self.take_attributes(step.key, change, &step.path),
            Action::Move { from, to } => self.take_move(step.key, from, to, &step.path),
            Action::Link(place) => self.take_link(step.key, place, &step.path),
            Action::Unlink(place) => self.take_unlink(step.key, place, &step.path),
            Action::Remove(place) => self.take_removal(step.key, place, &step.path),
        }
    }

    /// New nodes for server objects in one transaction. False: one of them would not go, and nothing was done.
    pub fn take_all_new(&mut self, steps: &[(usize, &Step)]) -> bool {
        if steps.len() < 2 {
            return false;
        }
        let coming = steps.iter().map(|(_, step)| match &step.action {
            Action::Make(place) => self.coming(step.key, place, &step.path),
            _ => Err(Stop::Later("it is not new".into())),
        });
        let Ok(coming) = coming.collect::<Result<Vec<Coming<'_>>, Stop>>() else {
            return false;
        };
        let came = self.hand.on.commit("take-new", |txn| {
            let came = coming.iter().map(|one| one.take(txn));
            came.collect::<Result<Vec<_>, Stop>>()
        });
        let Ok(came) = came else { return false };
        for (one, (ino, bid)) in coming.iter().zip(came) {
            self.came(one, ino, bid);
        }
        true
    }

    /// A new node for a server object. Its contents come when they are wanted, a directory's names when it is listed.
    fn take_new(&mut self, key: Key, place: &Place, path: &RelPath) -> Result<(), Stop> {
        let coming = self.coming(key, place, path)?;
        let (ino, bid) = self.hand.on.commit("take-new", |txn| coming.take(txn))?;
        self.came(&coming, ino, bid);
        Ok(())
    }

    fn coming<'s>(
        &self,
        key: Key,
        place: &'s Place,
        path: &'s RelPath,
    ) -> Result<Coming<'s>, Stop> {
        let stamp = self.world.stamp(key)?;
        Ok(Coming {
            key,
            place,
            path,
            version: self.server(key)?.clone(),
            stamp,
            parent: self.world.ino(place.parent)?,
            at: self.at(place)?,
            old: self.world.get(key).bid,
            wanted: self.mask().ino.then_some(stamp.ino),
        })
    }

    fn came(&mut self, one: &Coming<'_>, ino: Ino, bid: Bid) {
        let standing = self.world.get_mut(one.key);
        standing.ino = Some(ino);
        standing.bid = Some(bid);
        standing.agreed = true;
        standing.rev = 1;
        self.names_changed(one.key, &[one.place]);
    }

    fn take_move(
        &mut self,
        key: Key,
        from: &Place,
        to: &Place,
        path: &RelPath,
    ) -> Result<(), Stop> {
        let ino = self.world.ino(key)?;
        let bid = self.world.bid(key)?;
        let (source, target) = (self.world.ino(from.parent)?, self.world.ino(to.parent)?);
        let (off, at) = (self.at(from)?, self.at(to)?);
        self.hand.on.commit("take-move", |txn| {
            named(txn, source, &from.name, ino)?;
            free_name(txn, target, &to.name)?;
            let node = txn.node(ino)?.ok_or_else(faster)?;
            if node.attrs.kind == Kind::Dir && is_within(txn, target, ino)? {
                return Err(faster());
            }
            drop_entry(txn, source, &from.name, &node)?;
            add_entry(txn, target, &to.name, &node)?;
            basing::move_place(txn, bid, &off, &at)?;
            super::run::record(txn, "pull", Some(ino), path, "renamed on the server")
        })?;
        self.names_changed(key, &[from, to]);
        Ok(())
    }

    fn take_link(&mut self, key: Key, place: &Place, path: &RelPath) -> Result<(), Stop> {
        let ino = self.world.ino(key)?;
        let bid = self.world.bid(key)?;
        let parent = self.world.ino(place.parent)?;
        let at = self.at(place)?;
        self.hand.on.commit("take-link", |txn| {
            free_name(txn, parent, &place.name)?;
            let mut node = txn
                .node(ino)?
                .filter(|node| node.nlink > 0)
                .ok_or_else(faster)?;
            node.nlink += 1;
            node.attrs.ctime = crate::sys::now();
            txn.put_node(&node)?;
            add_entry(txn, parent, &place.name, &node)?;
            basing::place(txn, bid, &at)?;
            super::run::record(txn, "pull", Some(ino), path, "linked on the server")
        })?;
        self.names_changed(key, &[place]);
        Ok(())
    }

    fn take_unlink(&mut self, key: Key, place: &Place, path: &RelPath) -> Result<(), Stop> {
        let ino = self.world.ino(key)?;
        let bid = self.world.bid(key)?;
        let parent = self.world.ino(place.parent)?;
        let off = self.at(place)?;
        self.hand.on.commit("take-unlink", |txn| {
            named(txn, parent, &place.name, ino)?;
            let mut node = txn
                .node(ino)?
                .filter(|node| node.nlink > 1)
                .ok_or_else(faster)?;
            drop_entry(txn, parent, &place.name, &node)?;
            node.nlink -= 1;
            node.attrs.ctime = crate::sys::now();
            txn.put_node(&node)?;
            basing::displace(txn, bid, &off)?;
            super::run::record(txn, "pull", Some(ino), path, "a name removed on the server")
        })?;
        self.names_changed(key, &[place]);
        Ok(())
    }

    /// The last name. An edit, or a program that may be about to make one, keeps the file here: edit beats delete.
    fn take_removal(&mut self, key: Key, place: &Place, path: &RelPath) -> Result<(), Stop> {
        let ino = self.world.ino(key)?;
        let bid = self.world.bid(key)?;
        let rev = self.world.get(key).rev;
        let parent = self.world.ino(place.parent)?;
        let tree = &self.hand.on.tree;
        let file = tree.stat(ino)?.node.attrs.kind == Kind::File;
        if file && tree.written_now().contains(&ino) {
            return Err(Stop::Pending(
                "it was removed on the server, but a program has it open for writing here. \
                 Next: close it; it goes with the next sync if it was not changed"
                    .into(),
            ));
        }
        if file && !tree.is_clean(ino)? {
            return Err(faster());
        }
        self.hand.on.commit("take-removal", |txn| {
            named(txn, parent, &place.name, ino)?;
            let mut node = txn.node(ino)?.ok_or_else(faster)?;
            let dir = node.attrs.kind == Kind::Dir;
            let changed = node.rev != rev || (!dir && node.nlink != 1);
            if changed || (dir && !txn.is_empty(ino)?) {
                return Err(faster());
            }
            drop_entry(txn, parent, &place.name, &node)?;
            node.nlink = 0;
            node.bid = None;
            node.attrs.ctime = crate::sys::now();
            txn.put_node(&node)?;
            basing::remove(txn, bid)?;
            super::run::record(txn, "pull", Some(ino), path, "removed on the server")
        })?;
        tree.purge_if_unused(ino)?;
        self.names_changed(key, &[place]);
        let standing = self.world.get_mut(key);
        (standing.ino, standing.bid) = (None, None);
        Ok(())
    }

    fn take_attributes(&mut self, key: Key, change: &SetAttrs, path: &RelPath) -> Result<(), Stop> {
        let ino = self.world.ino(key)?;
        let bid = self.world.bid(key)?;
        let seen = self.universe.get(key).client.as_ref();
        let stamp = self
            .world
            .get(key)
            .stamp
            .filter(|_| self.world.get(key).agreed);
        let rev = self.hand.on.commit("take-attributes", |txn| {
            let mut node = txn.node(ino)?.ok_or_else(faster)?;
            if !may_take(&node, change, seen) {
                return Err(faster());
            }
            basing::apply(&mut node.attrs, &mut node.xattrs, change);
            node.attrs.ctime = crate::sys::now();
            node.rev += 1;
            txn.put_node(&node)?;
            basing::change(txn, bid, |row| agree_attributes(row, change, stamp))?;
            super::run::record(
                txn,
                "pull",
                Some(ino),
                path,
                "attributes changed on the server",
            )?;
            Ok(node.rev)
        })?;
        self.world.get_mut(key).rev = rev;
        self.stale.push(Stale::Node(ino));
        self.touched.insert(ino);
        Ok(())
    }

    fn names_changed(&mut self, key: Key, places: &[&Place]) {
        for place in places {
            let dir = self.universe.get(place.parent);
            if place.parent != Key::ROOT && dir.client.is_none() && !dir.listed {
                // Made in this round for something known to lie in it; the rest of its names is not planned yet.
                self.again = true;
            }
            if let Some(parent) = self.world.get(place.parent).ino {
                self.stale.push(Stale::Name(parent, place.name.clone()));
                self.stale.push(Stale::Node(parent));
                self.touched.insert(parent);
            }
        }
        if let Some(ino) = self.world.get(key).ino {
            self.stale.push(Stale::Node(ino));
            self.touched.insert(ino);
        }
    }
}

/// A server object that is to get a node.
struct Coming<'s> {
    key: Key,
    place: &'s Place,
    path: &'s RelPath,
    version: Version,
    stamp: Stamp,
    /// The live directory it goes into.
    parent: Ino,
    at: At,
    /// The base object it is already.
    old: Option<Bid>,
    /// The server's number, if it stays.
    wanted: Option<u64>,
}

impl Coming<'_> {
    fn take(&self, txn: &WriteTxn<'_>) -> Result<(Ino, Bid), Stop> {
        free_name(txn, self.parent, &self.place.name)?;
        let bid = match self.old {
            Some(bid) => bid,
            None => txn.new_bid()?,
        };
        let mut node = new_node(txn, self.wanted, &self.version)?;
        if node.attrs.kind == Kind::Dir && txn.base_has_children(bid)? {
            // It was removed here with what is in it, and what of that is still to be removed on the server has no other mark.
            node.dirty = node.dirty.with(Dirty::ENTRIES);
        }
        basing::make(txn, &base_row(bid, &self.version, self.stamp), &self.at)?;
        basing::inherit(txn, &mut node, bid)?;
        txn.put_node(&node)?;
        add_entry(txn, self.parent, &self.place.name, &node)?;
        let path = self.path;
        super::run::record(txn, "pull", Some(node.ino), path, "new on the server")?;
        Ok((node.ino, bid))
    }
}

/// Base attributes that both sides have now.
pub fn agree_attributes(row: &mut BaseNode, change: &SetAttrs, stamp: Option<Stamp>) {
    let known = row.xattrs.is_some() || !change.xattrs.is_empty();
    let mut xattrs = row.xattrs.take().unwrap_or_default();
    basing::apply(&mut row.attrs, &mut xattrs, change);
    row.xattrs = known.then_some(xattrs);
    row.stamp = stamp.unwrap_or(row.stamp);
}

/// True when each attribute to be changed is as the plan saw it, or already as it shall be.
fn may_take(node: &Node, change: &SetAttrs, planned: Option<&Version>) -> bool {
    if basing::fulfils(&node.attrs, Some(&node.xattrs), change) {
        return true;
    }
    let Some(planned) = planned else { return false };
    let (now, then) = (&node.attrs, &planned.attrs);
    let nothing = Xattrs::new();
    let known = planned.xattrs.as_ref().unwrap_or(&nothing);
    (change.mode.is_none() || now.mode == then.mode)
        && (change.uid.is_none() || now.uid == then.uid)
        && (change.gid.is_none() || now.gid == then.gid)
        && change
            .xattrs
            .iter()
            .all(|(name, _)| planned.xattrs.is_none() || node.xattrs.get(name) == known.get(name))
}

/// A base row from the server's version.
pub fn base_row(bid: Bid, version: &Version, stamp: Stamp) -> BaseNode {
    BaseNode {
        bid,
        attrs: shown(version, stamp),
        target: version.target.clone(),
        xattrs: version.xattrs.clone(),
        stamp,
        object: None,
        hash: stamp.hash,
    }
}

fn shown(version: &Version, stamp: Stamp) -> Attrs {
    let mut attrs = version.attrs;
    if attrs.kind == Kind::File {
        attrs.size = stamp.size;
    }
    attrs
}

fn new_node(txn: &WriteTxn<'_>, wanted: Option<u64>, version: &Version) -> Result<Node, Stop> {
    let epoch = txn.epoch()?;
    Ok(Node {
        ino: txn.new_ino(wanted)?,
        bid: None,
        attrs: version.attrs,
        nlink: if version.attrs.kind == Kind::Dir {
            2
        } else {
            1
        },
        target: version.target.clone(),
        xattrs: version.xattrs.clone().unwrap_or_default(),
        since: epoch,
        bytes_since: epoch,
        rev: 1,
        dirty: Dirty::CLEAN,
        writer: version.attrs.uid,
        live_stat: None,
        durable: true,
        listed: None,
        fetched: None,
        bytes: Bytes::Absent,
    })
}

fn free_name(txn: &WriteTxn<'_>, parent: Ino, name: &Name) -> Result<(), Stop> {
    let directory = txn.node(parent)?.filter(|dir| dir.nlink > 0);
    match (directory, txn.entry(parent, name)?) {
        (Some(_), None) => Ok(()),
        _ => Err(faster()),
    }
}

fn named(txn: &WriteTxn<'_>, parent: Ino, name: &Name, ino: Ino) -> Result<(), Stop> {
    match txn.entry(parent, name)? {
        Some(entry) if entry.ino == ino => Ok(()),
        _ => Err(faster()),
    }
}

fn add_entry(txn: &WriteTxn<'_>, parent: Ino, name: &Name, node: &Node) -> Result<(), Stop> {
    txn.put_entry(parent, name, node.ino)?;
    count_directories(txn, parent, node, 1)
}

fn drop_entry(txn: &WriteTxn<'_>, parent: Ino, name: &Name, node: &Node) -> Result<(), Stop> {
    txn.drop_entry(parent, name)?;
    count_directories(txn, parent, node, -1)
}

/// A directory that gains or loses an entry: its times, and its link count for `..` of a subdirectory.
fn count_directories(
    txn: &WriteTxn<'_>,
    parent: Ino,
    node: &Node,
    change: i32,
) -> Result<(), Stop> {
    let mut dir = txn.node(parent)?.ok_or_else(faster)?;
    if node.attrs.kind == Kind::Dir {
        dir.nlink = dir.nlink.saturating_add_signed(change);
    }
    let now = crate::sys::now();
    (dir.attrs.mtime, dir.attrs.ctime) = (now, now);
    Ok(txn.put_node(&dir)?)
}

/// True when a directory is `top` or lies beneath it.
fn is_within(txn: &WriteTxn<'_>, dir: Ino, top: Ino) -> Result<bool, Stop> {
    let mut at = dir;
    while at != Ino::ROOT {
        if at == top {
            return Ok(true);
        }
        let Some((parent, _)) = txn.names(at)?.into_iter().next() else {
            return Ok(false);
        };
        at = parent;
    }
    Ok(top == Ino::ROOT)
}
