//! Purging and removing files aside: whoever removes a name does not wait for what that leaves behind.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use super::commit::{Core, locked};
use super::{Result, Tree};
use crate::model::Ino;

/// Nodes purged in one transaction.
const BATCH: usize = 128;

/// What waits to be cleared away.
#[derive(Default)]
pub(super) struct Clearing {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    /// Somebody works it off.
    on: bool,
    nodes: HashSet<Ino>,
    flush: bool,
    end: bool,
}

/// What to do next.
enum Work {
    Purge(Vec<Ino>),
    Flush,
    End,
}

impl Clearing {
    /// Leaves a nameless node that nobody holds to the thread; false when there is none.
    pub(super) fn take(&self, ino: Ino) -> bool {
        self.ask(|state| {
            state.nodes.insert(ino);
        })
    }

    /// Leaves a flush to the thread; false when there is none.
    pub(super) fn take_flush(&self) -> bool {
        self.ask(|state| state.flush = true)
    }

    fn ask(&self, what: impl FnOnce(&mut State)) -> bool {
        let mut state = locked(&self.state);
        if !state.on {
            return false;
        }
        what(&mut state);
        self.more.notify_one();
        true
    }

    fn next(&self) -> Work {
        let mut state = locked(&self.state);
        loop {
            if state.end {
                // Whoever lets go of a node from now on purges it himself.
                state.on = false;
            }
            if !state.nodes.is_empty() {
                let some: Vec<Ino> = state.nodes.iter().copied().take(BATCH).collect();
                for ino in &some {
                    state.nodes.remove(ino);
                }
                return Work::Purge(some);
            }
            if std::mem::take(&mut state.flush) {
                return Work::Flush;
            }
            if state.end {
                return Work::End;
            }
            state = self
                .more
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The thread, ended with its tree.
pub(super) struct Clearer {
    clearing: Arc<Clearing>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Clearer {
    fn drop(&mut self) {
        locked(&self.clearing.state).end = true;
        self.clearing.more.notify_all();
        // Waited for: it must not be the one that ends the tree, behind the back of a process that is about to exit.
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("what was removed is cleared away at the next start");
        }
    }
}

impl Tree {
    /// From now on a thread purges what lost its last name, and removes files.
    pub fn clear_aside(&self) -> std::io::Result<()> {
        let clearing = Arc::clone(&self.core.clearing);
        let (theirs, core) = (Arc::clone(&clearing), Arc::downgrade(&self.core));
        let thread = std::thread::Builder::new()
            .name("driftfs-clear".into())
            .spawn(move || run(&theirs, &core))?;
        locked(&clearing.state).on = true;
        let clearer = Clearer {
            clearing,
            thread: Some(thread),
        };
        *locked(&self.clearer) = Some(clearer);
        Ok(())
    }
}

fn run(clearing: &Clearing, core: &Weak<Core>) {
    loop {
        let work = clearing.next();
        let Some(core) = core.upgrade() else { return };
        match work {
            Work::Purge(nodes) => core.purge_all(&nodes),
            Work::Flush => core.flush_crowded(),
            Work::End => return,
        }
    }
}

impl Core {
    /// Purges what nobody holds, in one transaction if that works.
    fn purge_all(&self, nodes: &[Ino]) {
        let together = self.purge_together(nodes).is_ok();
        for ino in nodes.iter().filter(|_| !together) {
            if let Err(error) = self.purge(*ino) {
                tracing::warn!(%ino, %error, "a removed file could not be purged yet");
            }
        }
        self.flush_if_crowded();
    }

    fn purge_together(&self, nodes: &[Ino]) -> Result<()> {
        let mut nodes = nodes.to_vec();
        nodes.sort_unstable();
        let pins: Vec<_> = nodes.iter().map(|ino| self.table.pin(*ino)).collect();
        // By number, as all who take several.
        let _alone: Vec<_> = pins.iter().map(|pin| pin.alone()).collect();
        let mut free = Vec::new();
        for pin in &pins {
            if self.is_purgeable(pin)? {
                free.push(pin);
            }
        }
        if free.is_empty() {
            return Ok(());
        }
        let gone = self.meta.write(|txn| {
            let gone: Result<Vec<_>> = free.iter().map(|pin| self.purge_in(txn, pin)).collect();
            gone
        })?;
        for (pin, had_file) in free.iter().zip(gone) {
            self.purged(pin.ino, had_file);
        }
        Ok(())
    }
}
