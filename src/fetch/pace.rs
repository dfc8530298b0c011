//! How fast bytes come: what a short wait suffices for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Inner;
use super::partial::PIECE;

/// Believed of a server nobody read from yet, in bytes per second.
const GUESS: u64 = 100 << 20;
/// Short readings say more about the delay than about the pace.
const TELLING: u64 = 256 << 10;
/// An open may wait this long for a whole file.
pub(super) const SHORT: Duration = Duration::from_millis(200);
/// However fast the server is, no more than this is moved for an open.
const MOST: u64 = 64 << 20;

/// Bytes per second, as they came lately.
pub(super) struct Pace(AtomicU64);

impl Default for Pace {
    fn default() -> Pace {
        Pace(AtomicU64::new(GUESS))
    }
}

impl Pace {
    fn learn(&self, bytes: u64, took: Duration) {
        if bytes < TELLING {
            return;
        }
        let now = (bytes as f64 / took.as_secs_f64().max(1e-6)) as u64;
        let old = self.0.load(Ordering::Relaxed);
        self.0
            .store((old / 4 * 3 + now / 4).max(1), Ordering::Relaxed);
    }

    fn within(&self, time: Duration) -> u64 {
        (self.0.load(Ordering::Relaxed) as f64 * time.as_secs_f64()) as u64
    }
}

/// Notes how long so many bytes took.
pub(super) fn learn(inner: &Inner, bytes: u64, took: Duration) {
    inner.pace.learn(bytes, took);
}

/// True when a short wait should suffice for so many bytes.
pub(super) fn suffices(inner: &Inner, bytes: u64) -> bool {
    bytes <= inner.pace.within(SHORT).min(MOST)
}

/// So many bytes as come in a quarter of a second: at least a piece, at most `most`.
pub(super) fn some(inner: &Inner, most: u64) -> u64 {
    let bytes = inner.pace.within(Duration::from_millis(250));
    (bytes / PIECE * PIECE).clamp(PIECE, most.max(PIECE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_is_seen() {
        let pace = Pace::default();
        assert_eq!(pace.within(Duration::from_secs(1)), GUESS);
        (0..40).for_each(|_| pace.learn(1 << 20, Duration::from_secs(1)));
        let second = pace.within(Duration::from_secs(1));
        assert!((900 << 10..1100 << 10).contains(&second), "{second}");
        pace.learn(10, Duration::from_secs(60));
        assert_eq!(pace.within(Duration::from_secs(1)), second);
    }
}
