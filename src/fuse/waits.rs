//! Callers that wait for the server, off the session threads.
//!
//! An operation is tried at once on the session thread. If it needs the server, it is parked here with its reply: a
//! bounded pool gets what it needs and tries again, and a watcher answers callers that got a signal (the kernel's own
//! interrupts do not reach us: without this even SIGKILL would leave the caller hanging) or whose time is up. Whoever
//! takes the reply out of the parked operation runs or refuses it, so that an operation happens exactly once, or the
//! caller is told that it did not.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::overlay::{Call, Need, Overlay, OverlayError, Result, given_up};
use crate::sys;

/// Threads that wait at the same time, for names, for contents and for pushes each.
const THREADS: usize = 8;
/// How often waiting callers are looked at.
const TICK: Duration = Duration::from_millis(100);
/// A caller that waits for less than this is not looked at.
const YOUNG: Duration = Duration::from_millis(200);
/// A pool thread without work ends after this long.
const IDLE: Duration = Duration::from_secs(10);

/// An operation with its reply.
trait Parked: Send + Sync {
    /// Runs it and replies, unless it needs something (more). `Ok` when it is answered, by us or before.
    fn run(&self, overlay: &Overlay, call: &Call) -> std::result::Result<(), Need>;
    /// Replies that it was not done.
    fn refuse(&self, error: OverlayError);
    /// True once it is answered.
    fn is_answered(&self) -> bool;
}

struct Operation<O, A> {
    op: O,
    slot: Mutex<Slot<A>>,
}

/// Where the reply is. Whoever takes it out of `Waiting` answers.
enum Slot<A> {
    Waiting(A),
    Running,
    Answered,
}

impl<T, O, A> Parked for Operation<O, A>
where
    O: Fn(&Overlay, &Call) -> Result<T> + Send + Sync,
    A: FnOnce(Result<T>) + Send,
{
    fn run(&self, overlay: &Overlay, call: &Call) -> std::result::Result<(), Need> {
        let Some(answer) = self.take(Slot::Running) else {
            return Ok(());
        };
        match (self.op)(overlay, call) {
            Err(OverlayError::Wait(need)) => {
                *lock(&self.slot) = Slot::Waiting(answer);
                Err(need)
            }
            done => {
                *lock(&self.slot) = Slot::Answered;
                answer(done);
                Ok(())
            }
        }
    }

    fn refuse(&self, error: OverlayError) {
        if let Some(answer) = self.take(Slot::Answered) {
            answer(Err(error));
        }
    }

    fn is_answered(&self) -> bool {
        matches!(*lock(&self.slot), Slot::Answered)
    }
}

impl<O, A> Operation<O, A> {
    /// The reply, if it still waits; `then` takes its place.
    fn take(&self, then: Slot<A>) -> Option<A> {
        let mut slot = lock(&self.slot);
        if !matches!(*slot, Slot::Waiting(_)) {
            return None;
        }
        match std::mem::replace(&mut *slot, then) {
            Slot::Waiting(answer) => Some(answer),
            Slot::Running | Slot::Answered => None,
        }
    }
}

/// One parked operation.
#[derive(Clone)]
struct Waiting {
    parked: Arc<dyn Parked>,
    call: Call,
    need: Option<Need>,
    since: Instant,
    deadline: Instant,
}

/// What is waited for decides the lane, so that slow transfers do not hold up lookups.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Names = 0,
    Bytes = 1,
    Other = 2,
}

fn lane(need: Option<Need>) -> Lane {
    match need {
        Some(Need::Look(_) | Need::Names(_)) => Lane::Names,
        Some(Need::Bytes(_)) => Lane::Bytes,
        Some(Need::Push(_)) | None => Lane::Other,
    }
}

#[derive(Default)]
struct State {
    queues: [VecDeque<Waiting>; 3],
    threads: [usize; 3],
    idle: [usize; 3],
    /// Every parked operation, for the watcher.
    parked: Vec<Waiting>,
    watching: bool,
    stopped: bool,
}

/// The pool and the watcher.
pub(super) struct Waits {
    shared: Arc<Shared>,
}

