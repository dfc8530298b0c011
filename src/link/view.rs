//! The link as everybody sees it: one mutex, one condition variable, no lower calls.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::state::{Event, Machine, step};
use super::{State, Why};
use crate::model::Time;

/// How often the prober asks, and how long answers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two probes while everything is well.
    pub steady: Duration,
    /// Between two probes while suspect, and the first pause while disconnected.
    pub first: Duration,
    /// The longest pause while disconnected; pauses double up to it.
    pub longest: Duration,
    /// How long an answer about the lower counts.
    pub fresh_for: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            steady: Duration::from_secs(5),
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            fresh_for: Duration::from_secs(1),
        }
    }
}

/// The link as everybody sees it.
pub struct Link {
    timing: Timing,
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    machine: Machine,
    since: Time,
    why: String,
    /// Probes since the state changed last: the pauses of a disconnected link grow with it.
    probes: u32,
    /// Somebody wants a probe now.
    poked: bool,
    /// The daemon is ending: nobody shall wait any more.
    closed: bool,
}

impl Link {
    /// A link nobody has probed yet. `forced`: a person went offline before the last end.
    pub fn new(timing: Timing, forced: bool) -> Link {
        let why = if forced {
            "you went offline".to_owned()
        } else {
            "the server was not asked yet".to_owned()
        };
        Link {
            timing,
            inner: Mutex::new(Inner {
                machine: Machine::start(forced),
                since: crate::sys::now(),
                why,
                probes: 0,
                poked: true,
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// A link that is connected already: for tests of the rooms above.
    pub fn connected() -> Link {
        let link = Link::new(Timing::default(), false);
        link.step(&Event::Good, "");
        link.step(&Event::Good, "");
        link.step(&Event::Settled, "");
        link
    }

    /// The state now.
    pub fn state(&self) -> State {
        self.lock().machine.state
    }

    /// Since when, and a sentence why.
    pub fn told(&self) -> (State, Time, String) {
        let inner = self.lock();
        (inner.machine.state, inner.since, inner.why.clone())
    }

    /// True when the lower may be asked on behalf of a caller (Connected, Suspect, Returning).
    pub fn may_ask(&self) -> bool {
        !matches!(self.state(), State::Disconnected(_))
    }

    /// Reports that a request to the lower failed like a dead link does; the prober is woken.
    ///
    /// Only a first report makes the link suspect: many callers meet one dead server at the same moment, and that is
    /// one failure. The probes it wakes decide the rest.
    pub fn failed(&self, what: &str) {
        if self.state() == State::Connected {
            self.step(&Event::Failed, what);
        }
        self.poke();
    }

    /// Waits until the state is no longer `state`, or until `deadline`. Gives the state then.
    pub fn wait_change(&self, state: State, deadline: Instant) -> State {
        let mut inner = self.lock();
        while inner.machine.state == state && !inner.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            inner = self.wait(inner, left);
        }
        inner.machine.state
    }

    /// How long an answer about the lower counts (revalidation and kernel time-outs), 1 s by default.
    pub fn fresh_for(&self) -> Duration {
        self.timing.fresh_for
    }

    /// Carries one event through the machine. `what` says in words what happened. Gives the states before and after.
    pub fn step(&self, event: &Event, what: &str) -> (State, State) {
        let mut inner = self.lock();
        let before = inner.machine.state;
        inner.machine = step(inner.machine.clone(), event, Instant::now());
        let after = inner.machine.state;
        inner.probes = inner.probes.saturating_add(1);
        if after != before {
            inner.since = crate::sys::now();
            inner.probes = 0;
            tracing::info!(?before, ?after, what, "link");
        }
        if after == State::Suspect || matches!(after, State::Disconnected(_)) {
            if !what.is_empty() && (after != State::Disconnected(Why::Forced) || after != before) {
                inner.why = what.to_owned();
            }
        } else {
            inner.why.clear();
        }
        self.changed.notify_all();
        (before, after)
    }

    /// Asks the prober for a probe now.
    pub fn poke(&self) {
        self.lock().poked = true;
        self.changed.notify_all();
    }

    /// The prober waits here until the next probe is due or wanted. False: the daemon is ending.
    pub fn wait_for_probe(&self) -> bool {
        let mut inner = self.lock();
        let start = Instant::now();
        loop {
            if inner.closed {
                return false;
            }
            let pause = self.pause(&inner);
            let gone = start.elapsed();
            if inner.poked || pause.is_some_and(|pause| gone >= pause) {
                inner.poked = false;
                return true;
            }
            let left = pause.map_or(Duration::from_secs(3600), |pause| pause - gone);
            inner = self.wait(inner, left);
        }
    }

    /// Lets everybody go who waits here, now and later.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// The pause before the next probe; `None` while offline by hand, when nothing is asked at all.
    fn pause(&self, inner: &Inner) -> Option<Duration> {
        let timing = &self.timing;
        match inner.machine.state {
            State::Disconnected(Why::Forced) => None,
            State::Connected | State::Returning => Some(timing.steady),
            State::Suspect => Some(timing.first),
            // One good answer after an absence: the second is wanted soon, but not from the same instant.
            State::Disconnected(_) if inner.machine.good > 0 => Some(timing.first / 4),
            State::Disconnected(_) => {
                let doubled = timing.first * (1 << inner.probes.min(10));
                Some(jitter(doubled.min(timing.longest)))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves plain values behind; they are still true.
        self.inner
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }

    fn wait<'a>(&self, inner: MutexGuard<'a, Inner>, left: Duration) -> MutexGuard<'a, Inner> {
        match self.changed.wait_timeout(inner, left) {
            Ok((inner, _)) => inner,
            Err(broken) => broken.into_inner().0,
        }
    }
}

/// Up to a tenth shorter, so that many clients do not ask a returning server in step.
fn jitter(pause: Duration) -> Duration {
    let part = crate::sys::now().nsec % 100;
    pause - pause * part / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_callers_meeting_one_dead_server_are_one_failure() {
        let link = Link::connected();
        for _ in 0..10 {
            link.failed("read timed out");
        }
        assert_eq!(link.state(), State::Suspect);
        assert_eq!(link.told().2, "read timed out");
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_by_a_change() {
        let link = Link::connected();
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(link.wait_change(State::Connected, soon), State::Connected);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                link.wait_change(State::Connected, Instant::now() + Duration::from_secs(20))
            });
            link.step(&Event::Offline, "you went offline");
            let state = waiting.join().expect("the waiting thread does not panic");
            assert_eq!(state, State::Disconnected(Why::Forced));
        });
        assert!(!link.may_ask());
    }

    #[test]
    fn a_poke_is_not_lost_and_closing_ends_the_prober() {
        let link = Link::new(Timing::default(), true);
        assert!(link.wait_for_probe(), "the first probe is due at once");
        link.poke();
        assert!(link.wait_for_probe());
        link.close();
        assert!(!link.wait_for_probe());
    }
}
