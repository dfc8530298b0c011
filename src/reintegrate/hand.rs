//! The hand that changes the server: write the intention down, act, look at what came back, move base, clear away.

use super::basing;
use super::intents::{Body, End, Push, What};
use super::report::Report;
use super::run::Reintegrate;
use super::settle::Settled;
use super::trouble::Stop;
use super::world::carried;
use crate::lower::{Attempt, Done, LowerError};
use crate::meta::WriteTxn;
use crate::model::{Bid, IntentId, Kind, Mask, Observed, Problem, RelPath, Stamp, TxnId, Xattrs};

/// One run's hold on the server.
pub struct Hand<'a> {
    /// The room.
    pub on: &'a Reintegrate,
    /// What is told afterwards.
    pub report: &'a mut Report,
    /// Which stamp fields count on this server.
    pub mask: Mask,
    /// Set when the server stopped answering after a change was already agreed on.
    pub lost: Option<String>,
    /// Set when this run must not look at the server again.
    pub halt: bool,
}

/// What a change of the server left behind.
pub struct Outcome {
    /// The object now; `None` when it is gone.
    pub seen: Option<Observed>,
    /// Its extended attributes as we sent them, where the look did not say.
    pub xattrs: Option<Xattrs>,
    /// Where the object that lost its name is to be kept.
    pub retain: Option<String>,
}

impl Outcome {
    /// The object is there, nothing lost its name.
    pub fn there(seen: Observed) -> Outcome {
        Outcome {
            seen: Some(seen),
            xattrs: None,
            retain: None,
        }
    }

    /// The object is gone and kept.
    pub fn gone(retain: Option<String>) -> Outcome {
        Outcome {
            seen: None,
            xattrs: None,
            retain,
        }
    }
}

