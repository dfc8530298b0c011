//! The live files that the kernel reads and writes without asking: one registration for each node, shared by its open
//! handles, gone with the last of them.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fuser::BackingId;

use super::parked::lock;
use crate::model::Ino;
use crate::overlay::{Opened, Overlay, Result};

/// The registrations of one mount.
pub(super) struct Backings {
    overlay: Arc<Overlay>,
    table: Mutex<Table>,
    /// It worked once: a failure is one of this file or this moment.
    worked: AtomicBool,
}

#[derive(Default)]
struct Table {
    nodes: HashMap<Ino, Backing>,
    handles: HashMap<u64, Ino>,
}

struct Backing {
    id: Arc<BackingId>,
    handles: usize,
}

impl Backings {
    /// None yet.
    pub(super) fn new(overlay: Arc<Overlay>) -> Backings {
        Backings {
            overlay,
            table: Mutex::default(),
            worked: AtomicBool::new(false),
        }
    }

    /// The registration for an opened file that may pass, made with `register` unless another handle has one. `None`: it
    /// is served. The kernel wants all handles of a node in one mode with one registration, so this is done for one
    /// handle at a time.
    pub(super) fn find(
        &self,
        ino: Ino,
        opened: &Opened,
        register: &dyn Fn(File) -> io::Result<BackingId>,
    ) -> Result<Option<Arc<BackingId>>> {
        if !opened.passthrough {
            return Ok(None);
        }
        let found = self.share(ino, opened.handle, register);
        if found.is_err() {
            // The program gets an error, and the kernel never tells us of this handle again.
            self.overlay.release(opened.handle);
        }
        found
    }

    fn share(
        &self,
        ino: Ino,
        handle: u64,
        register: &dyn Fn(File) -> io::Result<BackingId>,
    ) -> Result<Option<Arc<BackingId>>> {
        let mut table = lock(&self.table);
        if let Some(backing) = table.nodes.get_mut(&ino) {
            backing.handles += 1;
            let id = Arc::clone(&backing.id);
            table.handles.insert(handle, ino);
            return Ok(Some(id));
        }
        let Some(file) = self.overlay.backing(handle)? else {
            return Ok(None);
        };
        match register(file) {
            Ok(id) => {
                self.worked.store(true, Ordering::Relaxed);
                let id = Arc::new(id);
                let backing = Backing {
                    id: Arc::clone(&id),
                    handles: 1,
                };
                table.nodes.insert(ino, backing);
                table.handles.insert(handle, ino);
                Ok(Some(id))
            }
            Err(error) => {
                self.refused(&error);
                self.overlay.serve_instead(handle)?;
                Ok(None)
            }
        }
    }

    /// Never once accepted: it will not be later (no right to, or the state directory is on a stacked file system).
    fn refused(&self, error: &io::Error) {
        if self.worked.load(Ordering::Relaxed) {
            tracing::warn!(%error, "one file is served instead of passed through");
        } else {
            tracing::info!(%error, "no passthrough here: all files are served");
            self.overlay.use_passthrough(false);
        }
    }

    /// A handle is gone.
    pub(super) fn release(&self, handle: u64) {
        let mut table = lock(&self.table);
        let Some(ino) = table.handles.remove(&handle) else {
            return;
        };
        if let Some(backing) = table.nodes.get_mut(&ino) {
            backing.handles -= 1;
            if backing.handles == 0 {
                table.nodes.remove(&ino);
            }
        }
    }
}
