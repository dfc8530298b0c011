//! Scripted faults, delays and foreign writes, for tests.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::wire::{Ask, Asked, Call, Told};
use super::{Answer, Lower, LowerError, Posix};

/// At which call a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The n-th call of all, from 1.
    Nth(usize),
    /// The n-th call of a kind, from 1.
    Of(Call, usize),
    /// Every call of a kind.
    Every(Call),
    /// Every call.
    Always,
}

type Hook = Box<dyn FnMut() + Send>;

/// What happens then.
enum Act {
    Before(LowerError),
    After(LowerError),
    Delay(Duration),
    Late,
    HookBefore(Hook),
    HookAfter(Hook),
}

/// One scripted fault.
pub struct Fault {
    when: When,
    act: Act,
}

/// The error of a dead link, as scripted faults give it.
fn dead() -> LowerError {
    LowerError::Link {
        what: "ask".into(),
        why: "scripted".into(),
    }
}

impl Fault {
    /// The link fails before anything is done.
    pub fn dead(when: When) -> Fault {
        Fault::before(when, dead())
    }

    /// The call is carried out and its reply lost.
    pub fn lost_reply(when: When) -> Fault {
        Fault::after(when, dead())
    }

    /// The caller hears of a dead link at once; the call is carried out at [`Fake::run_late`].
    pub fn late(when: When) -> Fault {
        Fault {
            when,
            act: Act::Late,
        }
    }

    /// Answers `error` and does nothing.
    pub fn before(when: When, error: LowerError) -> Fault {
        Fault {
            when,
            act: Act::Before(error),
        }
    }

    /// Carries the call out and answers `error`.
    pub fn after(when: When, error: LowerError) -> Fault {
        Fault {
            when,
            act: Act::After(error),
        }
    }

    /// Waits first.
    pub fn delay(when: When, time: Duration) -> Fault {
        Fault {
            when,
            act: Act::Delay(time),
        }
    }

    /// Somebody else does something to the server's directory (not to the fake itself) right before the call.
    pub fn foreign_before(when: When, what: impl FnMut() + Send + 'static) -> Fault {
        Fault {
            when,
            act: Act::HookBefore(Box::new(what)),
        }
    }

    /// The same right after the call.
    pub fn foreign_after(when: When, what: impl FnMut() + Send + 'static) -> Fault {
        Fault {
            when,
            act: Act::HookAfter(Box::new(what)),
        }
    }
}

/// Where a [`Fake`] is with a call, as its watcher sees it. A watcher may panic to act out a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Call number n (from 1) is about to be carried out.
    Before(usize, Call),
    /// It was.
    After(usize, Call),
}

type Watcher = Box<dyn Fn(Step) + Send + Sync>;

#[derive(Default)]
struct Script {
    faults: Vec<Fault>,
    calls: usize,
    of: HashMap<Call, usize>,
    log: Vec<String>,
    late: Vec<(Ask, Option<File>)>,
}

/// A lower with scripted faults.
pub struct Fake {
    inner: Box<dyn Lower>,
    script: Mutex<Script>,
    watcher: Option<Watcher>,
}

impl Fake {
    /// Without any fault yet.
    pub fn new(posix: Posix) -> Fake {
        Fake::over(Box::new(posix))
    }

    /// The same over any other lower.
    pub fn over(inner: Box<dyn Lower>) -> Fake {
        Fake {
            inner,
            script: Mutex::default(),
            watcher: None,
        }
    }

    /// With one more fault.
    #[must_use]
    pub fn fault(self, fault: Fault) -> Fake {
        self.add(fault);
        self
    }

    /// With somebody told of each step of each call.
    #[must_use]
    pub fn watch(mut self, watcher: impl Fn(Step) + Send + Sync + 'static) -> Fake {
        self.watcher = Some(Box::new(watcher));
        self
    }

    /// Adds a fault to one that is in use.
    pub fn add(&self, fault: Fault) {
        self.script().faults.push(fault);
    }

    /// Forgets every fault: the server is well again.
    pub fn heal(&self) {
        self.script().faults.clear();
    }

    /// How many calls were made.
    pub fn calls(&self) -> usize {
        self.script().calls
    }

    /// How many calls of a kind were made.
    pub fn calls_of(&self, call: Call) -> usize {
        self.script().of.get(&call).copied().unwrap_or(0)
    }

    /// The calls in order, with their paths.
    pub fn log(&self) -> Vec<String> {
        self.script().log.clone()
    }

    /// Carries out the calls that were put off, as a server does when the line is back; true for each that succeeded.
    pub fn run_late(&self) -> Vec<bool> {
        let late = std::mem::take(&mut self.script().late);
        late.iter()
            .map(|(ask, file)| ask.perform(&*self.inner, file.as_ref()).is_ok())
            .collect()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        // A watcher that panics acts out a crash; the script itself is whole.
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, step: Step) {
        if let Some(watcher) = &self.watcher {
            watcher(step);
        }
    }
}

/// The faults that strike one call.
#[derive(Default)]
struct Struck {
    before: Option<LowerError>,
    after: Option<LowerError>,
    delay: Duration,
    late: bool,
    at: usize,
    of: usize,
}

impl Script {
    fn strike(&mut self, ask: &Ask, now: &mut dyn FnMut(&mut Hook)) -> Struck {
        let call = ask.call();
        self.calls += 1;
        let of = self.of.entry(call).or_default();
        *of += 1;
        let (nth, nth_of) = (self.calls, *of);
        self.log.push(ask.said());
        let mut struck = Struck {
            at: nth,
            of: nth_of,
            ..Struck::default()
        };
        for fault in self
            .faults
            .iter_mut()
            .filter(|f| f.when.hits(call, nth, nth_of))
        {
            match &mut fault.act {
                Act::Before(error) => struck.before = Some(error.clone()),
                Act::After(error) => struck.after = Some(error.clone()),
                Act::Delay(time) => struck.delay += *time,
                Act::Late => struck.late = true,
                Act::HookBefore(hook) => now(hook),
                Act::HookAfter(_) => {}
            }
        }
        struck
    }

    fn after(&mut self, call: Call, nth: usize, nth_of: usize) {
        for fault in &mut self.faults {
            if fault.when.hits(call, nth, nth_of)
                && let Act::HookAfter(hook) = &mut fault.act
            {
                hook();
            }
        }
    }
}

impl When {
    fn hits(self, call: Call, nth: usize, nth_of: usize) -> bool {
        match self {
            When::Nth(n) => n == nth,
            When::Of(kind, n) => kind == call && n == nth_of,
            When::Every(kind) => kind == call,
            When::Always => true,
        }
    }
}

impl Asked for Fake {
    fn ask(&self, ask: Ask, file: Option<&File>) -> Answer<Told> {
        let struck = self.script().strike(&ask, &mut |hook| hook());
        std::thread::sleep(struck.delay);
        let step = (struck.at, ask.call());
        self.told(Step::Before(step.0, step.1));
        if struck.late {
            let copy = file.and_then(|file| file.try_clone().ok());
            self.script().late.push((ask, copy));
            return Err(dead());
        }
        if let Some(error) = struck.before {
            return Err(error);
        }
        let answer = ask.perform(&*self.inner, file);
        self.script().after(step.1, step.0, struck.of);
        self.told(Step::After(step.0, step.1));
        match struck.after {
            Some(error) => Err(error),
            None => answer,
        }
    }
}