impl Hand<'_> {
    /// Commits the intention. Nothing on the server has changed before this.
    pub fn open(&mut self, push: &Push) -> Result<IntentId, Stop> {
        let body = Body::Push(Box::new(push.clone()));
        self.on.commit("intent", |txn| body.add(txn))
    }

    /// Commits what is known about the intention by now.
    pub fn update(&mut self, id: IntentId, push: &Push) -> Result<(), Stop> {
        let body = Body::Push(Box::new(push.clone()));
        self.on.commit("intent-update", |txn| body.set(txn, id))
    }

    /// Runs `act` between intention and agreement. When it fails and the server still answers, what it left is finished
    /// or taken back at once, as after a crash; without an answer the intention stays for the next run.
    pub fn carry(
        &mut self,
        mut push: Push,
        act: impl FnOnce(&mut Self, IntentId, &mut Push) -> Result<Outcome, Stop>,
    ) -> Result<(Option<Bid>, Option<Observed>), Stop> {
        let id = self.open(&push)?;
        match act(self, id, &mut push) {
            Ok(outcome) => {
                let seen = outcome.seen.clone();
                let bid = self.close(id, &push, outcome)?;
                Ok((bid, seen))
            }
            Err(stop @ (Stop::Link(_) | Stop::Fatal(_))) => Err(stop),
            Err(why) => match self.recover(id, push)? {
                Some((bid, seen)) => Ok((bid, seen)),
                None => Err(why),
            },
        }
    }

    /// Moves base, drops the intention and leaves the clearing away as the next one, in one transaction; then clears away.
    pub fn close(
        &mut self,
        id: IntentId,
        push: &Push,
        outcome: Outcome,
    ) -> Result<Option<Bid>, Stop> {
        let end = Body::End(End {
            attempt: push.attempt,
            retain: outcome.retain.clone(),
        });
        let relink = push.relink(outcome.seen.as_ref()).map(Body::Relink);
        let mut follow = Vec::new();
        let bid = self.advance(push, &outcome, &mut |txn| {
            txn.drop_intent(id)?;
            follow = vec![(end.add(txn)?, end.clone())];
            if let Some(body) = &relink {
                follow.push((body.add(txn)?, body.clone()));
            }
            Ok(())
        })?;
        for (id, body) in follow {
            self.follow_up(id, body)?;
        }
        Ok(bid)
    }

    /// Clears away. The change itself is agreed: trouble here stops no step.
    fn follow_up(&mut self, id: IntentId, body: Body) -> Result<(), Stop> {
        if self.lost.is_some() {
            return Ok(());
        }
        let done = match body {
            Body::End(end) => self.end(id, &end),
            Body::Relink(relink) => self.relink(id, relink),
            Body::Push(_) => Ok(()),
        };
        match done {
            Err(Stop::Link(why)) => {
                self.lost = Some(why);
                Ok(())
            }
            other => other,
        }
    }

    /// Ends an attempt and its intention.
    pub fn end(&mut self, id: IntentId, end: &End) -> Result<(), Stop> {
        match self.on.lower.end(end.attempt, end.retain.as_deref()) {
            Ok(()) | Err(LowerError::NotFound(_)) => {
                self.on.commit("end", |txn| Ok(txn.drop_intent(id)?))
            }
            Err(error @ LowerError::Link { .. }) => Err(error.into()),
            // The leftover is invisible to everyone; the next run tries again.
            Err(error) => {
                let attempt = end.attempt;
                let reason = format!(
                    "a leftover in .driftfs/tx ({}.{}) could not be cleared away: {error}",
                    attempt.txn, attempt.n
                );
                self.note(&RelPath::root(), reason);
                Ok(())
            }
        }
    }

    /// A remark that blocks nothing.
    pub fn note(&mut self, path: &RelPath, reason: String) {
        let path = path.clone();
        self.report.notes.push(Problem { path, reason });
    }

    /// Tells what the server would not take, and a loss that may have happened.
    pub fn remarks(&mut self, path: &RelPath, done: &Done) {
        for refused in &done.refused {
            self.note(path, format!("the server does not keep {refused}"));
        }
        if done.possible_loss {
            let reason = "another program replaced this file in the same instant; both versions are in .driftfs/retained on the server".to_string();
            let path = path.clone();
            self.report.possible_loss.push(Problem { path, reason });
        }
    }

    /// True when `now` is the object of `stamp`, by what this server gives stably.
    pub fn same(&self, stamp: &Stamp, now: &Observed) -> bool {
        let alike = stamp.size == now.stamp.size && stamp.mtime == now.stamp.mtime;
        stamp.same_object(&now.stamp, &self.mask) && (self.mask.ino || alike)
    }

    /// Where what loses its name under a transaction is kept on the server.
    pub fn label(&self, txn: TxnId) -> String {
        let day = jiff::Timestamp::from_second(crate::sys::now().sec).unwrap_or_default();
        format!("{}/{txn}", day.strftime("%Y-%m-%d"))
    }

    /// A fresh attempt directory for the next try of a transaction.
    pub fn begin(&mut self, attempt: Attempt) -> Result<(), Stop> {
        self.on.point("begin");
        Ok(self.on.lower.begin(attempt)?)
    }

    /// Base takes over what was done. `finish` runs in the same transaction. Gives the base object.
    fn advance(
        &mut self,
        push: &Push,
        outcome: &Outcome,
        finish: &mut dyn FnMut(&WriteTxn<'_>) -> Result<(), Stop>,
    ) -> Result<Option<Bid>, Stop> {
        match &push.what {
            What::Make { sent, .. } | What::Replace { sent, .. } => {
                let mut bid = push.bid;
                self.on
                    .settle(push.ino, sent.rev, &mut |txn, node, unchanged| {
                        bid = Some(sent_to_base(txn, push, outcome, node, unchanged)?);
                        finish(txn)
                    })?;
                Ok(bid)
            }
            _ => {
                self.on.commit("advance", |txn| {
                    if let Some(bid) = push.bid {
                        names_to_base(txn, push, bid, outcome.seen.as_ref())?;
                    }
                    finish(txn)
                })?;
                Ok(push.bid)
            }
        }
    }
}

