//! The two halves of a change of the server: what happens in its attempt directory, then what gives or takes a visible
//! name. Several changes may be in each half at once; what is written down between them is in `carrying.rs`.

use std::sync::{Mutex, PoisonError};

use super::hand::{Outcome, label, same};
use super::intents::{Push, What};
use super::run::Reintegrate;
use super::trouble::Stop;
use crate::lower::{Attempt, Done, Expect, Lower, LowerError, New, Slot};
use crate::model::{Kind, Mask, Observed, RelPath, Stamp};

/// One change of the server, ready to be carried out.
pub struct Work {
    /// What is written down of it.
    pub push: Push,
    /// What is staged, for a change that makes or replaces something.
    pub new: Option<New>,
    /// What is replaced, as it was seen.
    pub old: Option<Observed>,
    /// A name that stays, for a change that takes another one away.
    pub other: Option<RelPath>,
}

impl Work {
    /// A change that stages nothing.
    pub fn of(push: Push) -> Work {
        Work {
            push,
            new: None,
            old: None,
            other: None,
        }
    }

    /// True when between the two halves the object has no name on the server: not even a power cut may then forget it.
    pub fn takes_a_name(&self) -> bool {
        matches!(
            self.push.what,
            What::Move { .. } | What::Unlink { .. } | What::Remove { .. }
        )
    }
}

/// What a change came to, and what there is to say about it.
pub struct Answered {
    /// What it left behind.
    pub outcome: Outcome,
    /// The answer that may hold remarks.
    pub done: Option<Done>,
}

/// Asks the server on behalf of several changes. Once it is silent to one, nothing more is asked.
pub struct Asking<'a> {
    on: &'a Reintegrate,
    mask: Mask,
    silent: Mutex<Option<String>>,
}

