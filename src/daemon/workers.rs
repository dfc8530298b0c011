//! The daemon's own threads: prober, merger, walker of names, watcher of writers nobody sees, storer of rows.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::bell::Work;
use super::engine::Engine;
use super::launch::PushMode;
use super::{probing, pushing, redirect, syncing};
use crate::link::State;
use crate::reintegrate::Mode;
use crate::sys;

/// How often the merger looks whether an access met something only a whole merge can decide.
const LOOK: Duration = Duration::from_millis(500);
/// Names that are fetched in the background at most.
const NAMES: usize = 1_000_000;
/// Pause of the walker when there is nothing to walk.
const WALK_PAUSE: Duration = Duration::from_secs(30);

/// How often files that are written without asking are looked at.
const WRITTEN_LOOK: Duration = Duration::from_secs(2);
/// Pause before each such look.
const WRITTEN_PAUSE: Duration = Duration::from_millis(100);

/// How often the one who stores rows looks whether the daemon ends.
const STORE_LOOK: Duration = Duration::from_secs(1);

/// Pause before a thread that met a defect goes on.
const RESTART: Duration = Duration::from_secs(2);

/// Starts all of them.
pub(super) fn start(engine: &Arc<Engine>) -> io::Result<()> {
    engine.tree.clear_aside()?;
    spawn("prober", engine, probing::run)?;
    spawn("merger", engine, merge)?;
    spawn("watcher", engine, follow)?;
    spawn("redirect", engine, redirect::run)?;
    spawn("names", engine, walk)?;
    spawn("settler", engine, store)?;
    spawn("written", engine, watch_writers)
}

fn spawn(name: &str, engine: &Arc<Engine>, work: fn(&Engine)) -> io::Result<()> {
    let engine = engine.clone();
    std::thread::Builder::new()
        .name(name.into())
        .spawn(move || keep_going(&engine, work))
        .map(drop)
}

/// A defect in one piece of work must not end all that comes after it: what was half done stands in its intents, and
/// the next run takes it up.
fn keep_going(engine: &Engine, work: fn(&Engine)) {
    while catch_unwind(AssertUnwindSafe(|| work(engine))).is_err() && !engine.bell.is_ended() {
        sys::sleep(RESTART);
    }
}

/// Merges when somebody asked, when the link came back, and (unless pushing is manual) when changes came to rest.
fn merge(engine: &Engine) {
    loop {
        match engine.bell.next(LOOK) {
            Work::End => return,
            Work::Look if engine.link.state() == State::Connected && engine.fetch.wants_sync() => {
                syncing::settle(engine, &unasked(engine));
            }
            Work::Look => {}
            Work::Sync if engine.link.may_ask() => {
                let manual = engine.push == PushMode::Manual;
                if manual || !syncing::come_back(engine) {
                    syncing::settle(engine, &unasked(engine));
                }
            }
            Work::Send if engine.link.may_ask() => {
                if syncing::send(engine) {
                    syncing::settle(engine, &unasked(engine));
                }
            }
            // Nothing is forgotten: the return of the link begins with a merge.
            Work::Sync | Work::Send => {}
        }
    }
}

/// Tells of what was written without anybody being asked: through a mapping after the last close, or a handle that stays
/// open.
fn watch_writers(engine: &Engine) {
    while !engine.bell.is_ended() {
        engine.tree.wait_written(WRITTEN_LOOK);
        // Many files closed in a row are looked at together, when the kernel has let go of them.
        sys::sleep(WRITTEN_PAUSE);
        for _ in engine.tree.written_silently() {
            pushing::changed(engine);
        }
    }
}

/// Brings the database up to date with what is in its redo journal.
fn store(engine: &Engine) {
    while !engine.bell.is_ended() {
        if let Err(error) = engine.meta().settle_soon(STORE_LOOK) {
            tracing::warn!(%error, "changes wait in the redo journal until they can be stored");
            sys::sleep(RESTART);
        }
    }
}

/// How far a merge goes that nobody typed: with manual pushing nothing is sent by itself.
fn unasked(engine: &Engine) -> Mode {
    match engine.push {
        PushMode::Manual => Mode::Pull,
        PushMode::Auto | PushMode::Close => Mode::Sync,
    }
}

/// Listens to what the lower tells of changes.
fn follow(engine: &Engine) {
    engine.fetch.follow(&|| !engine.bell.is_ended());
}

/// Brings the names of the whole tree, so that they are known when the link goes.
fn walk(engine: &Engine) {
    let go_on = || !engine.bell.is_ended() && engine.link.state() == State::Connected;
    while !engine.bell.is_ended() {
        if go_on() {
            let walked = engine.fetch.names_walk(NAMES, &go_on);
            tracing::debug!(?walked, "names");
            syncing::verify(engine, &go_on);
        }
        let state = engine.link.state();
        let until = std::time::Instant::now() + WALK_PAUSE;
        engine.link.wait_change(state, until);
    }
}
