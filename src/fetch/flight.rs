//! One copy of each question at a time: who asks for what is already under way waits for that one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::{FetchError, lock};
use crate::meta::MetaError;
use crate::model::Ino;
use crate::tree::TreeError;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Job {
    /// The first listing of a directory.
    Names(Ino),
    /// The bytes of a file that has none here.
    Bytes(Ino),
    /// Another look at a directory.
    Refresh(Ino),
    /// The new bytes of a file whose old ones are here.
    Pull(Ino),
    /// A piece of a large file, by its number.
    Piece(Ino, u64),
    /// Small files that somebody may ask for soon; each batch has a number of its own.
    Ahead(u64),
}

/// The questions under way.
#[derive(Clone, Default)]
pub(super) struct Flights {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    open: Mutex<HashMap<Job, Arc<Flight>>>,
    /// Flights somebody gave up waiting for and that are still under way.
    overdue: AtomicUsize,
}

/// One question under way.
pub(super) struct Flight {
    state: Mutex<State>,
    landed: Condvar,
}

#[derive(Default)]
struct State {
    result: Option<Result<(), FetchError>>,
    overdue: bool,
}

impl Flights {
    /// Joins the flight of `job`, starting it with `work` when there is none.
    pub(super) fn join(
        &self,
        job: Job,
        work: impl FnOnce() -> Result<(), FetchError> + Send + 'static,
    ) -> Arc<Flight> {
        self.join_knowing(job, move |_| work())
    }

    /// The same for work that gives its own flight to those who wait for a part of it.
    pub(super) fn join_knowing(
        &self,
        job: Job,
        work: impl FnOnce(&Arc<Flight>) -> Result<(), FetchError> + Send + 'static,
    ) -> Arc<Flight> {
        let flight = Arc::new(Flight {
            state: Mutex::default(),
            landed: Condvar::new(),
        });
        {
            let mut open = lock(&self.shared.open);
            if let Some(under_way) = open.get(&job) {
                return under_way.clone();
            }
            open.insert(job, flight.clone());
        }
        let landing = Landing {
            shared: self.shared.clone(),
            job,
            flight: flight.clone(),
            result: None,
        };
        // A thread that cannot start drops the landing, which answers the waiters.
        let started = std::thread::Builder::new()
            .name("fetch".into())
            .spawn(move || {
                let mut landing = landing;
                landing.result = Some(work(&landing.flight));
            });
        if let Err(error) = started {
            tracing::warn!("no thread for {job:?}: {error}");
        }
        flight
    }

    /// True while the lower is slower than somebody wanted to wait.
    pub(super) fn slow(&self) -> bool {
        self.shared.overdue.load(Ordering::Relaxed) > 0
    }

    /// True while this question is under way.
    pub(super) fn is_open(&self, job: Job) -> bool {
        lock(&self.shared.open).contains_key(&job)
    }

    /// Number of questions under way.
    pub(super) fn under_way(&self) -> usize {
        lock(&self.shared.open).len()
    }

    /// The answer of a flight, or `None` at the deadline; the flight goes on then.
    pub(super) fn wait(
        &self,
        flight: &Flight,
        deadline: Instant,
    ) -> Option<Result<(), FetchError>> {
        self.wait_until(flight, deadline, true)
    }

    /// The same for a caller whose short patience says nothing about the lower.
    pub(super) fn wait_briefly(
        &self,
        flight: &Flight,
        deadline: Instant,
    ) -> Option<Result<(), FetchError>> {
        self.wait_until(flight, deadline, false)
    }

