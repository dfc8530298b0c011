//! Server steps that carry bytes or attributes: a new object, new bytes under an old name, other attributes.

use super::hand::{Hand, Outcome};
use super::intents::{Push, Sent, What};
use super::job::Job;
use super::steps::{Action, Step};
use super::trouble::Stop;
use super::universe::{Key, Place};
use super::world::carried;
use crate::lower::{Attempt, Expect, New, SetAttrs};
use crate::meta::Node;
use crate::model::{IntentId, Kind, Observed, RelPath, Sameness, Xattrs};

impl Job<'_> {
    /// Carries out a step on the server.
    pub fn push(&mut self, step: &Step) -> Result<(), Stop> {
        match &step.action {
            Action::Make(place) => self.put_new(step.key, place),
            Action::Bytes => self.put_bytes(step.key),
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

    fn put_new(&mut self, key: Key, place: &Place) -> Result<(), Stop> {
        let ino = self.world.ino(key)?;
        let parent = self.world.ino(place.parent)?;
        let entry = self
            .hand
            .on
            .read(|rows| Ok(rows.entry(parent, &place.name)?))?;
        if entry.map(|entry| entry.ino) != Some(ino) {
            return Err(Stop::Later("it was renamed or removed here".into()));
        }
        let node = self.hand.on.tree.stat(ino)?.node;
        let path = self.world.path_of(place)?;
        let (sent, mtime) = self.content(&node)?;
        let mut new = new_object(&node);
        new.attrs.mtime = mtime;
        if node.attrs.kind == Kind::Dir {
            // It must be possible to fill it; an attribute step at the end takes the bits away again.
            new.attrs.mode |= 0o700;
        }
        let push = Push {
            attempt: self.attempt()?,
            path,
            ino: Some(ino),
            bid: self.world.get(key).bid,
            agreed: true,
            what: What::Make {
                at: self.at(place)?,
                sent,
            },
        };
        let rev = push_rev(&push, node.rev);
        let (bid, seen) = self.hand.carry(push, |hand, id, push| {
            let staged = stage(hand, id, push, &new)?;
            hand.remarks(&push.path.clone(), &staged);
            hand.on.point("publish");
            let done = hand
                .on
                .lower
                .publish(push.attempt, &push.path, &Expect::Absent)?;
            hand.remarks(&push.path.clone(), &done);
            let mut outcome = Outcome::there(with_hash(done.seen, push));
            outcome.xattrs = Some(new.xattrs.clone());
            Ok(outcome)
        })?;
        let standing = self.world.get_mut(key);
        standing.bid = bid;
        standing.rev = rev;
        standing.server = [place.clone()].into();
        self.there(key, seen);
        self.filled.insert(place.parent);
        self.touched.extend([ino, parent]);
        Ok(())
    }

    fn put_bytes(&mut self, key: Key) -> Result<(), Stop> {
        let ino = self.world.ino(key)?;
        let path = self.world.server_path(key)?;
        let seen = self.as_planned(key, &path)?;
        let names = &self.world.get(key).server;
        if seen.stamp.kind != Kind::Dir && seen.nlink as usize > names.len() {
            return Err(Stop::Pending(format!(
                "it has {} names on the server and only {} of them are in this share; replacing it would part them. \
                 Next: make the change on the server itself, or save it under a new name",
                seen.nlink,
                names.len()
            )));
        }
        let others: Vec<RelPath> = names
            .iter()
            .map(|place| self.world.path_of(place))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .filter(|other| *other != path)
            .collect();
        let node = self.hand.on.tree.stat(ino)?.node;
        let (sent, mtime) = self.content(&node)?;
        let new = replacement(&node, &seen, mtime);
        let following = match others.is_empty() {
            true => None,
            false => Some((self.attempt()?, others)),
        };
        let push = Push {
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
        };
        let rev = push_rev(&push, node.rev);
        let (_, now) = self
            .hand
            .carry(push, |hand, id, push| replace(hand, id, push, &new, &seen))?;
        self.world.get_mut(key).rev = rev;
        self.there(key, now);
        // Other names that followed have moved the ctime once more.
        let bid = self.world.bid(key)?;
        if let Some(row) = self.hand.on.read(|rows| Ok(rows.base(bid)?))? {
            self.world.get_mut(key).stamp = Some(row.stamp);
        }
        self.touched.insert(ino);
        Ok(())
    }

    fn put_attributes(&mut self, key: Key, change: &SetAttrs) -> Result<(), Stop> {
        let path = self.world.server_path(key)?;
        let stamp = self.world.stamp(key)?;
        let push = Push {
            attempt: self.attempt()?,
            path,
            ino: self.world.get(key).ino,
            bid: Some(self.world.bid(key)?),
            agreed: self.world.get(key).agreed,
            what: What::Set {
                expect: stamp,
                change: change.clone(),
            },
        };
        // A directory's stamp moves with its entries; its identity is what counts.
        let expect = match stamp.kind {
            Kind::Dir => Expect::Object(stamp),
            _ => Expect::Is(stamp),
        };
        let (_, seen) = self.hand.carry(push, |hand, _, push| {
            hand.on.point("set");
            let done = hand.on.lower.set(&push.path, &expect, change)?;
            hand.remarks(&push.path.clone(), &done);
            Ok(Outcome::there(done.seen))
        })?;
        self.moved_stamp(key, seen, change.mtime.is_some());
        self.touched.extend(self.world.get(key).ino);
        Ok(())
    }

    /// What is sent of a node: a sealed clone of a file's bytes with its revision, and the mtime that belongs to them.
    fn content(&mut self, node: &Node) -> Result<(Sent, crate::model::Time), Stop> {
        let mut sent = Sent {
            object: None,
            rev: node.rev,
            hash: None,
            staged: None,
        };
        if node.attrs.kind != Kind::File {
            return Ok((sent, node.attrs.mtime));
        }
        let (object, rev) = self.hand.on.tree.seal_now(node.ino)?;
        self.lent.push(object);
        let row = self.hand.on.read(|rows| Ok(rows.sealed(object)?))?;
        sent.object = Some(object);
        sent.rev = rev;
        sent.hash = row.and_then(|row| row.hash);
        self.hand.on.point("sealed");
        // Read again after sealing: a write in between moved the time of the bytes.
        let mtime = self.hand.on.tree.stat(node.ino)?.node.attrs.mtime;
        Ok((sent, mtime))
    }

    /// The object on the server with its extended attributes, if it is still as the plan saw it.
    fn as_planned(&mut self, key: Key, path: &RelPath) -> Result<Observed, Stop> {
        let stamp = self.world.stamp(key)?;
        let changed = || Stop::Later("it changed on the server".into());
        let seen = self.hand.on.lower.look(path, true)?.ok_or_else(changed)?;
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
    fn there(&mut self, key: Key, seen: Option<Observed>) {
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

fn push_rev(push: &Push, otherwise: u64) -> u64 {
    match &push.what {
        What::Make { sent, .. } | What::Replace { sent, .. } => sent.rev,
        _ => otherwise,
    }
}

fn with_hash(mut seen: Observed, push: &Push) -> Observed {
    if let What::Make { sent, .. } | What::Replace { sent, .. } = &push.what {
        seen.stamp.hash = seen.stamp.hash.or(sent.hash);
    }
    seen
}

/// Stages what is sent and writes down how to know it again.
fn stage(
    hand: &mut Hand<'_>,
    id: IntentId,
    push: &mut Push,
    new: &New,
) -> Result<crate::lower::Done, Stop> {
    let (What::Make { sent, .. } | What::Replace { sent, .. }) = &mut push.what else {
        return Err(Stop::Later("nothing to send".into()));
    };
    let bytes = sent
        .object
        .map(|object| hand.on.tree.objects().open_sealed(object))
        .transpose()?;
    hand.begin(push.attempt)?;
    hand.on.point("stage");
    let done = hand.on.lower.stage(push.attempt, new, bytes.as_ref())?;
    sent.hash = sent.hash.or(done.seen.stamp.hash);
    sent.staged = Some(done.seen.stamp);
    hand.update(id, push)?;
    Ok(done)
}

fn replace(
    hand: &mut Hand<'_>,
    id: IntentId,
    push: &mut Push,
    new: &New,
    old: &Observed,
) -> Result<Outcome, Stop> {
    let staged = stage(hand, id, push, new)?;
    let (was, is) = (&old.attrs, &staged.seen.attrs);
    if (was.uid, was.gid) != (is.uid, is.gid) {
        return Err(Stop::Pending(format!(
            "sending it would change its owner on the server from {}:{} to {}:{}. Next: save it under a new name \
             (that one is sent), or ask its owner",
            was.uid, was.gid, is.uid, is.gid
        )));
    }
    hand.remarks(&push.path.clone(), &staged);
    hand.on.point("publish");
    let expect = Expect::Is(old.stamp);
    let done = hand.on.lower.publish(push.attempt, &push.path, &expect)?;
    hand.remarks(&push.path.clone(), &done);
    let seen = with_hash(done.seen, push);
    let mut outcome = Outcome::there(seen);
    outcome.retain = Some(hand.label(push.attempt.txn));
    Ok(outcome)
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
