//! Server steps that carry bytes or attributes: a new object, new bytes under an old name, other attributes.

use super::asking::Work;
use super::carrying::Carried;
use super::intents::{Push, Sent, What};
use super::job::Job;
use super::steps::{Action, Step};
use super::trouble::{Failure, Stop};
use super::universe::{Key, Place};
use super::width::each;
use super::world::carried;
use crate::lower::{Attempt, New, SetAttrs};
use crate::meta::Node;
use crate::model::{Few, Ino, Kind, ObjectId, Observed, RelPath, Sameness, Xattrs};

/// What a step changes in the world once it was carried out, told the base object and what is there now.
type After<'s> = Box<
    dyn FnOnce(&mut Job<'_>, Option<crate::model::Bid>, Option<Observed>) -> Result<(), Stop> + 's,
>;

/// A change of the server, ready, and what follows from it.
pub type Ready<'s> = (Work, After<'s>);

/// What was asked for several steps at once before each is made ready.
#[derive(Default)]
struct Ahead {
    /// What is to be replaced.
    seen: Option<Result<Option<Observed>, Stop>>,
    /// A sealed clone of the bytes to be sent, with its revision.
    sealed: Option<Result<(ObjectId, u64), Stop>>,
}

impl Job<'_> {
    /// Carries out steps on the server that do not depend on each other.
    pub fn push_all(&mut self, steps: &[(usize, &Step)]) -> Result<(), Failure> {
        let ahead = self.look_ahead(steps);
        let (mut works, mut after) = (Vec::new(), Vec::new());
        for ((at, step), ahead) in steps.iter().zip(ahead) {
            match self.make_ready(step, ahead) {
                Ok((work, then)) => {
                    works.push(work);
                    after.push((*at, *step, then));
                }
                Err(stop) => self.came_to(*at, step, Err(stop))?,
            }
        }
        if works.is_empty() {
            return Ok(());
        }
        match self.hand.carry_all(works) {
            Ok(all) => {
                let mut all = all.into_iter();
                for (at, step, then) in after {
                    let none = || Err(Stop::Later("nothing came of it".into()));
                    let carried = all.next().unwrap_or_else(none);
                    let done = self.follow(carried, then);
                    self.came_to(at, step, done)?;
                }
                Ok(())
            }
            Err(stop) => match after.first() {
                Some((at, step, _)) => self.came_to(*at, step, Err(stop)),
                None => Ok(()),
            },
        }
    }

    fn follow(&mut self, carried: Carried, then: After<'_>) -> Result<(), Stop> {
        let (bid, seen) = carried?;
        then(self, bid, seen)
    }

    /// Asks for all of them at once what each has to know.
    fn look_ahead(&mut self, steps: &[(usize, &Step)]) -> Vec<Ahead> {
        let asked: Vec<(Option<RelPath>, Option<Ino>)> = steps
            .iter()
            .map(|(_, step)| match step.action {
                Action::Bytes => (
                    self.world.server_path(step.key).ok(),
                    self.sealable(step.key),
                ),
                Action::Make(_) => (None, self.sealable(step.key)),
                _ => (None, None),
            })
            .collect();
        let on = self.hand.on;
        let ahead = each(on.width.lanes, &asked, |(path, ino)| Ahead {
            seen: path
                .as_ref()
                .map(|path| on.lower.look(path, true).map_err(Stop::from)),
            sealed: ino.map(|ino| on.tree.seal_now(ino).map_err(Stop::from)),
        });
        for one in &ahead {
            if let Some(Ok((object, _))) = one.sealed {
                self.lent.push(object);
            }
        }
        ahead
    }

    /// The node of an object whose bytes have to be sealed before they are sent.
    fn sealable(&self, key: Key) -> Option<Ino> {
        let client = self.universe.get(key).client.as_ref()?;
        let file = client.attrs.kind == Kind::File;
        self.world.get(key).ino.filter(|_| file)
    }

    fn make_ready<'s>(&mut self, step: &'s Step, ahead: Ahead) -> Result<Ready<'s>, Stop> {
        match &step.action {
            Action::Make(place) => self.put_new(step.key, place, ahead),
            Action::Bytes => self.put_bytes(step.key, ahead),
            Action::Attrs(change) => self.put_attributes(step.key, change),
            Action::Move { from, to } => self.put_move(step.key, from, to),
            Action::Link(place) => self.put_link(step.key, place),
            Action::Unlink(place) => self.put_unlink(step.key, place),
            Action::Remove(place) => self.put_removal(step.key, place),
            Action::Merge => Err(Stop::Later(
                "a merge happens here, not on the server".into(),
            )),
        }
    }

    fn put_new<'s>(&mut self, key: Key, place: &'s Place, ahead: Ahead) -> Result<Ready<'s>, Stop> {
        let ino = self.world.ino(key)?;
        let parent = self.world.ino(place.parent)?;
        let entry = self
            .hand
            .on
            .read(|rows| Ok(rows.entry(parent, &place.name)?))?;
        if entry.map(|entry| entry.ino) != Some(ino) {
            return Err(Stop::Later("it was renamed or removed here".into()));
        }
        let path = self.world.path_of(place)?;
        let (node, sent) = self.content(ino, ahead.sealed)?;
        let mut new = new_object(&node);
        if node.attrs.kind == Kind::Dir {
            // It must be possible to fill it; an attribute step at the end takes the bits away again.
            new.attrs.mode |= 0o700;
        }
        let rev = sent.rev;
        let mut work = Work::of(Push {
            attempt: self.attempt()?,
            path,
            ino: Some(ino),
            bid: self.world.get(key).bid,
            agreed: true,
            what: What::Make {
                at: self.at(place)?,
                sent,
            },
        });
        work.new = Some(new);
        let after: After<'s> = Box::new(move |job, bid, seen| {
            let standing = job.world.get_mut(key);
            standing.bid = bid;
            standing.rev = rev;
            standing.server = Few::One(place.clone());
            job.there(key, seen);
            job.filled.insert(place.parent);
            job.touched.extend([ino, parent]);
            Ok(())
        });
        Ok((work, after))
    }

    fn put_bytes<'s>(&mut self, key: Key, ahead: Ahead) -> Result<Ready<'s>, Stop> {
        let ino = self.world.ino(key)?;
        let path = self.world.server_path(key)?;
        let seen = self.as_planned(key, ahead.seen)?;
        let others = self.other_names(key, &path, &seen)?;
        let (node, sent) = self.content(ino, ahead.sealed)?;
        let new = replacement(&node, &seen, node.attrs.mtime);
        let following = match others.is_empty() {
            true => None,
            false => Some((self.attempt()?, others)),
        };
        let rev = sent.rev;
        let mut work = Work::of(Push {
            attempt: self.attempt()?,
            path,
            ino: Some(ino),
            bid: Some(self.world.bid(key)?),
            agreed: true,
            what: What::Replace {
                expect: seen.stamp,
                sent,
                following,
            },
        });
        work.new = Some(new);
        work.old = Some(seen);
        let after: After<'s> = Box::new(move |job, _, now| {
            job.world.get_mut(key).rev = rev;
            job.there(key, now);
            // Other names that followed have moved the ctime once more.
            let bid = job.world.bid(key)?;
            if let Some(row) = job.hand.on.read(|rows| Ok(rows.base(bid)?))? {
                job.world.get_mut(key).stamp = Some(row.stamp);
            }
            job.touched.insert(ino);
            Ok(())
        });
        Ok((work, after))
    }

    /// Names of an object on the server beside `path`; all it has must be known here.
    fn other_names(&self, key: Key, path: &RelPath, seen: &Observed) -> Result<Vec<RelPath>, Stop> {
        let names = &self.world.get(key).server;
        if seen.stamp.kind != Kind::Dir && seen.nlink as usize > names.len() {
            return Err(Stop::Pending(format!(
                "it has {} names on the server and only {} of them are in this share; replacing it would part them. \
                 Next: make the change on the server itself, or save it under a new name",
                seen.nlink,
                names.len()
            )));
        }
        let paths = names.iter().map(|place| self.world.path_of(place));
        let mut others = paths.collect::<Result<Vec<_>, _>>()?;
        others.retain(|other| other != path);
        Ok(others)
    }

    fn put_attributes<'s>(&mut self, key: Key, change: &SetAttrs) -> Result<Ready<'s>, Stop> {
        let path = self.world.server_path(key)?;
        let stamp = self.world.stamp(key)?;
        let work = Work::of(Push {
            attempt: self.attempt()?,
            path,
            ino: self.world.get(key).ino,
            bid: Some(self.world.bid(key)?),
            agreed: self.world.get(key).agreed,
            what: What::Set {
                expect: stamp,
                change: change.clone(),
            },
        });
        let mtime_set = change.mtime.is_some();
        let after: After<'s> = Box::new(move |job, _, seen| {
            job.moved_stamp(key, seen, mtime_set);
            job.touched.extend(job.world.get(key).ino);
            Ok(())
        });
        Ok((work, after))
    }

    /// What is sent of a node: its row, and a sealed clone of a file's bytes with its revision.
    fn content(
        &mut self,
        ino: Ino,
        sealed: Option<Result<(ObjectId, u64), Stop>>,
    ) -> Result<(Node, Sent), Stop> {
        if sealed.is_some() {
            self.hand.on.point("sealed");
        }
        // Read after sealing: a write before it moved the time of the bytes.
        let node = self.hand.on.tree.stat(ino)?.node;
        let mut sent = Sent {
            object: None,
            rev: node.rev,
            hash: None,
            staged: None,
        };
        if node.attrs.kind != Kind::File {
            return Ok((node, sent));
        }
        let none = || Err(Stop::Later("it became a file meanwhile".into()));
        let (object, rev) = sealed.unwrap_or_else(none)?;
        let row = self.hand.on.read(|rows| Ok(rows.sealed(object)?))?;
        sent.object = Some(object);
        sent.rev = rev;
        sent.hash = row.and_then(|row| row.hash);
        Ok((node, sent))
    }

    /// The object on the server with its extended attributes, if it is still as the plan saw it.
    fn as_planned(
        &self,
        key: Key,
        seen: Option<Result<Option<Observed>, Stop>>,
    ) -> Result<Observed, Stop> {
        let stamp = self.world.stamp(key)?;
        let changed = || Stop::Later("it changed on the server".into());
        let seen = seen.ok_or_else(changed)??.ok_or_else(changed)?;
        match stamp.compare(&seen.stamp, &self.mask()) {
            Sameness::Different => Err(changed()),
            Sameness::Same | Sameness::Unverified | Sameness::Attributes => Ok(seen),
        }
    }

    /// A new attempt of a new transaction.
    pub fn attempt(&mut self) -> Result<Attempt, Stop> {
        Ok(Attempt {
            txn: self.number()?,
            n: 1,
        })
    }

    /// Base and server agree on the bytes of what is there now.
    pub fn there(&mut self, key: Key, seen: Option<Observed>) {
        let standing = self.world.get_mut(key);
        if let Some(seen) = seen {
            standing.stamp = Some(seen.stamp);
            standing.agreed = true;
        }
    }

    /// The stamp moved by our own doing.
    pub fn moved_stamp(&mut self, key: Key, seen: Option<Observed>, mtime_set: bool) {
        let standing = self.world.get_mut(key);
        if let (Some(seen), Some(was)) = (seen, standing.stamp) {
            standing.stamp = Some(carried(&was, &seen.stamp, mtime_set));
        }
    }
}

fn new_object(node: &Node) -> New {
    New {
        attrs: node.attrs,
        target: node.target.clone(),
        xattrs: sendable(&node.xattrs),
    }
}

/// New bytes in the clothes of what is there: mode, owner, group and extended attributes have steps of their own.
fn replacement(node: &Node, seen: &Observed, mtime: crate::model::Time) -> New {
    let mut attrs = seen.attrs;
    attrs.size = node.attrs.size;
    attrs.mtime = mtime;
    attrs.rdev = node.attrs.rdev;
    New {
        attrs,
        target: node.target.clone(),
        xattrs: seen.xattrs.clone().unwrap_or_default(),
    }
}

/// `security.*` never leaves this host.
fn sendable(xattrs: &Xattrs) -> Xattrs {
    xattrs
        .iter()
        .filter(|(name, _)| !name.starts_with(b"security."))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
