//! A running mount, until its end.

use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::stop;
use crate::control::Server;
use crate::fuse::Mounted;
use crate::sys::{self, EndSignals, StateLock};

/// How often the end of the mount is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// A running mount.
pub(super) struct Running {
    pub(super) engine: Arc<Engine>,
    pub(super) mounted: Mounted,
    pub(super) server: Server,
    pub(super) signals: EndSignals,
    pub(super) lock: StateLock,
}

impl Running {
    /// Serves until the kernel has let go of the mount: unmounted, and the last file closed.
    pub(super) fn until_end(self) {
        let asked = self.engine.clone();
        let signals = self.signals;
        std::thread::spawn(move || {
            while let Ok(signal) = signals.wait() {
                tracing::info!(signal, "asked to end");
                stop::stop(&asked);
            }
        });
        while !self.mounted.is_ended() {
            sys::sleep(LOOK);
        }
        self.mounted.join(Duration::from_secs(1));
        self.engine.link.close();
        self.engine.bell.end();
        // The unmount that was asked for ends this loop before it is answered.
        self.server.finish(Duration::from_secs(2));
        drop(self.server);
        if let Err(error) = self.engine.tree.sync_names() {
            tracing::error!(%error, "the last sync to disk");
        }
        if let Some(image) = &self.engine.image {
            image.close();
        }
        sys::remove_small(&self.engine.place.state, "daemon.pid");
        tracing::info!("end");
        // Other threads may still be at work for a moment: the lock goes with the process, not before it.
        std::mem::forget(self.lock);
    }
}