impl<'a> Asking<'a> {
    /// Nothing was asked yet.
    pub fn new(on: &'a Reintegrate, mask: Mask) -> Asking<'a> {
        Asking {
            on,
            mask,
            silent: Mutex::default(),
        }
    }

    /// The half that nobody sees. Gives what was staged, if anything is.
    pub fn begin(&self, work: &Work) -> Result<Option<Done>, Stop> {
        self.unless_silent(|| {
            if matches!(work.push.what, What::Set { .. }) {
                return Ok(None);
            }
            let Some(new) = &work.new else {
                self.start(work.push.attempt)?;
                return Ok(None);
            };
            let (What::Make { sent, .. } | What::Replace { sent, .. }) = &work.push.what else {
                return Err(Stop::Later("nothing to send".into()));
            };
            let objects = self.on.tree.objects();
            let bytes = sent.object.map(|object| objects.open_sealed(object));
            let bytes = bytes.transpose()?;
            self.start(work.push.attempt)?;
            self.on.point("stage");
            let done = self
                .on
                .lower
                .stage(work.push.attempt, new, bytes.as_ref())?;
            Ok(Some(done))
        })
    }

    /// The half that others see.
    pub fn finish(&self, work: &Work, staged: Option<&Done>) -> Result<Answered, Stop> {
        self.unless_silent(|| self.act(work, staged))
    }

    fn act(&self, work: &Work, staged: Option<&Done>) -> Result<Answered, Stop> {
        let (on, push) = (self.on, &work.push);
        match &push.what {
            What::Make { .. } => self.make(work),
            What::Replace { .. } => self.replace(work, staged),
            What::Set { expect, change } => {
                // A directory's stamp moves with its entries; its identity is what counts.
                let expect = match expect.kind {
                    Kind::Dir => Expect::Object(*expect),
                    _ => Expect::Is(*expect),
                };
                on.point("set");
                Ok(there(on.lower.set(&push.path, &expect, change)?))
            }
            What::Move { from, expect, .. } => {
                on.point("take");
                let object = Expect::Object(*expect);
                on.lower.take(push.attempt, from, &object, Slot::New)?;
                Ok(there(self.publish(push, &Expect::Absent)?))
            }
            What::Link { from, expect, .. } => {
                on.point("link");
                let object = Expect::Object(*expect);
                let linked = on.lower.link(push.attempt, from, &object);
                linked.map_err(Stop::from).map_err(no_links)?;
                let done = self.publish(push, &Expect::Absent);
                Ok(there(done.map_err(no_links)?))
            }
            What::Unlink { expect, .. } => self.unlink(work, expect),
            What::Remove { expect } => {
                on.point("take");
                let found = take_last(on.lower.as_ref(), push, expect)?;
                let kept = found.kind != Kind::Dir;
                Ok(gone(Outcome::gone(kept.then(|| label(push.attempt.txn)))))
            }
        }
    }

    fn make(&self, work: &Work) -> Result<Answered, Stop> {
        let done = self.publish(&work.push, &Expect::Absent)?;
        let mut outcome = Outcome::there(with_hash(done.seen.clone(), &work.push));
        outcome.xattrs = work.new.as_ref().map(|new| new.xattrs.clone());
        Ok(Answered {
            outcome,
            done: Some(done),
        })
    }

    fn replace(&self, work: &Work, staged: Option<&Done>) -> Result<Answered, Stop> {
        let (Some(old), Some(staged)) = (&work.old, staged) else {
            return Err(Stop::Later("nothing to send".into()));
        };
        let (was, is) = (&old.attrs, &staged.seen.attrs);
        if (was.uid, was.gid) != (is.uid, is.gid) {
            return Err(Stop::Pending(format!(
                "sending it would change its owner on the server from {}:{} to {}:{}. Next: save it under a new name \
                 (that one is sent), or ask its owner",
                was.uid, was.gid, is.uid, is.gid
            )));
        }
        let done = self.publish(&work.push, &Expect::Is(old.stamp))?;
        let mut outcome = Outcome::there(with_hash(done.seen.clone(), &work.push));
        outcome.retain = Some(label(work.push.attempt.txn));
        Ok(Answered {
            outcome,
            done: Some(done),
        })
    }

    fn unlink(&self, work: &Work, expect: &Stamp) -> Result<Answered, Stop> {
        let (on, push) = (self.on, &work.push);
        on.point("take");
        let object = Expect::Object(*expect);
        on.lower
            .take(push.attempt, &push.path, &object, Slot::Old)?;
        let mut outcome = Outcome::gone(None);
        // Without one of the known names left it could be the last one after all.
        outcome.seen = match &work.other {
            Some(other) => on.lower.look(other, false)?,
            None => None,
        };
        let seen = outcome.seen.as_ref();
        let safe = seen.is_some_and(|seen| same(expect, seen, &self.mask));
        outcome.retain = (!safe).then(|| label(push.attempt.txn));
        Ok(gone(outcome))
    }

    fn publish(&self, push: &Push, expect: &Expect) -> Result<Done, Stop> {
        self.on.point("publish");
        Ok(self.on.lower.publish(push.attempt, &push.path, expect)?)
    }

    fn start(&self, attempt: Attempt) -> Result<(), Stop> {
        self.on.point("begin");
        Ok(self.on.lower.begin(attempt)?)
    }

    /// Calls that wait out a deadline each would add up.
    fn unless_silent<T>(&self, ask: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
        if let Some(why) = &*self.silent() {
            return Err(Stop::Link(why.clone()));
        }
        let answer = ask();
        if let Err(Stop::Link(why)) = &answer {
            *self.silent() = Some(why.clone());
        }
        answer
    }

    fn silent(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn there(done: Done) -> Answered {
    Answered {
        outcome: Outcome::there(done.seen.clone()),
        done: Some(done),
    }
}

fn gone(outcome: Outcome) -> Answered {
    Answered {
        outcome,
        done: None,
    }
}

fn with_hash(mut seen: Observed, push: &Push) -> Observed {
    if let What::Make { sent, .. } | What::Replace { sent, .. } = &push.what {
        seen.stamp.hash = seen.stamp.hash.or(sent.hash);
    }
    seen
}

/// Takes an object's last name. What was written since the scan is not the object the removal meant.
fn take_last(lower: &dyn Lower, push: &Push, expect: &Stamp) -> Result<Stamp, LowerError> {
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
