//! One running agent as the daemon sees it: calls under way, and its death.

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::spawner::Spawner;
use super::wire::{Ask, Reply, Request, Told};
use super::{Answer, LowerError};
use crate::sys::{Channel, Process};

/// Who holds the process.
pub(super) enum Holder {
    /// We do.
    Own(Process),
    /// The spawner, under this number.
    Spawned(Arc<Spawner>, u32),
}

impl Holder {
    fn kill(&mut self) {
        match self {
            Holder::Own(process) => process.kill(),
            Holder::Spawned(spawner, pid) => spawner.kill(*pid),
        }
    }

    /// May take until the server answers.
    fn reap(&mut self) {
        if let Holder::Own(process) = self {
            process.reap();
        }
    }
}

enum Heard {
    Beat,
    Answer(Answer<Told>),
}

/// An agent that was started.
pub(super) struct Running {
    channel: Channel,
    /// Held while a message is sent, so that messages do not mix.
    sending: Mutex<()>,
    /// Callers by the number of their call; `None` once the agent is dead to us.
    waiting: Mutex<Option<HashMap<u64, Sender<Heard>>>>,
    next: AtomicU64,
    holder: Mutex<Option<Holder>>,
    /// A probe of this agent passed the gate.
    pub accepted: AtomicBool,
    /// Held by the one caller that is at the gate.
    pub gate: Mutex<()>,
    /// Callers that may still ask something.
    users: AtomicUsize,
    /// No further caller comes; it ends with the last one.
    retired: AtomicBool,
}

/// An agent in the hands of one caller.
pub(super) struct InUse(Arc<Running>);

impl std::ops::Deref for InUse {
    type Target = Running;
    fn deref(&self) -> &Running {
        &self.0
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let last = self.0.users.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.0.retired.load(Ordering::SeqCst) {
            self.0.kill();
        }
    }
}

impl Running {
    /// Takes an agent into use. `alive` counts those that have not ended.
    pub fn new(
        channel: Channel,
        holder: Holder,
        limit: Duration,
        alive: Arc<AtomicUsize>,
    ) -> std::io::Result<Arc<Running>> {
        channel.limit_sends(limit)?;
        let replies = channel.again()?;
        let running = Arc::new(Running {
            channel,
            sending: Mutex::new(()),
            waiting: Mutex::new(Some(HashMap::new())),
            next: AtomicU64::new(1),
            holder: Mutex::new(Some(holder)),
            accepted: AtomicBool::new(false),
            gate: Mutex::new(()),
            users: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
        });
        let reader = running.clone();
        alive.fetch_add(1, Ordering::SeqCst);
        let counted = alive.clone();
        let started = std::thread::Builder::new()
            .name("agent".into())
            .spawn(move || {
                reader.hear(&replies);
                reader.kill();
                let holder = lock(&reader.holder).take();
                if let Some(mut holder) = holder {
                    holder.reap();
                }
                counted.fetch_sub(1, Ordering::SeqCst);
            });
        if let Err(e) = started {
            running.kill();
            alive.fetch_sub(1, Ordering::SeqCst);
            return Err(e);
        }
        Ok(running)
    }

    /// True when no call will be answered any more.
    pub fn is_dead(&self) -> bool {
        lock(&self.waiting).is_none()
    }

    /// Takes it for one caller. To be called where nobody can retire it at the same moment.
    pub fn enter(self: &Arc<Self>) -> InUse {
        self.users.fetch_add(1, Ordering::SeqCst);
        InUse(self.clone())
    }

    /// Lets it end once its callers are done: a healthy call under way is no victim of a fresh start.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
        if self.users.load(Ordering::SeqCst) == 0 {
            self.kill();
        }
    }

    /// Ends it: callers hear of a dead link at once, the process gets SIGKILL, nobody waits for it.
    pub fn kill(&self) {
        let callers = lock(&self.waiting).take();
        drop(callers);
        self.channel.shut();
        if let Some(holder) = &mut *lock(&self.holder) {
            holder.kill();
        }
    }

    /// Makes one call and waits for its answer no longer than `limit` without a sign of life.
    pub fn call(&self, ask: Ask, file: Option<&File>, limit: Duration) -> Answer<Told> {
        let what = ask.said();
        let fail = |why: String| LowerError::Link {
            what: what.clone(),
            why,
        };
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let request = Request { id, ask };
        let message = postcard::to_stdvec(&request).map_err(|e| fail(e.to_string()))?;
        let (teller, heard) = channel();
        match &mut *lock(&self.waiting) {
            Some(waiting) => waiting.insert(id, teller),
            None => return Err(fail("the agent has ended".into())),
        };
        let files: Vec<&File> = file.into_iter().collect();
        let sent = {
            let _turn = lock(&self.sending);
            self.channel.send(&message, &files)
        };
        if let Err(e) = sent {
            self.kill();
            return Err(fail(format!("the agent does not listen: {e}")));
        }
        loop {
            match heard.recv_timeout(limit) {
                Ok(Heard::Beat) => {}
                Ok(Heard::Answer(answer)) => return answer,
                Err(RecvTimeoutError::Timeout) => {
                    self.kill();
                    return Err(fail(format!("no answer within {limit:?}")));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(fail("the agent has ended".into()));
                }
            }
        }
    }

    /// Hands replies to their callers until the agent is gone. A reply nobody waits for any more is dropped.
    fn hear(&self, replies: &Channel) {
        while let Ok(Some((message, _))) = replies.receive() {
            let Ok(reply) = postcard::from_bytes(&message) else {
                return;
            };
            let mut waiting = lock(&self.waiting);
            let Some(waiting) = &mut *waiting else {
                return;
            };
            match reply {
                Reply::Beat(id) => {
                    if let Some(caller) = waiting.get(&id) {
                        let _ = caller.send(Heard::Beat);
                    }
                }
                Reply::Answer(id, answer) => {
                    if let Some(caller) = waiting.remove(&id) {
                        let _ = caller.send(Heard::Answer(answer));
                    }
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
