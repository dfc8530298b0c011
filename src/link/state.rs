//! The state machine of the link, pure: events and the time come in as arguments.
//!
//! ```text
//!              failed                    3 failures in 20 s
//!  Connected ─────────▶ Suspect ───────────────────────────┐
//!      ▲  ▲               │ good                           ▼
//!      │  └───────────────┘      hard error, offline   Disconnected(why) ◀─┐
//!      │          (from every state but Disconnected ──────▶  )            │ 3 failures, hard, offline
//!      │ settled                                           │ 2 good        │
//!      └─────────────────────── Returning ◀────────────────┘               │
//!                                   └──────────────────────────────────────┘
//! ```
//! `Disconnected(Forced)` is left only by `online`, which makes it `Disconnected(Lost)` until two probes were good.

use std::time::{Duration, Instant};

use super::{State, Why};

/// Failures older than this do not count towards being disconnected.
const WINDOW: Duration = Duration::from_secs(20);
/// So many failures within [`WINDOW`] disconnect.
const FAILURES: usize = 3;
/// So many good probes in a row bring the link back.
const GOOD: u8 = 2;

/// What happened to the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A probe was answered by the share we know.
    Good,
    /// No answer, or an error of the link: it may be a hiccup.
    Failed,
    /// Surely not usable now: another share is there, we are not let in, or the lower is gone.
    Hard(Why),
    /// A person went offline.
    Offline,
    /// A person wants to be online.
    Online,
    /// The merge after the return is done.
    Settled,
}

/// The state with what only the machine needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) state: State,
    /// Recent failures, kept through short recoveries: a link that fails every other time is not connected.
    failures: Vec<Instant>,
    /// Good probes in a row while disconnected.
    pub(super) good: u8,
}

impl Machine {
    /// A machine at its start: nothing is known of the lower before two probes were good.
    pub(super) fn start(forced: bool) -> Machine {
        let why = if forced { Why::Forced } else { Why::Lost };
        Machine {
            state: State::Disconnected(why),
            failures: Vec::new(),
            good: 0,
        }
    }

    fn to(self, state: State) -> Machine {
        Machine {
            state,
            good: 0,
            ..self
        }
    }

    fn failed(mut self, now: Instant) -> Machine {
        self.failures
            .retain(|at| now.saturating_duration_since(*at) < WINDOW);
        self.failures.push(now);
        self
    }
}

/// The one legal step for an event.
pub(super) fn step(machine: Machine, event: &Event, now: Instant) -> Machine {
    match (machine.state, event) {
        (State::Disconnected(Why::Forced), Event::Online) => {
            machine.to(State::Disconnected(Why::Lost))
        }
        (State::Disconnected(Why::Forced), _) => machine,
        (_, Event::Offline) => machine.to(State::Disconnected(Why::Forced)),
        (_, Event::Hard(why)) => machine.to(State::Disconnected(*why)),
        (State::Disconnected(why), Event::Good) => came_back(machine, why),
        (State::Disconnected(_), Event::Failed) => machine.to(State::Disconnected(Why::Lost)),
        (State::Connected | State::Suspect | State::Returning, Event::Failed) => {
            lost_one(machine, now)
        }
        (State::Suspect, Event::Good) => machine.to(State::Connected),
        (State::Returning, Event::Settled) => machine.to(State::Connected),
        (State::Connected | State::Returning, Event::Good) => machine,
        (_, Event::Online | Event::Settled) => machine,
    }
}

fn came_back(mut machine: Machine, why: Why) -> Machine {
    machine.good += 1;
    if machine.good < GOOD {
        machine.state = State::Disconnected(why);
        return machine;
    }
    // A fresh start: failures from before the absence say nothing about the link now.
    machine.failures.clear();
    machine.to(State::Returning)
}

fn lost_one(machine: Machine, now: Instant) -> Machine {
    let machine = machine.failed(now);
    if machine.failures.len() >= FAILURES {
        return machine.to(State::Disconnected(Why::Lost));
    }
    match machine.state {
        // The merge is not done yet, so a failure must not end in Connected by way of Suspect.
        State::Returning => machine,
        _ => machine.to(State::Suspect),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from: Machine, events: &[(u64, Event)]) -> Machine {
        let start = Instant::now();
        events.iter().fold(from, |machine, (at, event)| {
            step(machine, event, start + Duration::from_secs(*at))
        })
    }

    fn connected() -> Machine {
        Machine::start(false).to(State::Connected)
    }

    #[test]
    fn one_failure_is_only_a_suspicion_and_one_answer_ends_it() {
        let suspect = run(connected(), &[(0, Event::Failed)]);
        assert_eq!(suspect.state, State::Suspect);
        assert_eq!(run(suspect, &[(1, Event::Good)]).state, State::Connected);
    }

    #[test]
    fn three_failures_in_twenty_seconds_disconnect_even_with_answers_between() {
        let events = [
            (0, Event::Failed),
            (1, Event::Good),
            (5, Event::Failed),
            (6, Event::Good),
            (19, Event::Failed),
        ];
        assert_eq!(
            run(connected(), &events).state,
            State::Disconnected(Why::Lost)
        );
    }

    #[test]
    fn failures_far_apart_do_not_disconnect() {
        let events = [(0, Event::Failed), (15, Event::Failed), (25, Event::Failed)];
        assert_eq!(run(connected(), &events).state, State::Suspect);
    }

    #[test]
    fn a_hard_error_disconnects_at_once_from_everywhere() {
        for state in [State::Connected, State::Suspect, State::Returning] {
            let machine = connected().to(state);
            let after = run(machine, &[(0, Event::Hard(Why::Identity))]);
            assert_eq!(after.state, State::Disconnected(Why::Identity));
        }
    }

    #[test]
    fn two_good_probes_in_a_row_bring_it_back() {
        let lost = Machine::start(false);
        let events = [(0, Event::Good), (1, Event::Failed), (2, Event::Good)];
        let still = run(lost, &events);
        assert_eq!(still.state, State::Disconnected(Why::Lost));
        let back = run(still, &[(3, Event::Good)]);
        assert_eq!(back.state, State::Returning);
        assert_eq!(run(back, &[(4, Event::Settled)]).state, State::Connected);
    }

    #[test]
    fn forced_offline_ends_only_by_the_person_who_wants_to_be_online() {
        let forced = run(connected(), &[(0, Event::Offline)]);
        let deaf = [
            (1, Event::Good),
            (2, Event::Good),
            (3, Event::Hard(Why::Identity)),
            (4, Event::Failed),
            (5, Event::Settled),
        ];
        let forced = run(forced, &deaf);
        assert_eq!(forced.state, State::Disconnected(Why::Forced));
        let asked = run(forced, &[(6, Event::Online)]);
        assert_eq!(asked.state, State::Disconnected(Why::Lost));
        let back = run(asked, &[(7, Event::Good), (8, Event::Good)]);
        assert_eq!(back.state, State::Returning);
    }

    #[test]
    fn a_failure_while_returning_never_skips_the_merge() {
        let returning = connected().to(State::Returning);
        let after = run(returning, &[(0, Event::Failed), (1, Event::Good)]);
        assert_eq!(after.state, State::Returning);
        let lost = run(after, &[(2, Event::Failed), (3, Event::Failed)]);
        assert_eq!(lost.state, State::Disconnected(Why::Lost));
    }
}