    fn wait_until(
        &self,
        flight: &Flight,
        deadline: Instant,
        telling: bool,
    ) -> Option<Result<(), FetchError>> {
        let mut state = lock(&flight.state);
        loop {
            if let Some(result) = &state.result {
                return Some(again(result));
            }
            let now = Instant::now();
            if now >= deadline {
                if telling && !std::mem::replace(&mut state.overdue, true) {
                    self.shared.overdue.fetch_add(1, Ordering::Relaxed);
                }
                return None;
            }
            state = flight
                .landed
                .wait_timeout(state, deadline - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Ends a flight whatever happens to its thread.
struct Landing {
    shared: Arc<Shared>,
    job: Job,
    flight: Arc<Flight>,
    result: Option<Result<(), FetchError>>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        // Off the list first: whoever asks from now on wants a newer answer.
        lock(&self.shared.open).remove(&self.job);
        let mut state = lock(&self.flight.state);
        state.result = Some(self.result.take().unwrap_or(Err(FetchError::Unreachable)));
        if state.overdue {
            self.shared.overdue.fetch_sub(1, Ordering::Relaxed);
        }
        self.flight.landed.notify_all();
    }
}

/// The same result for one more waiter. Errors that cannot be copied keep their words.
fn again(result: &Result<(), FetchError>) -> Result<(), FetchError> {
    let Err(error) = result else { return Ok(()) };
    Err(match error {
        FetchError::Unreachable => FetchError::Unreachable,
        FetchError::Gone => FetchError::Gone,
        FetchError::Lower(error) => FetchError::Lower(error.clone()),
        FetchError::Tree(error) => FetchError::Tree(tree_again(error)),
    })
}

fn tree_again(error: &TreeError) -> TreeError {
    match error {
        TreeError::NotFound => TreeError::NotFound,
        TreeError::NotDir => TreeError::NotDir,
        TreeError::NotListed(ino) => TreeError::NotListed(*ino),
        TreeError::NoBytes(ino) => TreeError::NoBytes(*ino),
        TreeError::Busy => TreeError::Busy,
        TreeError::NoSpace | TreeError::Meta(MetaError::Full) => TreeError::NoSpace,
        TreeError::TooLarge => TreeError::TooLarge,
        TreeError::Io { what, source } => TreeError::Io {
            what,
            source: match source.raw_os_error() {
                Some(errno) => std::io::Error::from_raw_os_error(errno),
                None => std::io::Error::new(source.kind(), source.to_string()),
            },
        },
        other => TreeError::Io {
            what: "bringing it here",
            source: std::io::Error::other(other.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn two_callers_share_one_question() {
        let flights = Flights::default();
        let (go, gate) = mpsc::channel::<()>();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let first = flights.join(Job::Names(Ino(7)), move || {
            count.fetch_add(1, Ordering::Relaxed);
            let _ = gate.recv_timeout(Duration::from_secs(20));
            Err(FetchError::Gone)
        });
        let count = asked.clone();
        let second = flights.join(Job::Names(Ino(7)), move || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        go.send(()).unwrap();
        for flight in [first, second] {
            let answer = flights.wait(&flight, soon());
            assert!(matches!(answer, Some(Err(FetchError::Gone))));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn giving_up_marks_the_lower_slow_until_the_answer_comes() {
        let flights = Flights::default();
        let (go, gate) = mpsc::channel::<()>();
        let flight = flights.join(Job::Refresh(Ino(7)), move || {
            let _ = gate.recv_timeout(Duration::from_secs(20));
            Ok(())
        });
        assert!(flights.wait(&flight, Instant::now()).is_none());
        assert!(flights.slow());
        go.send(()).unwrap();
        assert!(matches!(flights.wait(&flight, soon()), Some(Ok(()))));
        assert!(!flights.slow());
    }

    #[test]
    fn a_panic_under_way_answers_the_waiters() {
        let flights = Flights::default();
        let flight = flights.join(Job::Bytes(Ino(7)), || {
            std::panic::panic_any("a test panics here on purpose")
        });
        let answer = flights.wait(&flight, soon());
        assert!(matches!(answer, Some(Err(FetchError::Unreachable))));
        assert_eq!(flights.under_way(), 0);
    }
}
