//! Base steps: both sides already have it, only base moves.

use super::basing;
use super::job::Job;
use super::pulling::{agree_attributes, base_row};
use super::steps::{Action, Step};
use super::trouble::Stop;
use super::universe::{Key, Place, Server};
use crate::meta::WriteTxn;
use crate::model::{Bid, Dirty};

impl Job<'_> {
    /// Carries out a step on base alone.
    pub fn agree(&mut self, step: &Step) -> Result<(), Stop> {
        let key = step.key;
        match &step.action {
            Action::Make(place) => self.agree_new(key, place)?,
            Action::Bytes => self.agree_on_bytes(key)?,
            Action::Attrs(change) => {
                let standing = self.world.get(key);
                let stamp = standing.stamp.filter(|_| standing.agreed);
                self.on_base(key, |txn, bid| {
                    basing::change(txn, bid, |row| agree_attributes(row, change, stamp))
                })?;
            }
            Action::Move { from, to } => {
                let (off, at) = (self.at(from)?, self.at(to)?);
                self.on_base(key, |txn, bid| basing::move_place(txn, bid, &off, &at))?;
            }
            Action::Link(place) => {
                let at = self.at(place)?;
                self.on_base(key, |txn, bid| basing::place(txn, bid, &at))?;
            }
            Action::Unlink(place) => {
                let off = self.at(place)?;
                self.on_base(key, |txn, bid| basing::displace(txn, bid, &off))?;
            }
            Action::Remove(place) => {
                self.on_base(key, basing::remove)?;
                self.world.get_mut(key).bid = None;
                self.touched.extend(self.world.get(place.parent).ino);
            }
            Action::Merge => return Err(Stop::Later("a merge needs the live tree".into())),
        }
        self.touch(step);
        Ok(())
    }

    fn on_base(
        &mut self,
        key: Key,
        work: impl FnOnce(&WriteTxn<'_>, Bid) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let bid = self.world.bid(key)?;
        self.hand.on.commit("agree", |txn| work(txn, bid))
    }

    /// Both made the same. Base becomes the server's version; the live node descends from it.
    fn agree_new(&mut self, key: Key, place: &Place) -> Result<(), Stop> {
        let version = self.server(key)?;
        let stamp = self.world.stamp(key)?;
        let at = self.at(place)?;
        let old = self.world.get(key).bid;
        let (ino, rev) = (self.world.get(key).ino, self.world.get(key).rev);
        let read = self.read.get(&key).copied();
        let mut made = None;
        self.hand.on.settle(ino, rev, &mut |txn, node, unchanged| {
            let bid = match old {
                Some(bid) => bid,
                None => txn.new_bid()?,
            };
            let mut row = base_row(bid, version, stamp);
            row.object = read.filter(|_| !unchanged);
            basing::make(txn, &row, &at)?;
            if let Some(node) = node {
                basing::inherit(txn, node, bid)?;
                if unchanged {
                    node.dirty = node.dirty.without(Dirty::BYTES);
                }
            }
            made = Some(bid);
            Ok(())
        })?;
        let standing = self.world.get_mut(key);
        standing.bid = made;
        standing.agreed = true;
        Ok(())
    }

    /// Both have the same bytes. If a program wrote here since the scan, base keeps the server's where they were read.
    fn agree_on_bytes(&mut self, key: Key) -> Result<(), Stop> {
        let bid = self.world.bid(key)?;
        let seen = self.observed(key)?;
        let (ino, rev) = (self.world.get(key).ino, self.world.get(key).rev);
        let read = self.read.get(&key).copied();
        self.hand.on.settle(ino, rev, &mut |txn, node, unchanged| {
            basing::change(txn, bid, |row| {
                basing::take_bytes(row, &seen);
                row.object = read.filter(|_| !unchanged);
            })?;
            if let Some(node) = node.filter(|_| unchanged) {
                node.dirty = node.dirty.without(Dirty::BYTES);
            }
            Ok(())
        })?;
        self.world.get_mut(key).agreed = true;
        Ok(())
    }

    fn touch(&mut self, step: &Step) {
        self.touched.extend(self.world.get(step.key).ino);
        let places: Vec<&Place> = match &step.action {
            Action::Make(place) | Action::Link(place) | Action::Unlink(place) => vec![place],
            Action::Move { from, to } => vec![from, to],
            _ => Vec::new(),
        };
        for place in places {
            self.touched.extend(self.world.get(place.parent).ino);
        }
    }

    /// Objects whose stamp moved though nothing else did (written with the same bytes, or their attributes were set and
    /// set back) get the new stamp, so that the next scan need not read them again. One whose extended attributes are
    /// still to be agreed on does not: a calm stamp is why the next look would not ask for them.
    pub fn refresh_stamps(&mut self) -> Result<(), Stop> {
        let mut fresh = Vec::new();
        for key in self.moved {
            let object = self.universe.get(*key);
            let (Some(bid), Some(base), Some(stamp)) = (object.bid, &object.base, object.stamp)
            else {
                continue;
            };
            let Server::Present(server) = &object.server else {
                continue;
            };
            if server.is_all_of(base) {
                fresh.push((bid, stamp));
            }
        }
        let rows = fresh.iter();
        let outdated = self.hand.on.read(|db| {
            let mut outdated = Vec::new();
            for (bid, stamp) in rows {
                if let Some(row) = db.base(*bid)? {
                    let mut stamp = *stamp;
                    stamp.hash = stamp.hash.or(row.hash);
                    if row.stamp != stamp {
                        outdated.push((*bid, stamp));
                    }
                }
            }
            Ok::<_, Stop>(outdated)
        })?;
        if outdated.is_empty() {
            return Ok(());
        }
        self.hand.on.commit("stamps", |txn| {
            for (bid, stamp) in &outdated {
                basing::change(txn, *bid, |row| row.stamp = *stamp)?;
            }
            Ok(())
        })
    }
}
