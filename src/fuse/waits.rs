//! Callers that wait for the server, off the session threads.
//!
//! An operation is tried at once on the session thread. If it needs the server, it is parked here with its reply: a
//! bounded pool gets what it needs and tries again, and a watcher answers callers that got a signal (the kernel's own
//! interrupts do not reach us: without this even SIGKILL would leave the caller hanging) or whose time is up. Whoever
//! takes the reply out of the parked operation runs or refuses it, so that an operation happens exactly once, or the
//! caller is told that it did not.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::parked::{Operation, Serves, Waiting, guarded, lock};
use crate::overlay::{Call, Need, Overlay, OverlayError, Result, given_up};
use crate::sys;

/// Threads that wait at the same time, for names, contents, parts of contents and pushes each.
const THREADS: usize = 8;
/// How often waiting callers are looked at.
const TICK: Duration = Duration::from_millis(100);
/// A caller that waits for less than this is not looked at.
const YOUNG: Duration = Duration::from_millis(200);
/// A pool thread without work ends after this long.
const IDLE: Duration = Duration::from_secs(10);

/// What is waited for decides the lane, so that slow transfers do not hold up lookups.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Names = 0,
    Bytes = 1,
    Other = 2,
    /// Reads of large files must not stand behind those who wait for whole ones.
    Pieces = 3,
}

/// So many lanes there are.
const LANES: usize = 4;

fn lane(need: Option<Need>) -> Lane {
    match need {
        Some(Need::Look(_) | Need::Names(_)) => Lane::Names,
        Some(Need::Bytes(_) | Need::Begin(_)) => Lane::Bytes,
        Some(Need::Piece(..)) => Lane::Pieces,
        Some(Need::Push(_)) | None => Lane::Other,
    }
}

struct State<S> {
    queues: [VecDeque<Waiting<S>>; LANES],
    threads: [usize; LANES],
    idle: [usize; LANES],
    /// Every parked operation, for the watcher.
    parked: Vec<Waiting<S>>,
    watching: bool,
    stopped: bool,
}

/// The pool and the watcher.
pub(super) struct Waits<S: Serves = Overlay> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    server: Arc<S>,
    state: Mutex<State<S>>,
    work: [Condvar; LANES],
    tick: Condvar,
}

impl<S: Serves> Waits<S> {
    /// An empty pool; threads start when they are needed.
    pub(super) fn new(server: Arc<S>) -> Waits<S> {
        let shared = Shared {
            server,
            state: Mutex::new(State {
                queues: Default::default(),
                threads: [0; LANES],
                idle: [0; LANES],
                parked: Vec::new(),
                watching: false,
                stopped: false,
            }),
            work: Default::default(),
            tick: Condvar::new(),
        };
        Waits {
            shared: Arc::new(shared),
        }
    }

    /// Runs `op` and gives its result to `answer`: at once, or from the pool when it has to wait for the server.
    pub(super) fn run<T, O, A>(&self, call: Call, op: O, answer: A)
    where
        T: 'static,
        O: Fn(&S, &Call) -> Result<T> + Send + Sync + 'static,
        A: FnOnce(Result<T>) + Send + 'static,
    {
        match guarded(|| op(&self.shared.server, &call)) {
            Err(OverlayError::Wait(need)) => self.park(call, Some(need), op, answer),
            done => answer(done),
        }
    }

    /// Runs `op` in the pool: it may take its time without waiting for the server itself.
    pub(super) fn run_aside<T, O, A>(&self, call: Call, op: O, answer: A)
    where
        T: 'static,
        O: Fn(&S, &Call) -> Result<T> + Send + Sync + 'static,
        A: FnOnce(Result<T>) + Send + 'static,
    {
        self.park(call, None, op, answer);
    }

    fn park<T, O, A>(&self, call: Call, need: Option<Need>, op: O, answer: A)
    where
        T: 'static,
        O: Fn(&S, &Call) -> Result<T> + Send + Sync + 'static,
        A: FnOnce(Result<T>) + Send + 'static,
    {
        let now = Instant::now();
        let patience = need.map_or(Duration::from_secs(60), |n| self.shared.server.patience(n));
        let waiting = Waiting {
            parked: Arc::new(Operation::new(op, answer)),
            call,
            need,
            since: now,
            patience: Arc::new(AtomicU64::new(patience.as_millis() as u64)),
        };
        enqueue(&self.shared, waiting);
    }

