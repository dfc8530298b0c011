//! What a change on the mount means for sending it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

use super::engine::Engine;
use super::launch::PushMode;
use super::syncing;
use crate::model::Ino;
use crate::reintegrate::Mode;

/// Something was changed: it is sent when changes come to rest, unless pushing is manual.
pub(super) fn changed(engine: &Engine) {
    if engine.push != PushMode::Manual {
        engine.bell.changed();
    }
}

/// Sends one file now and waits until that is done, the link is lost, or `deadline`.
pub(super) fn push_now(engine: &Arc<Engine>, ino: Ino, deadline: Instant) {
    if !engine.link.may_ask() {
        return;
    }
    let (tell, told) = mpsc::channel();
    let sending = engine.clone();
    let started = std::thread::Builder::new()
        .name("close".into())
        .spawn(move || {
            syncing::settle(&sending, &Mode::Push(BTreeSet::from([ino])));
            // The one who waits may have given up.
            let _ = tell.send(());
        });
    match started {
        Ok(_) => drop(told.recv_timeout(deadline.saturating_duration_since(Instant::now()))),
        Err(error) => tracing::warn!(%error, "no thread for sending a closed file"),
    }
}
