//! Several independent changes of the server at once, each written down before every step it takes.
//!
//! What one change does, and in which order, is the same as if it were alone: its intention is committed, then it is begun
//! and staged, what was staged is committed, then it gets its name, then base moves, then it is cleared away. Doing
//! many at once only lets them share the transactions and wait for the server together.

use super::asking::{Answered, Asking, Work};
use super::hand::{Closing, Hand};
use super::intents::{Body, Push, What};
use super::resume::Finished;
use super::trouble::Stop;
use super::width::each;
use crate::lower::Done;
use crate::model::{Bid, IntentId, Observed};

/// What became of one change: the base object and what is there now.
pub type Carried = Result<(Option<Bid>, Option<Observed>), Stop>;

/// A change under way.
struct Moving {
    id: IntentId,
    work: Work,
    staged: Option<Done>,
    /// Why it goes no further.
    stopped: Option<Stop>,
}

impl Hand<'_> {
    /// Carries out changes that do not depend on each other, and gives what became of each. One that fails while the
    /// server still answers is finished or taken back at once, as after a crash; without an answer its intention stays
    /// for the next run.
    pub fn carry_all(&mut self, works: Vec<Work>) -> Result<Vec<Carried>, Stop> {
        let asking = Asking::new(self.on, self.mask);
        let mut moving = self.write_down(works)?;
        self.begin_all(&asking, &mut moving)?;
        let answers = self.finish_all(&asking, &mut moving);
        Ok(self.conclude_all(moving, answers))
    }

    fn write_down(&self, works: Vec<Work>) -> Result<Vec<Moving>, Stop> {
        let body = |work: &Work| Body::Push(Box::new(work.push.clone()));
        let bodies: Vec<Body> = works.iter().map(body).collect();
        let ids = self.on.commit("intent", |txn| {
            let ids = bodies.iter().map(|body| body.add(txn));
            ids.collect::<Result<Vec<IntentId>, Stop>>()
        })?;
        let all = ids.into_iter().zip(works);
        Ok(all
            .map(|(id, work)| Moving {
                id,
                work,
                staged: None,
                stopped: None,
            })
            .collect())
    }

    /// The hidden halves, and what there is to write down of them.
    fn begin_all(&mut self, asking: &Asking<'_>, moving: &mut [Moving]) -> Result<(), Stop> {
        let begun = each(self.on.width.lanes, moving, |one| asking.begin(&one.work));
        for (one, begun) in moving.iter_mut().zip(begun) {
            match begun {
                Ok(Some(done)) => one.staged(done),
                Ok(None) => {}
                Err(stop) => one.stopped = Some(stop),
            }
        }
        let staged = || moving.iter().filter(|one| one.staged.is_some());
        if staged().next().is_some() {
            let bodies: Vec<(IntentId, Body)> = staged()
                .map(|one| (one.id, Body::Push(Box::new(one.work.push.clone()))))
                .collect();
            self.on.commit("intent-update", |txn| {
                bodies.iter().try_for_each(|(id, body)| body.set(txn, *id))
            })?;
        }
        let taking = |one: &Moving| one.stopped.is_none() && one.work.takes_a_name();
        if moving.iter().any(taking) {
            self.on.tree.sync_names()?;
        }
        Ok(())
    }

    fn finish_all(&mut self, asking: &Asking<'_>, moving: &mut [Moving]) -> Vec<Option<Answered>> {
        let answers = each(self.on.width.lanes, moving, |one| {
            let goes_on = one.stopped.is_none();
            goes_on.then(|| asking.finish(&one.work, one.staged.as_ref()))
        });
        let mut answered = Vec::with_capacity(moving.len());
        for (one, answer) in moving.iter_mut().zip(answers) {
            answered.push(match answer {
                Some(Ok(answer)) => Some(answer),
                Some(Err(stop)) => {
                    one.stopped = Some(stop);
                    None
                }
                None => None,
            });
        }
        answered
    }

    /// What succeeded moves base; what failed is taken back, as long as the server answers.
    fn conclude_all(
        &mut self,
        moving: Vec<Moving>,
        answers: Vec<Option<Answered>>,
    ) -> Vec<Carried> {
        let mut results: Vec<Option<Carried>> = Vec::with_capacity(moving.len());
        let (mut closing, mut failed) = (Vec::new(), Vec::new());
        for (at, (one, answer)) in moving.into_iter().zip(answers).enumerate() {
            results.push(None);
            let path = one.work.push.path.clone();
            let dones = one
                .staged
                .iter()
                .chain(answer.iter().filter_map(|a| a.done.as_ref()));
            dones.for_each(|done| self.remarks(&path, done));
            match (answer, one.stopped) {
                (Some(answer), None) => closing.push((
                    at,
                    Closing {
                        id: one.id,
                        push: one.work.push,
                        outcome: answer.outcome,
                    },
                )),
                (_, stop) => failed.push((at, one.id, one.work.push, stop)),
            }
        }
        let silent = failed
            .iter()
            .any(|(.., stop)| matches!(stop, Some(Stop::Link(_))));
        let (places, closing): (Vec<usize>, Vec<Closing>) = closing.into_iter().unzip();
        for (at, closed) in places.into_iter().zip(self.close_all(closing, !silent)) {
            results[at] = Some(closed);
        }
        for (at, id, push, stop) in failed {
            results[at] = Some(self.give_up(id, push, stop));
        }
        let missing = || Err(Stop::Later("nothing came of it".into()));
        results
            .into_iter()
            .map(|one| one.unwrap_or_else(missing))
            .collect()
    }

    fn give_up(&mut self, id: IntentId, push: Push, stop: Option<Stop>) -> Carried {
        let why = stop.unwrap_or_else(|| Stop::Later("nothing came of it".into()));
        if matches!(why, Stop::Link(_) | Stop::Fatal(_)) || self.lost.is_some() {
            return Err(why);
        }
        match self.recover(id, push) {
            Ok(finished) => Finished::ok_or(finished, why),
            Err(Stop::Link(silent)) => {
                // The others need not wait for it too.
                self.lost = Some(silent.clone());
                Err(Stop::Link(silent))
            }
            Err(stop) => Err(stop),
        }
    }
}

impl Moving {
    fn staged(&mut self, done: Done) {
        if let What::Make { sent, .. } | What::Replace { sent, .. } = &mut self.work.push.what {
            sent.hash = sent.hash.or(done.seen.stamp.hash);
            sent.staged = Some(done.seen.stamp);
        }
        self.staged = Some(done);
    }
}