struct Shared {
    overlay: Arc<Overlay>,
    state: Mutex<State>,
    work: [Condvar; 3],
    tick: Condvar,
}

impl Waits {
    /// An empty pool; threads start when they are needed.
    pub(super) fn new(overlay: Arc<Overlay>) -> Waits {
        let shared = Shared {
            overlay,
            state: Mutex::default(),
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
        O: Fn(&Overlay, &Call) -> Result<T> + Send + Sync + 'static,
        A: FnOnce(Result<T>) + Send + 'static,
    {
        match op(&self.shared.overlay, &call) {
            Err(OverlayError::Wait(need)) => self.park(call, Some(need), op, answer),
            done => answer(done),
        }
    }

    /// Runs `op` in the pool: it may take its time without waiting for the server itself.
    pub(super) fn run_aside<T, O, A>(&self, call: Call, op: O, answer: A)
    where
        T: 'static,
        O: Fn(&Overlay, &Call) -> Result<T> + Send + Sync + 'static,
        A: FnOnce(Result<T>) + Send + 'static,
    {
        self.park(call, None, op, answer);
    }

    fn park<T, O, A>(&self, call: Call, need: Option<Need>, op: O, answer: A)
    where
        T: 'static,
        O: Fn(&Overlay, &Call) -> Result<T> + Send + Sync + 'static,
        A: FnOnce(Result<T>) + Send + 'static,
    {
        let now = Instant::now();
        let patience = need.map_or(Duration::from_secs(60), |n| self.shared.overlay.patience(n));
        let operation = Operation {
            op,
            slot: Mutex::new(Slot::Waiting(answer)),
        };
        let waiting = Waiting {
            parked: Arc::new(operation),
            call,
            need,
            since: now,
            deadline: now + patience,
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

impl Drop for Waits {
    fn drop(&mut self) {
        self.stop();
    }
}

fn enqueue(shared: &Arc<Shared>, waiting: Waiting) {
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
fn start(
    name: &str,
    shared: &Arc<Shared>,
    work: impl FnOnce(&Arc<Shared>) + Send + 'static,
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

fn serve(shared: &Arc<Shared>, at: usize) {
    while let Some(waiting) = next(shared, at) {
        work_off(&shared.overlay, waiting);
    }
}

fn next(shared: &Shared, at: usize) -> Option<Waiting> {
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
fn work_off(overlay: &Overlay, mut waiting: Waiting) {
    while !waiting.parked.is_answered() {
        if Instant::now() >= waiting.deadline {
            return expire(overlay, &waiting);
        }
        if let Some(need) = waiting.need
            && let Err(error) = overlay.satisfy(need, &mut waiting.call, waiting.deadline)
        {
            return waiting.parked.refuse(error);
        }
        match waiting.parked.run(overlay, &waiting.call) {
            Ok(()) => return,
            Err(need) => waiting.need = Some(need),
        }
    }
}

fn watch(shared: &Arc<Shared>) {
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
            .for_each(|waiting| look_after(&shared.overlay, waiting));
    }
}

/// Answers a caller that waits for too long or that got a signal.
fn look_after(overlay: &Overlay, waiting: &Waiting) {
    let now = Instant::now();
    if now >= waiting.deadline {
        return expire(overlay, waiting);
    }
    if now.duration_since(waiting.since) >= YOUNG && sys::is_signalled(waiting.call.who.pid) {
        match waiting.need {
            // The bytes are safe here; only the sending is not waited for any longer.
            Some(Need::Push(_)) => expire(overlay, waiting),
            _ => waiting.parked.refuse(OverlayError::Interrupted),
        }
    }
}

/// The last word to a caller whose time is up: once more from memory, because names may have come by another way and
/// a missing look needs no error; else that the time is up. Does nothing to an operation that runs at this moment.
fn expire(overlay: &Overlay, waiting: &Waiting) {
    let told =
        waiting.need.is_some() && waiting.parked.run(overlay, &given_up(waiting.call)).is_ok();
    if !told {
        waiting.parked.refuse(OverlayError::TimedOut);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
