//! The end of a mount: within seconds, whatever the server does, and never at the cost of open files.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::engine::Engine;
use super::launch::PushMode;
use super::{showing, syncing};
use crate::control::Said;
use crate::link::State;
use crate::reintegrate::Mode;
use crate::sys::{self, Holder};

/// So long a last push may take.
const LAST_PUSH: Duration = Duration::from_secs(4);

/// Takes the mount away. The daemon ends when the kernel has let go of it, which is after the last close.
pub(super) fn stop(engine: &Arc<Engine>) -> Said {
    last_push(engine);
    engine.fetch.save_parts();
    let point = &engine.place.mount;
    let (said, busy) = match sys::unmount(point, false) {
        Ok(()) => ("unmounted".to_owned(), Vec::new()),
        Err(refused) => {
            let busy = holders(engine);
            match sys::unmount(point, true) {
                Ok(()) => ("detached; it ends after the last close".to_owned(), busy),
                Err(error) => (format!("could not be unmounted: {refused}; {error}"), busy),
            }
        }
    };
    let unsent = showing::unsent(engine);
    tracing::info!(said, unsent, ?busy, "stop");
    Said {
        said,
        unsent,
        pid: std::process::id(),
        busy: busy.iter().map(tell).collect(),
    }
}

fn tell(holder: &Holder) -> String {
    format!(
        "{} (pid {}): {}",
        holder.program,
        holder.pid,
        holder.path.display()
    )
}

fn holders(engine: &Engine) -> Vec<Holder> {
    let mounts = sys::mounts().unwrap_or_default();
    let point = &engine.place.mount;
    let ours = mounts.iter().rev().find(|mount| mount.point == *point);
    ours.map_or_else(Vec::new, |mount| sys::holders(point, mount.device))
}

/// What was written a moment ago goes up now if that is quick; else the next mount sends it.
fn last_push(engine: &Arc<Engine>) {
    let wanted = engine.push != PushMode::Manual
        && engine.link.state() == State::Connected
        && showing::unsent(engine) > 0;
    if !wanted {
        return;
    }
    let (tell, told) = mpsc::channel();
    let merging = engine.clone();
    std::thread::spawn(move || {
        syncing::settle(&merging, &Mode::Sync);
        // The one who waits may have given up.
        let _ = tell.send(());
    });
    let _ = told.recv_timeout(LAST_PUSH);
}
