//! Both sides changed the bytes: a driver merges them, or the disagreement is stored.

use std::io::{Read, Seek, SeekFrom, Write};

use super::job::Job;
use super::steps::{Clash, Step};
use super::taking::{agree_bytes, journal};
use super::trouble::Stop;
use super::universe::Key;
use crate::fetch::Stale;
use crate::merge::{self, Labels, MAX_TEXT, Merged};
use crate::model::{Bid, ConflictKind, Dirty, Ino, ObjectId, Observed, RelPath};
use crate::variants::Proposal;

/// Three sealed versions of one file.
struct Versions {
    base: Option<ObjectId>,
    client: ObjectId,
    server: ObjectId,
    /// The look the server's bytes belong to.
    seen: Observed,
    /// Revision of the client's.
    rev: u64,
}

impl Job<'_> {
    /// Merges three versions into the live file, or stores a conflict with the driver's proposal. Markers never go into
    /// the live file.
    pub fn merge(&mut self, step: &Step) -> Result<(), Stop> {
        let (key, path) = (step.key, &step.path);
        let ino = self.world.ino(key)?;
        let bid = self.world.bid(key)?;
        if self.hand.on.tree.written_now().contains(&ino) {
            return Err(Stop::Pending(
                "both sides changed it, and a program has it open for writing here. \
                 Next: close it; it is merged with the next sync"
                    .into(),
            ));
        }
        let versions = self.versions(key, ino, bid)?;
        match self.proposal(&versions)? {
            Some(merged) if merged.clean => {
                let object = self.seal_bytes(&merged.bytes)?;
                self.place_merged(key, ino, bid, object, &versions, path)
            }
            proposal => {
                let object = proposal
                    .map(|one| self.seal_bytes(&one.bytes))
                    .transpose()?;
                let merged = object.map(|object| Proposal {
                    object,
                    markers: true,
                });
                let clash = Clash {
                    key,
                    other: None,
                    kind: ConflictKind::Content,
                    path: path.clone(),
                    rule: step.rule,
                };
                self.store_conflict(&clash, merged)?;
                Err(Stop::Conflict)
            }
        }
    }

    fn versions(&mut self, key: Key, ino: Ino, bid: Bid) -> Result<Versions, Stop> {
        let (client, rev) = self.hand.on.tree.seal_now(ino)?;
        self.lent.push(client);
        let base = self.hand.on.tree.base_bytes(bid)?;
        self.lent.extend(base);
        let (server, seen) = self.server_bytes(key)?;
        Ok(Versions {
            base,
            client,
            server,
            seen,
            rev,
        })
    }

    /// What the driver says: merged bytes, or a proposal with markers. `None` when no driver takes it.
    fn proposal(&self, versions: &Versions) -> Result<Option<Merged>, Stop> {
        let Some(base) = versions.base else {
            return Ok(None);
        };
        let all = [base, versions.client, versions.server].map(|object| self.content_of(object));
        let [base, client, server] = all;
        let (Some(base), Some(client), Some(server)) = (base?, client?, server?) else {
            return Ok(None);
        };
        let labels = Labels::default();
        Ok(merge::merge(&base, &client, &server, labels).ok())
    }

    /// The bytes of a sealed object; `None` when they are too many for a driver.
    fn content_of(&self, object: ObjectId) -> Result<Option<Vec<u8>>, Stop> {
        let file = self.hand.on.tree.objects().open_sealed(object)?;
        let mut bytes = Vec::new();
        file.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes)?;
        Ok((bytes.len() <= MAX_TEXT).then_some(bytes))
    }

    /// A sealed object with these bytes, kept until the round is over.
    fn seal_bytes(&mut self, bytes: &[u8]) -> Result<ObjectId, Stop> {
        let draft = self.hand.on.tree.objects().draft()?;
        let mut file = draft.file();
        file.write_all(bytes)?;
        file.seek(SeekFrom::Start(0))?;
        self.seal_draft(draft, bytes.len() as u64, None)
    }

    /// The merged bytes become the live file while base becomes the server's version: from here it is an ordinary
    /// one-sided change. The client's own version stays in the snapshot taken before.
    fn place_merged(
        &mut self,
        key: Key,
        ino: Ino,
        bid: Bid,
        object: ObjectId,
        versions: &Versions,
        path: &RelPath,
    ) -> Result<(), Stop> {
        let seen = &versions.seen;
        let mut rev = versions.rev;
        self.hand.on.point("merged");
        self.hand
            .on
            .tree
            .replace_bytes(ino, object, Some(versions.rev), &mut |txn, node| {
                node.attrs.mtime = node.attrs.mtime.max(seen.attrs.mtime);
                node.dirty = node.dirty.with(Dirty::BYTES);
                rev = node.rev;
                agree_bytes(txn, bid, seen, Some(versions.server))?;
                journal(txn, "merge", node, path, "text")
            })?;
        self.hand.on.point("merged");
        self.agreed(key, seen, rev);
        self.stale.push(Stale::Node(ino));
        self.touched.insert(ino);
        Ok(())
    }
}
