//! The open files of the mount.

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::part::PartFile;
use super::{OverlayError, Result, Stat};
use crate::model::{Ino, Time};
use crate::tree::Handle;

/// What is behind a handle.
pub(super) enum Body {
    /// A live file.
    Live(LiveFile),
    /// A live file that was opened while only parts of it were here.
    Part(PartFile),
    /// The bytes of a version.
    Stored(File),
    /// A text made when it was opened.
    Text(Vec<u8>),
}

/// One open handle.
pub(super) struct Open {
    /// Its node.
    pub(super) ino: Ino,
    /// What is behind it.
    pub(super) body: Body,
}

impl Open {
    /// The live file behind it.
    pub(super) fn live(&self) -> Result<&LiveFile> {
        match &self.body {
            Body::Live(file) => Ok(file),
            Body::Part(file) => file.live().ok_or(OverlayError::ReadOnly),
            Body::Stored(_) | Body::Text(_) => Err(OverlayError::ReadOnly),
        }
    }
}

/// An open live file.
pub(super) struct LiveFile {
    /// Its opening in the tree.
    pub(super) handle: Handle,
    /// Writes go past us: the kernel writes the live file without asking.
    pub(super) silent: bool,
    /// True once something was written through it that no close has reported yet.
    pub(super) wrote: AtomicBool,
    /// True when the first write by a user without privilege must take `security.capability` away.
    pub(super) has_caps: AtomicBool,
}

/// By what content is known again: size, mtime, ctime.
type Content = (u64, Time, Time);

/// The open files, and what the kernel has in its page cache of closed ones.
pub(super) struct Handles {
    next: AtomicU64,
    files: RwLock<HashMap<u64, Arc<Open>>>,
    cached: Mutex<HashMap<Ino, Content>>,
}

/// How many files' contents are remembered; above that all are forgotten (their next open drops the page cache).
const REMEMBERED: usize = 65_536;

impl Default for Handles {
    fn default() -> Handles {
        Handles {
            next: AtomicU64::new(1),
            files: RwLock::default(),
            cached: Mutex::default(),
        }
    }
}

impl Handles {
    /// Adds an open file and gives its number.
    pub(super) fn add(&self, ino: Ino, body: Body) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.insert(number, Arc::new(Open { ino, body }));
        number
    }

    /// The open file of that number.
    pub(super) fn get(&self, number: u64) -> Result<Arc<Open>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.get(&number).cloned().ok_or(OverlayError::BadHandle)
    }

    /// Takes the open file of that number out.
    pub(super) fn remove(&self, number: u64) -> Option<Arc<Open>> {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.remove(&number)
    }

    /// True when the kernel's pages of a file may be kept: its content is what it was when it was last open.
    pub(super) fn is_cached(&self, stat: &Stat) -> bool {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.get(&stat.ino) == Some(&content(stat))
    }

    /// Notes the content that the kernel's pages now show.
    pub(super) fn note_content(&self, stat: &Stat) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.len() >= REMEMBERED {
            cached.clear();
        }
        cached.insert(stat.ino, content(stat));
    }

    /// Forgets what the kernel's pages show.
    pub(super) fn forget_content(&self, ino: Ino) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.remove(&ino);
    }
}

fn content(stat: &Stat) -> Content {
    (stat.attrs.size, stat.attrs.mtime, stat.attrs.ctime)
}
