//! Keeping refreshes from moving base while a scan's plan is carried out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counts holds, now and ever: who compares [`Holds::ever`] before and after knows that none began in between.
#[derive(Default)]
pub(super) struct Holds {
    now: AtomicUsize,
    ever: AtomicU64,
}

/// While this value lives, refreshes take nothing.
pub struct Hold {
    holds: Arc<Holds>,
}

impl Holds {
    pub(super) fn hold(holds: &Arc<Holds>) -> Hold {
        holds.now.fetch_add(1, Ordering::SeqCst);
        holds.ever.fetch_add(1, Ordering::SeqCst);
        Hold {
            holds: holds.clone(),
        }
    }

    /// True while somebody holds.
    pub(super) fn held(&self) -> bool {
        self.now.load(Ordering::SeqCst) > 0
    }

    /// How many holds ever began.
    pub(super) fn ever(&self) -> u64 {
        self.ever.load(Ordering::SeqCst)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.now.fetch_sub(1, Ordering::SeqCst);
    }
}