/// A made or replaced object: the base row is what the server shows; the sent bytes stay as base bytes when the live
/// file has moved on since.
fn sent_to_base(
    txn: &WriteTxn<'_>,
    push: &Push,
    outcome: &Outcome,
    node: Settled<'_>,
    unchanged: bool,
) -> Result<Bid, Stop> {
    let seen = outcome
        .seen
        .as_ref()
        .ok_or_else(|| Stop::Later("it vanished from the server at once".into()))?;
    let (sent, at) = match &push.what {
        What::Make { sent, at } => (sent, Some(at)),
        What::Replace { sent, .. } => (sent, None),
        _ => return Err(Stop::Later("not a change of bytes".into())),
    };
    let bid = match push.bid {
        Some(bid) => bid,
        None => txn.new_bid()?,
    };
    let mut row = match txn.base(bid)? {
        Some(mut row) if at.is_none() => {
            basing::take_bytes(&mut row, seen);
            row
        }
        _ => basing::row(bid, seen, outcome.xattrs.clone()),
    };
    row.hash = row.hash.or(sent.hash);
    row.object = if unchanged { None } else { sent.object };
    match at {
        Some(at) => basing::make(txn, &row, at)?,
        None => txn.put_base(&row)?,
    }
    if let Some(node) = node {
        basing::inherit(txn, node, bid)?;
        if unchanged {
            node.dirty = node.dirty.without(crate::model::Dirty::BYTES);
        }
    }
    Ok(bid)
}

/// Names and attributes.
fn names_to_base(
    txn: &WriteTxn<'_>,
    push: &Push,
    bid: Bid,
    seen: Option<&Observed>,
) -> Result<(), Stop> {
    let (expect, mtime_set) = match &push.what {
        What::Move {
            off, at, expect, ..
        } => {
            basing::move_place(txn, bid, off, at)?;
            (expect, false)
        }
        What::Link { at, expect, .. } => {
            basing::place(txn, bid, at)?;
            (expect, false)
        }
        What::Unlink { off, expect } => {
            basing::displace(txn, bid, off)?;
            (expect, false)
        }
        What::Remove { .. } => return basing::remove(txn, bid),
        What::Set { change, expect } => {
            attributes_to_base(txn, bid, change, seen)?;
            (expect, change.mtime.is_some())
        }
        What::Make { .. } | What::Replace { .. } => return Ok(()),
    };
    let Some(seen) = seen.filter(|_| push.agreed) else {
        return Ok(());
    };
    basing::change(txn, bid, |row| {
        row.stamp = carried(expect, &seen.stamp, mtime_set);
        row.stamp.hash = row.stamp.hash.or(row.hash);
    })
}

/// The attributes of a change become base's, as the server shows them where it was asked.
fn attributes_to_base(
    txn: &WriteTxn<'_>,
    bid: Bid,
    change: &crate::lower::SetAttrs,
    seen: Option<&Observed>,
) -> Result<(), Stop> {
    basing::change(txn, bid, |row| {
        let shown = seen.and_then(|seen| seen.xattrs.clone());
        let known = row.xattrs.clone().or(shown);
        let mut xattrs = known.clone().unwrap_or_default();
        basing::apply(&mut row.attrs, &mut xattrs, change);
        if known.is_some() || !change.xattrs.is_empty() {
            row.xattrs = Some(xattrs);
        }
        if let Some(seen) = seen {
            row.attrs.mode = change.mode.map_or(row.attrs.mode, |_| seen.attrs.mode);
            row.attrs.uid = change.uid.map_or(row.attrs.uid, |_| seen.attrs.uid);
            row.attrs.gid = change.gid.map_or(row.attrs.gid, |_| seen.attrs.gid);
            let timed = change.mtime.is_some() && row.attrs.kind != Kind::Dir;
            row.attrs.mtime = if timed {
                seen.attrs.mtime
            } else {
                row.attrs.mtime
            };
        }
    })
}
