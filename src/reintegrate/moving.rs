//! Server steps that change names: every one has its hidden half in an attempt directory.

use super::hand::Outcome;
use super::intents::{Push, What};
use super::job::Job;
use super::trouble::Stop;
use super::universe::{Key, Place};
use crate::lower::{Expect, LowerError, Slot};
use crate::model::{Kind, RelPath, Stamp};

impl Job<'_> {
    /// Another name instead of one. Between taking and publishing the object has no name on the server: the intention
    /// is on disk before, so that not even a power cut leaves it nameless.
    pub fn put_move(&mut self, key: Key, from: &Place, to: &Place) -> Result<(), Stop> {
        let source = self.known_place(key, from)?;
        let expect = self.world.stamp(key)?;
        let what = What::Move {
            from: source.clone(),
            expect,
            off: self.at(from)?,
            at: self.at(to)?,
        };
        let path = self.world.path_of(to)?;
        let push = self.renaming(key, path, what)?;
        let (_, seen) = self.hand.carry(push, |hand, _, push| {
            hand.begin(push.attempt)?;
            hand.on.tree.sync_names()?;
            let object = Expect::Object(expect);
            hand.on.point("take");
            hand.on
                .lower
                .take(push.attempt, &source, &object, Slot::New)?;
            hand.on.point("publish");
            let done = hand
                .on
                .lower
                .publish(push.attempt, &push.path, &Expect::Absent)?;
            hand.remarks(&push.path.clone(), &done);
            Ok(Outcome::there(done.seen))
        })?;
        let places = &mut self.world.get_mut(key).server;
        places.remove(from);
        places.insert(to.clone());
        self.moved_stamp(key, seen, false);
        self.renamed(key, &[from, to]);
        Ok(())
    }

    /// One more name.
    pub fn put_link(&mut self, key: Key, place: &Place) -> Result<(), Stop> {
        let source = self.world.server_path(key)?;
        let expect = self.world.stamp(key)?;
        let what = What::Link {
            from: source.clone(),
            expect,
            at: self.at(place)?,
        };
        let path = self.world.path_of(place)?;
        let push = self.renaming(key, path, what)?;
        let (_, seen) = self
            .hand
            .carry(push, |hand, _, push| {
                hand.begin(push.attempt)?;
                hand.on.point("link");
                hand.on
                    .lower
                    .link(push.attempt, &source, &Expect::Object(expect))?;
                hand.on.point("publish");
                let done = hand
                    .on
                    .lower
                    .publish(push.attempt, &push.path, &Expect::Absent)?;
                Ok(Outcome::there(done.seen))
            })
            .map_err(no_links)?;
        self.world.get_mut(key).server.insert(place.clone());
        self.moved_stamp(key, seen, false);
        self.renamed(key, &[place]);
        Ok(())
    }

    /// One name less. The others keep the object, so nothing needs to be retained.
    pub fn put_unlink(&mut self, key: Key, place: &Place) -> Result<(), Stop> {
        let path = self.known_place(key, place)?;
        let expect = self.world.stamp(key)?;
        let what = What::Unlink {
            expect,
            off: self.at(place)?,
        };
        let mut left = self.world.get(key).server.clone();
        left.remove(place);
        let other = left.first().map(|place| self.world.path_of(place));
        let other = other.transpose()?;
        let push = self.renaming(key, path, what)?;
        let (_, seen) = self.hand.carry(push, |hand, _, push| {
            hand.begin(push.attempt)?;
            hand.on.tree.sync_names()?;
            hand.on.point("take");
            let object = Expect::Object(expect);
            hand.on
                .lower
                .take(push.attempt, &push.path, &object, Slot::Old)?;
            let mut outcome = Outcome::gone(None);
            // Without one of the known names left it could be the last one after all.
            outcome.seen = match &other {
                Some(other) => hand.on.lower.look(other, false)?,
                None => None,
            };
            let safe = outcome
                .seen
                .as_ref()
                .is_some_and(|seen| hand.same(&expect, seen));
            outcome.retain = (!safe).then(|| hand.label(push.attempt.txn));
            Ok(outcome)
        })?;
        self.world.get_mut(key).server = left;
        self.moved_stamp(key, seen, false);
        self.renamed(key, &[place]);
        Ok(())
    }

    /// The last name. A file or symlink is retained; an empty directory is not.
    pub fn put_removal(&mut self, key: Key, place: &Place) -> Result<(), Stop> {
        let path = self.known_place(key, place)?;
        let expect = self.world.stamp(key)?;
        let bid = self.world.bid(key)?;
        let named = self.hand.on.read(|rows| {
            let mut named = false;
            for ino in rows.nodes_of(bid)? {
                named |= rows.node(ino)?.is_some_and(|node| node.nlink > 0);
            }
            Ok(named)
        })?;
        if named {
            return Err(Stop::Later("it is in the live tree again".into()));
        }
        let push = self.renaming(key, path, What::Remove { expect })?;
        self.hand.carry(push, |hand, _, push| {
            hand.begin(push.attempt)?;
            hand.on.tree.sync_names()?;
            hand.on.point("take");
            let found = take_last(hand.on.lower.as_ref(), push, &expect)?;
            let kept = found.kind != Kind::Dir;
            Ok(Outcome::gone(kept.then(|| hand.label(push.attempt.txn))))
        })?;
        let standing = self.world.get_mut(key);
        standing.server.clear();
        standing.stamp = None;
        standing.bid = None;
        self.renamed(key, &[place]);
        Ok(())
    }

    /// The path of a name the object has on the server by now.
    fn known_place(&self, key: Key, place: &Place) -> Result<RelPath, Stop> {
        if self.world.get(key).server.contains(place) {
            self.world.path_of(place)
        } else {
            Err(Stop::Later("it has another name on the server".into()))
        }
    }

    fn renaming(&mut self, key: Key, path: RelPath, what: What) -> Result<Push, Stop> {
        Ok(Push {
            attempt: self.attempt()?,
            path,
            ino: self.world.get(key).ino,
            bid: Some(self.world.bid(key)?),
            agreed: self.world.get(key).agreed,
            what,
        })
    }

    fn renamed(&mut self, key: Key, places: &[&Place]) {
        for place in places {
            self.filled.insert(place.parent);
            self.touched.extend(self.world.get(place.parent).ino);
        }
        self.touched.extend(self.world.get(key).ino);
    }
}

/// Takes an object's last name. What was written since the scan is not the object the removal meant.
fn take_last(
    lower: &dyn crate::lower::Lower,
    push: &Push,
    expect: &Stamp,
) -> Result<Stamp, LowerError> {
    let expect = match expect.kind {
        Kind::Dir => Expect::Object(*expect),
        _ => Expect::Is(*expect),
    };
    let found = lower.take(push.attempt, &push.path, &expect, Slot::Old)?;
    Ok(found.stamp)
}

/// A server without hard links is told by name.
fn no_links(stop: Stop) -> Stop {
    match stop {
        Stop::Pending(why) => Stop::Pending(format!(
            "this name cannot become a second name of the same file there: {why}"
        )),
        other => other,
    }
}
