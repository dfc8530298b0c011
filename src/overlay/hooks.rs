//! What the operations tell the rest of the daemon, and ask of it.

use std::time::Instant;

use crate::model::Ino;
use crate::sys::DiskSpace;

type Changed = Box<dyn Fn(Ino) + Send + Sync>;
type Pushed = Box<dyn Fn(Ino, Instant) + Send + Sync>;
type Resolve = Box<dyn Fn(Ino, &str) -> Result<(), String> + Send + Sync>;
type Space = Box<dyn Fn() -> DiskSpace + Send + Sync>;

/// What the operations tell the rest of the daemon, and ask of it. Given at the start; each part may be left out.
#[derive(Default)]
pub struct Hooks {
    /// Called after a change of names or attributes, and after the close of a written file. Must not wait.
    pub changed: Option<Changed>,
    /// Waits until what was written to a file is on the server, or the deadline. Given: close(2) waits for it.
    pub pushed: Option<Pushed>,
    /// Settles the conflict of a node by a word (`client`, `server`, …), or says in a sentence why not.
    pub resolve: Option<Resolve>,
    /// The room there is, from memory. Must not wait.
    pub space: Option<Space>,
}

impl Hooks {
    pub(super) fn say_changed(&self, ino: Ino) {
        if let Some(changed) = &self.changed {
            changed(ino);
        }
    }

    pub(super) fn close_waits(&self) -> bool {
        self.pushed.is_some()
    }

    pub(super) fn wait_pushed(&self, ino: Ino, deadline: Instant) {
        if let Some(pushed) = &self.pushed {
            pushed(ino, deadline);
        }
    }
}
