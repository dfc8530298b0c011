//! Client steps that carry bytes: what only the server changed replaces what is here.

use super::basing;
use super::job::Job;
use super::run::Reintegrate;
use super::steps::{Action, Step};
use super::trouble::{Failure, Stop};
use super::universe::Key;
use super::width::each;
use crate::fetch::Stale;
use crate::meta::{Node, Sealed, WriteTxn};
use crate::model::{Bid, Bytes, Dirty, Hash, Ino, Kind, ObjectId, Observed, RelPath};
use crate::objects::Draft;

/// Kind of the intention that keeps a sealed object until the round is over.
pub const HOLD: &str = "hold";

impl Job<'_> {
    /// The server's bytes (or target, or device number) into a clean node. Bytes that were here are fetched now, so that
    /// they are still here when the link goes; others come when they are wanted.
    pub fn take_bytes(&mut self, key: Key, path: &RelPath) -> Result<(), Stop> {
        let ino = self.world.ino(key)?;
        let node = self.hand.on.tree.stat(ino)?.node;
        let here = node.bytes == Bytes::Here;
        if node.attrs.kind == Kind::File && here {
            self.replace_here(key, &node, path)?;
        } else {
            self.replace_row(key, &node, path)?;
        }
        self.stale.push(Stale::Node(ino));
        self.touched.insert(ino);
        Ok(())
    }

    fn replace_here(&mut self, key: Key, node: &Node, path: &RelPath) -> Result<(), Stop> {
        let bid = self.world.bid(key)?;
        let (object, seen) = self.server_bytes(key)?;
        let replacing = Replacing {
            ino: node.ino,
            bid,
            object,
            seen,
            path,
        };
        let rev = self.hand.on.replace(&replacing)?;
        self.agreed(key, &replacing.seen, rev);
        Ok(())
    }

    /// Steps whose bytes were read ahead, several at once: each waits for the disk. Gives those that are left.
    pub fn replace_together<'s>(
        &mut self,
        steps: Vec<(usize, &'s Step)>,
    ) -> Result<Vec<(usize, &'s Step)>, Failure> {
        let (mut ready, mut left) = (Vec::new(), Vec::new());
        for (at, step) in steps {
            match self.ready_to_replace(step) {
                Some(replacing) => ready.push((at, step, replacing)),
                None => left.push((at, step)),
            }
        }
        let on = self.hand.on;
        let done = each(on.width.lanes, &ready, |(_, _, one)| on.replace(one));
        for ((at, step, one), done) in ready.iter().zip(done) {
            let done = done.map(|rev| {
                self.agreed(step.key, &one.seen, rev);
                self.stale.push(Stale::Node(one.ino));
                self.touched.insert(one.ino);
            });
            self.came_to(*at, step, done)?;
        }
        Ok(left)
    }

    fn ready_to_replace<'s>(&mut self, step: &'s Step) -> Option<Replacing<'s>> {
        if !matches!(step.action, Action::Bytes) || !matches!(self.arrived.get(&step.key)?, Ok(_)) {
            return None;
        }
        let (ino, bid) = (
            self.world.ino(step.key).ok()?,
            self.world.bid(step.key).ok()?,
        );
        let (object, seen) = self.arrived.remove(&step.key)?.ok()?;
        Some(Replacing {
            ino,
            bid,
            object,
            seen,
            path: &step.path,
        })
    }

    fn replace_row(&mut self, key: Key, node: &Node, path: &RelPath) -> Result<(), Stop> {
        let ino = node.ino;
        let bid = self.world.bid(key)?;
        let seen = self.observed(key)?;
        let rev = self.hand.on.commit("take-row", |txn| {
            let changed = || Stop::Later("a program changed it here".into());
            let now = txn.node(ino)?.ok_or_else(changed)?;
            if now.rev != node.rev || now.bytes == Bytes::Here || now.dirty.has(Dirty::BYTES) {
                return Err(changed());
            }
            let mut now = now;
            now.attrs.size = seen.attrs.size;
            now.attrs.mtime = seen.attrs.mtime;
            now.attrs.rdev = seen.attrs.rdev;
            now.attrs.ctime = crate::sys::now();
            now.target = seen.target.clone();
            now.rev += 1;
            txn.put_node(&now)?;
            basing::change(txn, bid, |row| basing::take_bytes(row, &seen))?;
            super::run::record(txn, "pull", Some(ino), path, "changed on the server")?;
            Ok(now.rev)
        })?;
        self.agreed(key, &seen, rev);
        Ok(())
    }

    /// The server's version as one look, from what the scan saw.
    pub fn observed(&self, key: Key) -> Result<Observed, Stop> {
        let version = self.server(key)?;
        let stamp = self.world.stamp(key)?;
        let mut attrs = version.attrs;
        if attrs.kind == Kind::File {
            attrs.size = stamp.size;
        }
        Ok(Observed {
            stamp,
            attrs,
            nlink: 1,
            same_device: false,
            target: version.target.clone(),
            xattrs: version.xattrs.clone(),
        })
    }

    /// The server's bytes, sealed, with the look they belong to. What the scan has read is used while its stamp holds.
    pub fn server_bytes(&mut self, key: Key) -> Result<(ObjectId, Observed), Stop> {
        if let Some(arrived) = self.arrived.remove(&key) {
            return arrived;
        }
        if let Some(object) = self.read.get(&key) {
            return Ok((*object, self.observed(key)?));
        }
        let path = self.world.server_path(key)?;
        let (draft, seen) = self.hand.on.read_server(&path)?;
        let id = self.seal_draft(draft, seen.stamp.size, seen.stamp.hash)?;
        Ok((id, seen))
    }

    /// Reads what several steps will want, at once, and seals it in two transactions for all.
    pub fn read_ahead(&mut self, steps: &[(usize, &Step)]) -> Result<(), Stop> {
        let mut asked: Vec<(Key, RelPath)> = Vec::new();
        for (_, step) in steps {
            if let Some(path) = self.wants_bytes(step)? {
                asked.push((step.key, path));
            }
        }
        if asked.len() < 2 {
            return Ok(());
        }
        let on = self.hand.on;
        let answers = each(on.width.lanes, &asked, |(_, path)| on.read_server(path));
        let mut drafts = Vec::new();
        for ((key, _), answer) in asked.into_iter().zip(answers) {
            match answer {
                Ok((draft, seen)) => drafts.push((key, draft, seen)),
                Err(stop) => {
                    self.arrived.insert(key, Err(stop));
                }
            }
        }
        let sealed = self.seal_drafts(drafts)?;
        self.arrived.extend(sealed);
        Ok(())
    }

    /// Where the server has the bytes a step needs; `None` when they are here or not needed.
    fn wants_bytes(&self, step: &Step) -> Result<Option<RelPath>, Stop> {
        let wanted = matches!(step.action, Action::Bytes) && !self.read.contains_key(&step.key);
        let standing = self.world.get(step.key);
        let (Some(ino), true) = (standing.ino, wanted) else {
            return Ok(None);
        };
        let node = self.hand.on.read(|rows| Ok(rows.node(ino)?))?;
        let here = |node: Node| node.attrs.kind == Kind::File && node.bytes == Bytes::Here;
        if !node.is_some_and(here) {
            return Ok(None);
        }
        Ok(self.world.server_path(step.key).ok())
    }

    fn seal_drafts(
        &mut self,
        drafts: Vec<(Key, Draft, Observed)>,
    ) -> Result<Vec<(Key, Result<(ObjectId, Observed), Stop>)>, Stop> {
        let on = self.hand.on;
        let ids = on.commit("new-object", |txn| {
            let ids = drafts.iter().map(|_| Ok(txn.new_object()?));
            ids.collect::<Result<Vec<ObjectId>, Stop>>()
        })?;
        let mut sealed = Vec::new();
        for (id, (key, draft, seen)) in ids.iter().zip(drafts) {
            on.tree.objects().seal(draft, *id)?;
            sealed.push((key, Ok((*id, seen))));
        }
        if sealed.is_empty() {
            return Ok(sealed);
        }
        let hold = on.commit("sealed", |txn| {
            for (_, one) in &sealed {
                if let Ok((id, seen)) = one {
                    txn.put_sealed(&Sealed {
                        id: *id,
                        size: seen.stamp.size,
                        hash: seen.stamp.hash,
                        durable: false,
                    })?;
                }
            }
            Ok(txn.add_intent(HOLD, "{}", &ids)?)
        })?;
        self.holds.push(hold);
        Ok(sealed)
    }

    /// Seals a draft. An intention keeps the object until the round is over, because no row names it yet.
    pub fn seal_draft(
        &mut self,
        draft: Draft,
        size: u64,
        hash: Option<Hash>,
    ) -> Result<ObjectId, Stop> {
        let on = self.hand.on;
        let id = on.commit("new-object", |txn| Ok(txn.new_object()?))?;
        on.tree.objects().seal(draft, id)?;
        let hold = on.commit("sealed", |txn| {
            txn.put_sealed(&Sealed {
                id,
                size,
                hash,
                durable: false,
            })?;
            Ok(txn.add_intent(HOLD, "{}", &[id])?)
        })?;
        self.holds.push(hold);
        Ok(id)
    }

    /// Base and server have the same bytes from now on.
    pub fn agreed(&mut self, key: Key, seen: &Observed, rev: u64) {
        let standing = self.world.get_mut(key);
        standing.stamp = Some(seen.stamp);
        standing.agreed = true;
        standing.rev = rev;
    }
}

