//! The hand that changes the server: write the intention down, act, look at what came back, move base, clear away.

use super::basing;
use super::carrying::Carried;
use super::intents::{Body, End, Push, What};
use super::report::Report;
use super::run::Reintegrate;
use super::settle::Settled;
use super::trouble::Stop;
use super::width::each;
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

/// A change that was done and has to be agreed on.
pub struct Closing {
    /// Its intention.
    pub id: IntentId,
    /// What was written down of it.
    pub push: Push,
    /// What it left behind.
    pub outcome: Outcome,
}

/// So many nodes are kept from being written at once.
const CLOSED_AT_ONCE: usize = 64;

impl Hand<'_> {
    /// Commits what is known about the intention by now.
    pub fn update(&mut self, id: IntentId, push: &Push) -> Result<(), Stop> {
        let body = Body::Push(Box::new(push.clone()));
        self.on.commit("intent-update", |txn| body.set(txn, id))
    }

    /// Moves base, drops the intention and leaves the clearing away as the next one, in one transaction; then clears away.
    pub fn close(
        &mut self,
        id: IntentId,
        push: &Push,
        outcome: Outcome,
    ) -> Result<Option<Bid>, Stop> {
        let push = push.clone();
        let closed = self.close_all(vec![Closing { id, push, outcome }], true);
        let none = || Err(Stop::Later("nothing came of it".into()));
        let (bid, _) = closed.into_iter().next().unwrap_or_else(none)?;
        Ok(bid)
    }

    /// As [`Hand::close`] for several changes in one transaction. Without `clear` nothing is cleared away now.
    pub fn close_all(&mut self, closing: Vec<Closing>, clear: bool) -> Vec<Carried> {
        let (mut results, mut follow) = (Vec::new(), Vec::new());
        for some in closing.chunks(CLOSED_AT_ONCE) {
            let closed = match self.advance_all(some) {
                // Whose fault it was is seen when each is alone.
                Err(_) if some.len() > 1 => some
                    .iter()
                    .map(|one| self.advance_all(std::slice::from_ref(one)))
                    .map(|one| one.map(|mut one| one.pop()))
                    .collect(),
                Err(stop) => vec![Err(stop)],
                Ok(closed) => closed.into_iter().map(|one| Ok(Some(one))).collect(),
            };
            for (one, closed) in some.iter().zip(closed) {
                results.push(closed.map(|closed| {
                    let (bid, bodies) = closed.unwrap_or_default();
                    follow.extend(bodies);
                    (bid, one.outcome.seen.clone())
                }));
            }
        }
        if let Err(stop) = self.follow_up(follow, clear)
            && let Some(last) = results.last_mut()
        {
            *last = Err(stop);
        }
        results
    }

    /// Clears away. The changes themselves are agreed: trouble here stops no step.
    fn follow_up(&mut self, follow: Vec<(IntentId, Body)>, clear: bool) -> Result<(), Stop> {
        if !clear || self.lost.is_some() {
            return Ok(());
        }
        let (mut ends, mut relinks) = (Vec::new(), Vec::new());
        for (id, body) in follow {
            match body {
                Body::End(end) => ends.push((id, end)),
                Body::Relink(relink) => relinks.push((id, relink)),
                Body::Push(_) => {}
            }
        }
        let mut done = self.end_all(ends);
        for (id, relink) in relinks {
            if done.is_ok() {
                done = self.relink(id, relink);
            }
        }
        match done {
            Err(Stop::Link(why)) => {
                self.lost = Some(why);
                Ok(())
            }
            other => other,
        }
    }

    /// Ends attempts and their intentions.
    pub fn end_all(&mut self, ends: Vec<(IntentId, End)>) -> Result<(), Stop> {
        let answers = self.ask_ends(&ends);
        let (mut ended, mut silent) = (Vec::new(), None);
        for ((id, end), answer) in ends.iter().zip(answers) {
            match answer {
                Ok(()) | Err(LowerError::NotFound(_)) => ended.push(*id),
                Err(error @ LowerError::Link { .. }) => silent = Some(error),
                // The leftover is invisible to everyone; the next run tries again.
                Err(error) => {
                    let attempt = end.attempt;
                    let reason = format!(
                        "a leftover in .driftfs/tx ({}.{}) could not be cleared away: {error}",
                        attempt.txn, attempt.n
                    );
                    self.note(&RelPath::root(), reason);
                }
            }
        }
        if !ended.is_empty() {
            self.on.commit("end", |txn| {
                ended.iter().try_for_each(|id| Ok(txn.drop_intent(*id)?))
            })?;
        }
        silent.map_or(Ok(()), |error| Err(error.into()))
    }

    fn ask_ends(&self, ends: &[(IntentId, End)]) -> Vec<Result<(), LowerError>> {
        let lower = &self.on.lower;
        each(self.on.width.lanes, ends, |(_, end)| {
            lower.end(end.attempt, end.retain.as_deref())
        })
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

    /// See [`same`].
    pub fn same(&self, stamp: &Stamp, now: &Observed) -> bool {
        same(stamp, now, &self.mask)
    }

    /// A fresh attempt directory for the next try of a transaction.
    pub fn begin(&mut self, attempt: Attempt) -> Result<(), Stop> {
        self.on.point("begin");
        Ok(self.on.lower.begin(attempt)?)
    }

    /// Base takes over what was done, in one transaction: the intentions go, and what has yet to be cleared away or to follow
    /// comes in their place. Gives the base objects.
    fn advance_all(
        &self,
        closing: &[Closing],
    ) -> Result<Vec<(Option<Bid>, Vec<(IntentId, Body)>)>, Stop> {
        let sent = |one: &Closing| match &one.push.what {
            What::Make { sent, .. } | What::Replace { sent, .. } => Some((one.push.ino, sent.rev)),
            _ => None,
        };
        let nodes: Vec<_> = closing.iter().map(sent).collect();
        let mut bids: Vec<Option<Bid>> = Vec::new();
        let mut follow = Vec::new();
        self.on
            .settle_all(&nodes, &mut |txn, at, node, unchanged| {
                let Some(one) = closing.get(at) else {
                    return Ok(());
                };
                bids.push(if nodes[at].is_some() {
                    Some(sent_to_base(txn, &one.push, &one.outcome, node, unchanged)?)
                } else {
                    names_to_base(txn, &one.push, one.outcome.seen.as_ref())?;
                    one.push.bid
                });
                txn.drop_intent(one.id)?;
                let bodies = one.follow();
                let added = bodies.into_iter().map(|body| Ok((body.add(txn)?, body)));
                follow.push(added.collect::<Result<Vec<_>, Stop>>()?);
                Ok(())
            })?;
        Ok(bids.into_iter().zip(follow).collect())
    }
}

impl Closing {
    /// What remains to be done on the server.
    fn follow(&self) -> Vec<Body> {
        let end = Body::End(End {
            attempt: self.push.attempt,
            retain: self.outcome.retain.clone(),
        });
        let relink = self.push.relink(self.outcome.seen.as_ref());
        std::iter::once(end)
            .chain(relink.map(Body::Relink))
            .collect()
    }
}

/// True when `now` is the object of `stamp`, by what this server gives stably.
pub fn same(stamp: &Stamp, now: &Observed, mask: &Mask) -> bool {
    let alike = stamp.size == now.stamp.size && stamp.mtime == now.stamp.mtime;
    stamp.same_object(&now.stamp, mask) && (mask.ino || alike)
}

/// Where what loses its name under a transaction is kept on the server.
pub fn label(txn: TxnId) -> String {
    let day = jiff::Timestamp::from_second(crate::sys::now().sec).unwrap_or_default();
    format!("{}/{txn}", day.strftime("%Y-%m-%d"))
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
fn names_to_base(txn: &WriteTxn<'_>, push: &Push, seen: Option<&Observed>) -> Result<(), Stop> {
    let Some(bid) = push.bid else { return Ok(()) };
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
