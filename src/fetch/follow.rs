//! Listening to what the lower tells of changes, and looking at the directories it names.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Inner, refresh};
use crate::link::State;
use crate::sys;

/// One question lasts so long when nothing happens: well below any deadline.
const LISTEN: Duration = Duration::from_secs(2);
/// How often an idle listener looks whether there is something to listen to.
const IDLE: Duration = Duration::from_secs(1);
/// While a plan is carried out nothing is taken: the looks come after it.
const HELD: Duration = Duration::from_millis(50);
/// Looks under way at a time on behalf of nobody.
const AT_ONCE: usize = 4;

/// See [`super::Fetch::follow`].
pub(super) fn follow(inner: &Arc<Inner>, go_on: &dyn Fn() -> bool) {
    inner.watching.switch_on();
    while go_on() {
        if inner.link.state() != State::Connected {
            let state = inner.link.state();
            inner.link.wait_change(state, Instant::now() + IDLE);
        } else if inner.watching.wait_for_any(IDLE) {
            let answer = inner.lower.events(look_at_due(inner));
            inner.watching.heard(&answer);
            if let Err(error) = answer {
                // Whoever asks for something tells the link.
                tracing::debug!(%error, "nothing is told of changes");
                sys::sleep(IDLE);
            }
        }
    }
}

/// Begins the looks that are due, and gives the time until the next one is.
fn look_at_due(inner: &Arc<Inner>) -> Duration {
    let (due, next) = inner.watching.due();
    if !due.is_empty() && inner.holds.held() {
        return HELD;
    }
    for dir in &due {
        if inner.flights.under_way() >= AT_ONCE {
            return HELD;
        }
        refresh::begin(inner, *dir);
    }
    let wait = next.map_or(LISTEN, |at| at.saturating_duration_since(Instant::now()));
    wait.clamp(
        Duration::from_millis(1),
        if due.is_empty() { LISTEN } else { HELD },
    )
}