/// Sealed bytes of the server that are to replace what is here.
pub struct Replacing<'s> {
    ino: Ino,
    bid: Bid,
    object: ObjectId,
    seen: Observed,
    path: &'s RelPath,
}

impl Reintegrate {
    /// Replaces the bytes of a clean node, and gives its revision.
    fn replace(&self, one: &Replacing<'_>) -> Result<u64, Stop> {
        self.point("replace");
        let mut rev = 0;
        self.tree
            .replace_bytes(one.ino, one.object, None, &mut |txn, node| {
                node.attrs.mtime = one.seen.attrs.mtime;
                node.dirty = node.dirty.without(Dirty::BYTES);
                rev = node.rev;
                agree_bytes(txn, one.bid, &one.seen, None)?;
                journal(txn, "pull", node, one.path, "changed on the server")
            })?;
        self.point("replace");
        Ok(rev)
    }

    /// A file of the server in a draft, with the look its bytes belong to.
    fn read_server(&self, path: &RelPath) -> Result<(Draft, Observed), Stop> {
        let draft = self.tree.objects().draft()?;
        let fetched = self.lower.read(path, draft.file())?;
        let mut seen = fetched.seen;
        if seen.stamp.kind != Kind::File {
            return Err(Stop::Later("it became something else on the server".into()));
        }
        seen.stamp.hash = Some(fetched.hash);
        Ok((draft, seen))
    }
}

/// Base gets the server's bytes; `object` when the live file does not have them.
pub fn agree_bytes(
    txn: &WriteTxn<'_>,
    bid: crate::model::Bid,
    seen: &Observed,
    object: Option<ObjectId>,
) -> crate::tree::Result<()> {
    if let Some(mut row) = txn.base(bid).map_err(crate::tree::TreeError::from)? {
        basing::take_bytes(&mut row, seen);
        row.object = object;
        txn.put_base(&row).map_err(crate::tree::TreeError::from)?;
    }
    Ok(())
}

/// A journal row in a transaction of the tree.
pub fn journal(
    txn: &WriteTxn<'_>,
    verb: &str,
    node: &Node,
    path: &RelPath,
    detail: &str,
) -> crate::tree::Result<()> {
    let row = super::run::row(verb, Some(node.ino), path, detail);
    txn.record(&row).map_err(crate::tree::TreeError::from)
}
