//! Server steps that change names: every one has its hidden half in an attempt directory.

use super::asking::Work;
use super::intents::{Push, What};
use super::job::Job;
use super::putting::Ready;
use super::trouble::Stop;
use super::universe::{Key, Place};
use crate::model::{Bid, Few, Observed, RelPath};

impl Job<'_> {
    /// Another name instead of one. Between taking and publishing the object has no name on the server: the intention
    /// is on disk before, so that not even a power cut leaves it nameless.
    pub fn put_move<'s>(
        &mut self,
        key: Key,
        from: &'s Place,
        to: &'s Place,
    ) -> Result<Ready<'s>, Stop> {
        let source = self.known_place(key, from)?;
        let expect = self.world.stamp(key)?;
        let what = What::Move {
            from: source,
            expect,
            off: self.at(from)?,
            at: self.at(to)?,
        };
        let path = self.world.path_of(to)?;
        let push = self.renaming(key, path, what)?;
        Ok(ready(push, move |job, _, seen| {
            let places = &mut job.world.get_mut(key).server;
            places.remove(from);
            places.insert(to.clone());
            job.moved_stamp(key, seen, false);
            job.renamed(key, &[from, to]);
            Ok(())
        }))
    }

    /// One more name.
    pub fn put_link<'s>(&mut self, key: Key, place: &'s Place) -> Result<Ready<'s>, Stop> {
        let source = self.world.server_path(key)?;
        let expect = self.world.stamp(key)?;
        let what = What::Link {
            from: source,
            expect,
            at: self.at(place)?,
        };
        let path = self.world.path_of(place)?;
        let push = self.renaming(key, path, what)?;
        Ok(ready(push, move |job, _, seen| {
            job.world.get_mut(key).server.insert(place.clone());
            job.moved_stamp(key, seen, false);
            job.renamed(key, &[place]);
            Ok(())
        }))
    }

    /// One name less. The others keep the object, so nothing needs to be retained.
    pub fn put_unlink<'s>(&mut self, key: Key, place: &'s Place) -> Result<Ready<'s>, Stop> {
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
        let (mut work, after) = ready(push, move |job, _, seen| {
            job.world.get_mut(key).server = left;
            job.moved_stamp(key, seen, false);
            job.renamed(key, &[place]);
            Ok(())
        });
        work.other = other;
        Ok((work, after))
    }

    /// The last name. A file or symlink is retained; an empty directory is not.
    pub fn put_removal<'s>(&mut self, key: Key, place: &'s Place) -> Result<Ready<'s>, Stop> {
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
        Ok(ready(push, move |job, _, _| {
            let standing = job.world.get_mut(key);
            standing.server = Few::new();
            standing.stamp = None;
            standing.bid = None;
            job.renamed(key, &[place]);
            Ok(())
        }))
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

fn ready<'s>(
    push: Push,
    then: impl FnOnce(&mut Job<'_>, Option<Bid>, Option<Observed>) -> Result<(), Stop> + 's,
) -> Ready<'s> {
    (Work::of(push), Box::new(then))
}
