//! A lower in which any one call goes wrong: the client dies there, the server refuses, the reply is lost, or the call is
//! carried out long after its caller was told that there is no answer.

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use driftfs::lower::{
    Answer, Attempt, AttemptState, Done, Expect, Fetched, Lower, LowerError, New, Posix, Probe,
    SetAttrs, Slot,
};
use driftfs::model::{Listing, Observed, RelPath};

/// What the client dies of.
pub struct Death;

/// Ends the run as a kill would: nothing after this line runs.
pub fn die() -> ! {
    std::panic::resume_unwind(Box::new(Death))
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The client dies before the call.
    DieBefore,
    /// The client dies after the call.
    DieAfter,
    /// The server refuses with this error number; nothing happens.
    Refuse(i32),
    /// No answer; nothing happens.
    Silent,
    /// It happens, but the answer is lost.
    LostReply,
    /// No answer; it happens right after the attempt was fenced.
    Late,
}

type Later = Box<dyn FnOnce() + Send>;

/// Counts calls and lets one go wrong.
pub struct Meddler {
    posix: Arc<Posix>,
    at: usize,
    trouble: Option<Trouble>,
    calls: Arc<AtomicUsize>,
    armed: Arc<AtomicBool>,
    late: Mutex<Vec<Later>>,
}

impl Meddler {
    /// Call number `at` goes wrong, while `armed`. All calls are counted in `calls`.
    pub fn new(
        posix: Posix,
        at: usize,
        trouble: Option<Trouble>,
        calls: Arc<AtomicUsize>,
        armed: Arc<AtomicBool>,
    ) -> Meddler {
        Meddler {
            posix: Arc::new(posix),
            at,
            trouble,
            calls,
            armed,
            late: Mutex::default(),
        }
    }

    fn call<T>(
        &self,
        what: &'static str,
        act: impl FnOnce(&Posix) -> Answer<T>,
        late: Option<Later>,
    ) -> Answer<T> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let armed = self.armed.load(Ordering::SeqCst);
        let trouble = self.trouble.filter(|_| armed && number == self.at);
        match trouble {
            None => act(&self.posix),
            Some(Trouble::DieBefore) => die(),
            Some(Trouble::DieAfter) => {
                let _ = act(&self.posix);
                die()
            }
            Some(Trouble::Refuse(errno)) => Err(LowerError::Refused {
                what: what.into(),
                errno,
                why: "as the test wants".into(),
            }),
            Some(Trouble::Silent) => Err(silence(what)),
            Some(Trouble::LostReply) => {
                let _ = act(&self.posix);
                Err(silence(what))
            }
            Some(Trouble::Late) => {
                self.late.lock().unwrap().extend(late);
                Err(silence(what))
            }
        }
    }

    fn mutate<T>(
        &self,
        what: &'static str,
        act: impl FnOnce(&Posix) -> Answer<T> + Send + Clone + 'static,
    ) -> Answer<T> {
        let (posix, again) = (self.posix.clone(), act.clone());
        let late: Later = Box::new(move || drop(again(&posix)));
        self.call(what, act, Some(late))
    }
}

fn silence(what: &str) -> LowerError {
    LowerError::Link {
        what: what.into(),
        why: "as the test wants".into(),
    }
}

impl Lower for Meddler {
    fn probe(&self) -> Answer<Probe> {
        self.call("probe", |posix| posix.probe(), None)
    }

    fn list(&self, dir: &RelPath, xattrs: bool) -> Answer<Listing> {
        self.call("list", |posix| posix.list(dir, xattrs), None)
    }

    fn look(&self, path: &RelPath, xattrs: bool) -> Answer<Option<Observed>> {
        self.call("look", |posix| posix.look(path, xattrs), None)
    }

    fn read(&self, path: &RelPath, into: &File) -> Answer<Fetched> {
        self.call("read", |posix| posix.read(path, into), None)
    }

    fn begin(&self, attempt: Attempt) -> Answer<()> {
        self.mutate("begin", move |posix| posix.begin(attempt))
    }

    fn stage(&self, attempt: Attempt, new: &New, bytes: Option<&File>) -> Answer<Done> {
        let new = new.clone();
        let bytes = bytes.map(|file| Arc::new(file.try_clone().expect("a second descriptor")));
        self.mutate("stage", move |posix| {
            posix.stage(attempt, &new, bytes.as_deref())
        })
    }

    fn publish(&self, attempt: Attempt, to: &RelPath, expect: &Expect) -> Answer<Done> {
        let (to, expect) = (to.clone(), *expect);
        self.mutate("publish", move |posix| posix.publish(attempt, &to, &expect))
    }

    fn take(
        &self,
        attempt: Attempt,
        from: &RelPath,
        expect: &Expect,
        slot: Slot,
    ) -> Answer<Observed> {
        let (from, expect) = (from.clone(), *expect);
        self.mutate("take", move |posix| {
            posix.take(attempt, &from, &expect, slot)
        })
    }

    fn link(&self, attempt: Attempt, from: &RelPath, expect: &Expect) -> Answer<Observed> {
        let (from, expect) = (from.clone(), *expect);
        self.mutate("link", move |posix| posix.link(attempt, &from, &expect))
    }

    fn set(&self, path: &RelPath, expect: &Expect, change: &SetAttrs) -> Answer<Done> {
        let (path, expect, change) = (path.clone(), *expect, change.clone());
        self.mutate("set", move |posix| posix.set(&path, &expect, &change))
    }

    fn attempt(&self, attempt: Attempt) -> Answer<AttemptState> {
        self.call("attempt", |posix| posix.attempt(attempt), None)
    }

    fn fence(&self, from: Attempt, to: Attempt) -> Answer<AttemptState> {
        let state = self.mutate("fence", move |posix| posix.fence(from, to));
        // The killed agent's call gets its turn now; it must find nothing to change.
        for late in self.late.lock().unwrap().drain(..) {
            late();
        }
        state
    }

    fn end(&self, attempt: Attempt, retain: Option<&str>) -> Answer<()> {
        let retain = retain.map(str::to_owned);
        self.mutate("end", move |posix| posix.end(attempt, retain.as_deref()))
    }
}
