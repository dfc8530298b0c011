//! Finishing or taking back what a crash, a lost reply or a refusal left: asked of the server, never assumed.
//!
//! First the attempt is fenced, so that a call of a killed agent that executes late finds nothing to rename. Then the
//! server is looked at: what shows our staged object, or holds what we took, was done and base moves; everything else is
//! taken back and the next plan decides anew. In doubt it counts as not done: that can only bring a conflict, never a loss.

use super::basing;
use super::hand::{Hand, Outcome, label};
use super::intents::{Body, Push, Relink, What};
use super::taking::HOLD;
use super::trouble::Stop;
use super::world::carried;
use crate::lower::{Attempt, AttemptState, Expect, LowerError};
use crate::model::{Bid, IntentId, Kind, Name, Observed, Problem, RelPath, Stamp};

/// What became of an intention that was left: `None` when it was taken back.
pub type Finished = Option<(Option<Bid>, Option<Observed>)>;

impl Hand<'_> {
    /// Finishes or takes back everything earlier runs left. Stops at the first silence of the server.
    pub fn resume(&mut self) -> Result<(), Stop> {
        let intents = self.on.read(|rows| Ok(rows.intents()?))?;
        for intent in intents {
            match Body::read(&intent).map_err(Stop::Fatal)? {
                Some(Body::Push(push)) => {
                    let path = push.path.clone();
                    match self.recover(intent.id, *push) {
                        Ok(_) => {}
                        Err(Stop::Pending(reason)) => {
                            self.report.pending.push(Problem { path, reason });
                        }
                        Err(Stop::Later(_) | Stop::Conflict) => {}
                        Err(stop) => return Err(stop),
                    }
                }
                Some(Body::End(end)) => self.end_all(vec![(intent.id, end)])?,
                Some(Body::Relink(relink)) => {
                    let from = relink.attempt;
                    let relink = self.fence_relink(from, relink)?;
                    self.relink(intent.id, relink)?;
                }
                None if intent.kind == HOLD => {
                    self.on
                        .commit("hold", |txn| Ok(txn.drop_intent(intent.id)?))?;
                }
                None => {}
            }
            if let Some(why) = self.lost.take() {
                return Err(Stop::Link(why));
            }
        }
        Ok(())
    }

    /// Finishes or takes back one change.
    pub fn recover(&mut self, id: IntentId, mut push: Push) -> Result<Finished, Stop> {
        let next = Attempt {
            txn: push.attempt.txn,
            n: push.attempt.n + 1,
        };
        self.on.point("fence");
        let state = self.on.lower.fence(push.attempt, next)?;
        push.attempt = next;
        self.update(id, &push)?;
        let outcome = match &push.what {
            What::Make { .. } | What::Replace { .. } => self.was_published(&push, &state)?,
            What::Move { from, expect, .. } => {
                self.was_moved(&push, &from.clone(), &expect.clone(), &state)?
            }
            What::Link { expect, .. } => {
                let there = self.on.lower.look(&push.path, false)?;
                there
                    .filter(|seen| self.same(expect, seen))
                    .map(Outcome::there)
            }
            What::Unlink { expect, .. } | What::Remove { expect } => {
                self.was_taken(&push, &expect.clone(), &state)
            }
            What::Set { change, expect } => {
                let there = self.on.lower.look(&push.path, true)?;
                there
                    .filter(|seen| expect.same_object(&seen.stamp, &self.mask))
                    .filter(|seen| basing::fulfils(&seen.attrs, seen.xattrs.as_ref(), change))
                    .map(Outcome::there)
            }
        };
        self.conclude(id, &push, outcome, &state)
    }

    fn conclude(
        &mut self,
        id: IntentId,
        push: &Push,
        outcome: Option<Outcome>,
        state: &AttemptState,
    ) -> Result<Finished, Stop> {
        if let Some(outcome) = outcome {
            let seen = outcome.seen.clone();
            let bid = self.close(id, push, outcome)?;
            return Ok(Some((bid, seen)));
        }
        // Taken back. What lies in `old` though we do not know it as ours is somebody's version: it is kept.
        // With another name it is safe there, and a link from us would only make its link count wrong.
        let only = |old: &&Observed| old.stamp.kind != Kind::Dir && old.nlink < 2;
        let keep = state.old.as_ref().filter(only);
        let retain = keep.map(|_| label(push.attempt.txn));
        let end = super::intents::End {
            attempt: push.attempt,
            retain,
        };
        let body = Body::End(end.clone());
        let id = self.on.commit("taken-back", |txn| {
            txn.drop_intent(id)?;
            body.add(txn)
        })?;
        self.end_all(vec![(id, end)])?;
        Ok(None)
    }

    /// Did the staged object get its name?
    fn was_published(
        &mut self,
        push: &Push,
        state: &AttemptState,
    ) -> Result<Option<Outcome>, Stop> {
        let (What::Make { sent, .. } | What::Replace { sent, .. }) = &push.what else {
            return Ok(None);
        };
        let Some(staged) = sent.staged else {
            return Ok(None);
        };
        let there = self.on.lower.look(&push.path, true)?;
        let ours = there.filter(|seen| self.same(&staged, seen));
        let waiting = state.new.as_ref();
        let mut seen = match (ours, waiting) {
            // Exchanged, but what came out was never compared: it may be a third party's. It goes back to its name.
            (Some(seen), Some(other)) if !self.same(&staged, other) => {
                self.exchange_back(push.attempt, &push.path, &seen)?;
                return Ok(None);
            }
            (Some(seen), _) => seen,
            // Taken out to make room, and the room was never filled.
            (None, Some(new)) if state.old.is_some() && self.same(&staged, new) => {
                match self.publish_at(push.attempt, &push.path)? {
                    Some(seen) => seen,
                    None => return Ok(None),
                }
            }
            (None, _) => return Ok(None),
        };
        // Written by somebody since: base gets what we sent, so that the next scan sees their change.
        if (seen.stamp.size, seen.stamp.mtime) == (staged.size, staged.mtime) {
            seen.stamp.hash = seen.stamp.hash.or(sent.hash);
        } else {
            seen.attrs.size = staged.size;
            seen.attrs.mtime = staged.mtime;
            seen.stamp = staged;
        }
        let mut outcome = Outcome::there(seen);
        outcome.retain = state.old.as_ref().map(|_| label(push.attempt.txn));
        Ok(Some(outcome))
    }

    fn exchange_back(
        &mut self,
        attempt: Attempt,
        path: &RelPath,
        ours: &Observed,
    ) -> Result<(), Stop> {
        let expect = Expect::Is(ours.stamp);
        match self.on.lower.publish(attempt, path, &expect) {
            Ok(_) => Ok(()),
            Err(error @ (LowerError::Link { .. } | LowerError::Local { .. })) => Err(error.into()),
            Err(error) => Err(Stop::Pending(format!(
                "what was under this name when it was sent is safe in .driftfs/tx on the server, and could not be put \
                 back yet ({error}). Next: driftfs sync"
            ))),
        }
    }

    /// Did the object lose its name to us? Something else in the slot was taken in the instant of a crash: it is kept.
    fn was_taken(&mut self, push: &Push, expect: &Stamp, state: &AttemptState) -> Option<Outcome> {
        let old = state.old.as_ref()?;
        if !self.same(expect, old) {
            let kept = label(push.attempt.txn);
            let reason = format!(
                "another program had just put a new version there when it was removed; that version is \
                 .driftfs/retained/{kept} on the server"
            );
            let path = push.path.clone();
            self.report.possible_loss.push(Problem { path, reason });
            return None;
        }
        let kept = old.stamp.kind != Kind::Dir && old.nlink < 2;
        Some(Outcome::gone(kept.then(|| label(push.attempt.txn))))
    }

    /// A move is finished if it can be, else taken back; the object never stays nameless.
    fn was_moved(
        &mut self,
        push: &Push,
        from: &RelPath,
        expect: &Stamp,
        state: &AttemptState,
    ) -> Result<Option<Outcome>, Stop> {
        if state.new.is_none() {
            let there = self.on.lower.look(&push.path, false)?;
            let there = there.filter(|seen| self.same(expect, seen));
            return Ok(there.map(Outcome::there));
        }
        if let Some(seen) = self.publish_at(push.attempt, &push.path)? {
            return Ok(Some(Outcome::there(seen)));
        }
        if self.publish_at(push.attempt, from)?.is_some() {
            return Ok(None);
        }
        for spare in spare_names(from, push.attempt) {
            if self.publish_at(push.attempt, &spare)?.is_some() {
                let reason = format!(
                    "its old and its new name were taken meanwhile; on the server it is {spare} now"
                );
                self.note(&push.path, reason);
                return Ok(None);
            }
        }
        Err(Stop::Pending(
            "it could get neither its new nor its old name on the server; it is safe in .driftfs/tx there. \
             Next: driftfs sync"
                .into(),
        ))
    }

    /// Gives slot `new` a free name; `None` when that is not possible there.
    fn publish_at(&mut self, attempt: Attempt, to: &RelPath) -> Result<Option<Observed>, Stop> {
        match self.on.lower.publish(attempt, to, &Expect::Absent) {
            Ok(done) => Ok(Some(done.seen)),
            Err(error @ (LowerError::Link { .. } | LowerError::Local { .. })) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    fn fence_relink(&mut self, from: Attempt, mut relink: Relink) -> Result<Relink, Stop> {
        relink.attempt.n += 1;
        self.on.lower.fence(from, relink.attempt)?;
        self.on.lower.end(relink.attempt, None)?;
        Ok(relink)
    }

    /// Lets the other names of a replaced object follow to the new one. Names that lead elsewhere by now are left alone.
    pub fn relink(&mut self, id: IntentId, mut relink: Relink) -> Result<(), Stop> {
        while let Some(other) = relink.others.last().cloned() {
            relink.attempt.n += 1;
            let body = Body::Relink(relink.clone());
            self.on.commit("relink", |txn| body.set(txn, id))?;
            match self.follow(&relink, &other) {
                Err(Stop::Pending(reason)) if !relink.refused => {
                    return self.try_once_more(id, relink, reason);
                }
                Err(Stop::Pending(reason)) => self.note(&other, reason),
                Err(Stop::Later(_)) | Ok(()) => {}
                Err(stop) => return Err(stop),
            }
            self.on.lower.end(relink.attempt, None)?;
            relink.others.pop();
        }
        let now = self.on.lower.look(&relink.main, false)?;
        self.on.commit("relinked", |txn| {
            if let Some(now) = &now {
                basing::change(txn, relink.bid, |row| {
                    row.stamp = carried(&row.stamp, &now.stamp, false);
                })?;
            }
            Ok(txn.drop_intent(id)?)
        })
    }

    /// A name that was refused once is tried again by the next run, before it looks at the server. This run must not look
    /// any more: it would take the parted names for somebody's work.
    fn try_once_more(
        &mut self,
        id: IntentId,
        mut relink: Relink,
        reason: String,
    ) -> Result<(), Stop> {
        self.on.lower.end(relink.attempt, None)?;
        self.halt = true;
        let path = relink.main.clone();
        self.report.pending.push(Problem { path, reason });
        relink.refused = true;
        let body = Body::Relink(relink);
        self.on.commit("relink-refused", |txn| body.set(txn, id))
    }

    fn follow(&mut self, relink: &Relink, other: &RelPath) -> Result<(), Stop> {
        let there = self.on.lower.look(other, false)?;
        let alike = |seen: &Observed| {
            self.same(&relink.old, seen)
                && (seen.stamp.size, seen.stamp.mtime) == (relink.old.size, relink.old.mtime)
        };
        let Some(seen) = there.filter(alike) else {
            return Ok(());
        };
        self.begin(relink.attempt)?;
        let expect = Expect::Object(relink.new);
        self.on.lower.link(relink.attempt, &relink.main, &expect)?;
        let expect = Expect::Is(seen.stamp);
        self.on.lower.publish(relink.attempt, other, &expect)?;
        Ok(())
    }
}

/// Names for an object that can have neither its old nor its new one: beside the old one, then in the root.
fn spare_names(from: &RelPath, attempt: Attempt) -> Vec<RelPath> {
    let Some((dir, name)) = from.split() else {
        return Vec::new();
    };
    let mut bytes = name.bytes().to_vec();
    let tail = format!(" (moved {}.{})", attempt.txn, attempt.n).into_bytes();
    bytes.truncate(Name::MAX - tail.len());
    bytes.extend(tail);
    let Ok(name) = Name::new(&bytes) else {
        return Vec::new();
    };
    vec![dir.join(&name), RelPath::root().join(&name)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TxnId;

    #[test]
    fn a_spare_name_fits_and_differs() {
        let long = Name::new(&[b'x'; 255]).unwrap();
        let from = RelPath::root().join(&Name::new(b"d").unwrap()).join(&long);
        let attempt = Attempt {
            txn: TxnId(9),
            n: 2,
        };
        let spares = spare_names(&from, attempt);
        assert_eq!(spares.len(), 2);
        assert_eq!(spares[0].names().len(), 2);
        assert_eq!(spares[1].names().len(), 1);
        assert!(spares.iter().all(|spare| *spare != from));
    }
}