    /// Refuses everything that still waits, and ends the threads.
    pub(super) fn stop(&self) {
        let parked = {
            let mut state = lock(&self.shared.state);
            state.stopped = true;
            for queue in &mut state.queues {
                queue.clear();
            }
            std::mem::take(&mut state.parked)
        };
        for waiting in parked {
            waiting.parked.refuse(OverlayError::Interrupted);
        }
        self.shared.work.iter().for_each(Condvar::notify_all);
        self.shared.tick.notify_all();
    }
}

impl<S: Serves> Drop for Waits<S> {
    fn drop(&mut self) {
        self.stop();
    }
}

fn enqueue<S: Serves>(shared: &Arc<Shared<S>>, waiting: Waiting<S>) {
    let at = lane(waiting.need) as usize;
    let mut state = lock(&shared.state);
    if state.stopped {
        drop(state);
        return waiting.parked.refuse(OverlayError::Interrupted);
    }
    state.parked.push(waiting.clone());
    state.queues[at].push_back(waiting);
    if !state.watching {
        state.watching = start("driftfs-watch", shared, watch);
    }
    if state.idle[at] < state.queues[at].len() && state.threads[at] < THREADS {
        let started = start("driftfs-wait", shared, move |shared| serve(shared, at));
        state.threads[at] += usize::from(started);
    }
    drop(state);
    shared.work[at].notify_one();
}

/// Starts a thread. When there is none to be had, the watcher answers the callers at their deadlines.
fn start<S: Serves>(
    name: &str,
    shared: &Arc<Shared<S>>,
    work: impl FnOnce(&Arc<Shared<S>>) + Send + 'static,
) -> bool {
    let shared = Arc::clone(shared);
    let thread = std::thread::Builder::new().name(name.into());
    match thread.spawn(move || work(&shared)) {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%error, "no thread for a waiting caller");
            false
        }
    }
}

fn serve<S: Serves>(shared: &Arc<Shared<S>>, at: usize) {
    while let Some(waiting) = next(shared, at) {
        work_off(&*shared.server, waiting);
    }
}

