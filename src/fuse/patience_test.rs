//! How long callers are kept waiting when one need follows another.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::parked::Serves;
use super::waits::Waits;
use crate::model::{Ino, Who};
use crate::overlay::{Call, Need, OverlayError, Result};

const LONG: Duration = Duration::from_secs(60);

/// A server that is slow to look, and has the contents.
struct Slow;

impl Serves for Slow {
    fn patience(&self, need: Need) -> Duration {
        match need {
            Need::Look(_) => Duration::from_millis(50),
            _ => LONG,
        }
    }
    fn satisfy(&self, need: Need, call: &mut Call, _deadline: Instant) -> Result<()> {
        std::thread::sleep(Duration::from_millis(500));
        call.looked |= matches!(need, Need::Look(_));
        call.pushed |= matches!(need, Need::Names(_));
        Ok(())
    }
}

#[test]
fn a_look_that_takes_its_time_leaves_time_for_what_is_needed_then() {
    let waits = Waits::new(Arc::new(Slow));
    let (send, receive) = channel();
    let op = |_: &Slow, call: &Call| match (call.looked, call.pushed) {
        (false, _) => Err(OverlayError::Wait(Need::Look(Ino(1)))),
        (true, false) => Err(OverlayError::Wait(Need::Names(Ino(1)))),
        (true, true) => Ok(7u8),
    };
    let answer = move |result| {
        let _ = send.send(result);
    };
    let caller = Call::of(Who {
        uid: 0,
        gid: 0,
        pid: std::process::id(),
    });
    waits.run(caller, op, answer);
    assert!(matches!(receive.recv_timeout(LONG), Ok(Ok(7))));
}
