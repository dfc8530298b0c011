//! Telling the kernel what it must forget. From a thread of its own: these calls wait for locks that a request in
//! progress may hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fuser::{INodeNo, Notifier};

use crate::overlay::{Overlay, Stale};

/// How long one wait for something stale takes; the thread ends this long after the mount.
const WAIT: Duration = Duration::from_millis(500);

/// Passes on what became stale until `stop` is set or the mount is gone.
pub(super) fn run(overlay: &Overlay, notifier: &Notifier, stop: &Arc<AtomicBool>) {
    while !stop.load(Ordering::Acquire) {
        for stale in overlay.take_stale(WAIT) {
            let told = match &stale {
                // Also drops a directory's cached attributes. Never `inval_entry` here: on a directory that is
                // still the same it would break getcwd and mounts beneath it.
                Stale::Node(ino) => notifier.inval_inode(INodeNo(ino.0), 0, 0),
                Stale::Name(parent, name) => notifier
                    .inval_entry(INodeNo(parent.0), name.os())
                    .and_then(|()| notifier.inval_inode(INodeNo(parent.0), 0, 0)),
            };
            if let Err(error) = told {
                tracing::debug!(?stale, %error, "the kernel was not told");
            }
        }
    }
}