fn next<S>(shared: &Shared<S>, at: usize) -> Option<Waiting<S>> {
    let mut state = lock(&shared.state);
    loop {
        if let Some(waiting) = state.queues[at].pop_front() {
            return Some(waiting);
        }
        if state.stopped {
            break;
        }
        state.idle[at] += 1;
        let waited = shared.work[at].wait_timeout(state, IDLE);
        let (back, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state = back;
        state.idle[at] -= 1;
        if timeout.timed_out() && state.queues[at].is_empty() {
            break;
        }
    }
    state.threads[at] -= 1;
    None
}

/// Gets what the operation needs and runs it, until it is answered or its time is up.
fn work_off<S: Serves>(server: &S, mut waiting: Waiting<S>) {
    while !waiting.parked.is_answered() {
        let deadline = waiting.deadline();
        if Instant::now() >= deadline {
            return expire(server, &waiting);
        }
        if let Some(need) = waiting.need
            && let Err(error) = server.satisfy(need, &mut waiting.call, deadline)
        {
            return waiting.parked.refuse(error);
        }
        match waiting.parked.run(server, &waiting.call) {
            Ok(()) => return,
            Err(need) => waiting.now_needs(need, server.patience(need)),
        }
    }
}

fn watch<S: Serves>(shared: &Arc<Shared<S>>) {
    loop {
        let parked = {
            let mut state = lock(&shared.state);
            state.parked.retain(|waiting| !waiting.parked.is_answered());
            if state.stopped || state.parked.is_empty() {
                state.watching = false;
                return;
            }
            let waited = shared.tick.wait_timeout(state, TICK);
            waited
                .unwrap_or_else(PoisonError::into_inner)
                .0
                .parked
                .clone()
        };
        parked
            .iter()
            .for_each(|waiting| look_after(&*shared.server, waiting));
    }
}

/// Answers a caller that waits for too long or that got a signal.
fn look_after<S: Serves>(server: &S, waiting: &Waiting<S>) {
    let now = Instant::now();
    if now >= waiting.deadline() {
        return match waiting.need {
            Some(Need::Look(_)) => look_over(server, waiting),
            _ => expire(server, waiting),
        };
    }
    if now.duration_since(waiting.since) >= YOUNG && sys::is_signalled(waiting.call.who.pid) {
        match waiting.need {
            // The bytes are safe here; only the sending is not waited for any longer.
            Some(Need::Push(_)) => expire(server, waiting),
            _ => waiting.parked.refuse(OverlayError::Interrupted),
        }
    }
}

/// The time for a look is up: memory answers. What memory does not have is worth the wait that goes with it.
fn look_over<S: Serves>(server: &S, waiting: &Waiting<S>) {
    let looked = Call {
        looked: true,
        ..waiting.call
    };
    if let Err(need) = waiting.parked.run(server, &looked)
        && !waiting.extend(server.patience(need))
    {
        expire(server, waiting);
    }
}

/// The last word to a caller whose time is up: once more from memory, because names may have come by another way and
/// a missing look needs no error; else that the time is up. Does nothing to an operation that runs at this moment.
fn expire<S>(server: &S, waiting: &Waiting<S>) {
    let told =
        waiting.need.is_some() && waiting.parked.run(server, &given_up(waiting.call)).is_ok();
    if !told {
        waiting.parked.refuse(OverlayError::TimedOut);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::model::{Ino, Who};

    /// A server that gives what is needed once the gate is open, or never.
    struct Gate {
        open: AtomicBool,
        patience: Duration,
    }

    impl Serves for Gate {
        fn patience(&self, _need: Need) -> Duration {
            self.patience
        }
        fn satisfy(&self, _need: Need, _call: &mut Call, deadline: Instant) -> Result<()> {
            while !self.open.load(Ordering::Acquire) {
                if Instant::now() >= deadline {
                    return Err(OverlayError::NamesAway(Ino(1)));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        }
    }

    fn rig(open: bool, patience: Duration) -> (Arc<Gate>, Waits<Gate>) {
        let gate = Arc::new(Gate {
            open: AtomicBool::new(open),
            patience,
        });
        (Arc::clone(&gate), Waits::new(gate))
    }

    fn caller(pid: u32) -> Call {
        Call::of(Who {
            uid: 0,
            gid: 0,
            pid,
        })
    }

    /// Parks an operation that needs names until the gate is open; the receiver gets its result, the counter its runs.
    fn ask(waits: &Waits<Gate>, pid: u32) -> (Receiver<Result<u8>>, Arc<AtomicUsize>) {
        let (send, receive) = channel();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let op = move |gate: &Gate, _call: &Call| {
            if !gate.open.load(Ordering::Acquire) {
                return Err(OverlayError::Wait(Need::Names(Ino(1))));
            }
            counted.fetch_add(1, Ordering::AcqRel);
            Ok(7)
        };
        waits.run(caller(pid), op, move |result| {
            send.send(result).expect("the test still listens");
        });
        (receive, runs)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_parked_operation_runs_once_when_it_can() {
        let (gate, waits) = rig(false, LONG);
        let asked: Vec<_> = (0..50).map(|_| ask(&waits, std::process::id())).collect();
        gate.open.store(true, Ordering::Release);
        for (result, runs) in asked {
            assert!(matches!(result.recv_timeout(LONG), Ok(Ok(7))));
            assert_eq!(runs.load(Ordering::Acquire), 1);
        }
    }

    #[test]
    fn a_caller_that_is_gone_is_answered_and_its_operation_never_runs() {
        let (gate, waits) = rig(false, LONG);
        let (result, runs) = ask(&waits, u32::MAX - 1);
        let told = result.recv_timeout(LONG);
        assert!(matches!(told, Ok(Err(OverlayError::Interrupted))));
        gate.open.store(true, Ordering::Release);
        drop(waits);
        assert_eq!(runs.load(Ordering::Acquire), 0);
    }

    #[test]
    fn a_panic_is_answered_and_the_next_caller_is_served() {
        let (_gate, waits) = rig(true, LONG);
        let (send, receive) = channel();
        for aside in [false, true] {
            let send = send.clone();
            let op = |_: &Gate, _: &Call| -> Result<u8> { panic!("for the test") };
            let answer = move |result| send.send(result).expect("the test still listens");
            if aside {
                waits.run_aside(caller(0), op, answer);
            } else {
                waits.run(caller(0), op, answer);
            }
            let told = receive.recv_timeout(LONG);
            assert!(matches!(told, Ok(Err(OverlayError::Bug))));
        }
        let (result, _) = ask(&waits, std::process::id());
        assert!(matches!(result.recv_timeout(LONG), Ok(Ok(7))));
    }

    #[test]
    fn a_caller_is_answered_at_its_deadline() {
        let (_gate, waits) = rig(false, Duration::from_millis(150));
        let (result, _) = ask(&waits, std::process::id());
        assert!(matches!(result.recv_timeout(LONG), Ok(Err(_))));
    }

    #[test]
    fn more_callers_than_threads_are_all_answered_at_the_end() {
        let (_gate, waits) = rig(false, LONG);
        let asked: Vec<_> = (0..40).map(|_| ask(&waits, std::process::id())).collect();
        waits.stop();
        for (result, _) in asked {
            let told = result.recv_timeout(LONG);
            assert!(matches!(told, Ok(Err(OverlayError::Interrupted))));
        }
    }
}
