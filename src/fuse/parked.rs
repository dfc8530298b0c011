//! One operation that waits, with its reply.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::overlay::{Call, Need, Overlay, OverlayError, Result};

/// Who operations are asked of, and who can wait for what they need: the overlay (tests have their own).
pub(super) trait Serves: Send + Sync + 'static {
    /// How long a caller is kept waiting for `need`.
    fn patience(&self, need: Need) -> Duration;
    /// Gets `need`, at most until `deadline`.
    fn satisfy(&self, need: Need, call: &mut Call, deadline: Instant) -> Result<()>;
}

impl Serves for Overlay {
    fn patience(&self, need: Need) -> Duration {
        Overlay::patience(self, need)
    }
    fn satisfy(&self, need: Need, call: &mut Call, deadline: Instant) -> Result<()> {
        Overlay::satisfy(self, need, call, deadline)
    }
}

/// An operation with its reply.
pub(super) trait Parked<S>: Send + Sync {
    /// Runs it and replies, unless it needs something (more). `Ok` when it is answered, by us or before.
    fn run(&self, server: &S, call: &Call) -> std::result::Result<(), Need>;
    /// Replies that it was not done.
    fn refuse(&self, error: OverlayError);
    /// True once it is answered.
    fn is_answered(&self) -> bool;
}

pub(super) struct Operation<O, A> {
    op: O,
    slot: Mutex<Slot<A>>,
}

/// Where the reply is. Whoever takes it out of `Waiting` answers.
enum Slot<A> {
    Waiting(A),
    Running,
    Answered,
}

impl<S, T, O, A> Parked<S> for Operation<O, A>
where
    O: Fn(&S, &Call) -> Result<T> + Send + Sync,
    A: FnOnce(Result<T>) + Send,
{
    fn run(&self, server: &S, call: &Call) -> std::result::Result<(), Need> {
        let Some(answer) = self.take(Slot::Running) else {
            return Ok(());
        };
        match guarded(|| (self.op)(server, call)) {
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
    /// An operation whose reply waits.
    pub(super) fn new(op: O, answer: A) -> Operation<O, A> {
        Operation {
            op,
            slot: Mutex::new(Slot::Waiting(answer)),
        }
    }

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
pub(super) struct Waiting<S> {
    /// The operation.
    pub(super) parked: Arc<dyn Parked<S>>,
    /// Its call.
    pub(super) call: Call,
    /// What it needs; `None`: nothing, it only may take its time.
    pub(super) need: Option<Need>,
    /// When it was parked.
    pub(super) since: Instant,
    /// How long its caller is kept waiting whatever happens, in milliseconds: what the most patient of its needs asks for.
    pub(super) patience: Arc<AtomicU64>,
}

impl<S> Waiting<S> {
    /// When its caller is answered whatever happens.
    pub(super) fn deadline(&self) -> Instant {
        self.since + Duration::from_millis(self.patience.load(Ordering::Relaxed))
    }

    /// It needs something else now. A look that took its second must not leave nothing for contents.
    pub(super) fn now_needs(&mut self, need: Need, patience: Duration) {
        self.need = Some(need);
        self.extend(patience);
    }

    /// Waits so long in all; false when it does already.
    pub(super) fn extend(&self, patience: Duration) -> bool {
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.patience.fetch_max(patience, Ordering::Relaxed) < patience
    }
}

impl<S> Clone for Waiting<S> {
    fn clone(&self) -> Waiting<S> {
        Waiting {
            parked: Arc::clone(&self.parked),
            patience: Arc::clone(&self.patience),
            ..*self
        }
    }
}

/// Runs an operation; a panic is its error, and the thread that answers the kernel lives on.
pub(super) fn guarded<T>(op: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(op)).unwrap_or(Err(OverlayError::Bug))
}

/// Locks; a panic elsewhere leaves values that are still true.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
