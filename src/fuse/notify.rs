//! Telling the kernel what it must forget. From a thread of its own, because it may take as long as a request in progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::listings::Listings;
use super::teller::Teller;
use crate::overlay::{News, Overlay};

/// How long one wait for news takes; the thread ends this long after the mount.
const WAIT: Duration = Duration::from_millis(500);
/// A reply given before the news is with the kernel, but the caller it was for may not have run yet. What the kernel did
/// not know then is told once more after this time.
const AGAIN: Duration = Duration::from_secs(1);
/// So many are told in a row before others get their turn.
const BURST: usize = 2000;
const PAUSE: Duration = Duration::from_millis(1);
/// Between two tries when no teller can be started.
const RETRY: Duration = Duration::from_millis(200);

/// Passes on what became stale until `stop` is set or the mount is gone.
pub(super) fn run(
    overlay: &Overlay,
    listings: &Listings,
    mut teller: Teller,
    stop: &Arc<AtomicBool>,
) {
    let mut again: Vec<News> = Vec::new();
    let mut told_at = Instant::now();
    while !stop.load(Ordering::Acquire) {
        let mut news = overlay.take_news(WAIT);
        if !again.is_empty() && told_at.elapsed() >= AGAIN {
            let once_more: Vec<News> = again.drain(..).map(|news| listings.widen(news)).collect();
            tell_all(&mut teller, &once_more, stop);
        }
        news = news.into_iter().map(|news| listings.widen(news)).collect();
        tell_all(&mut teller, &listings.due(overlay), stop);
        if news.is_empty() {
            continue;
        }
        tell_all(&mut teller, &news, stop);
        if again.is_empty() {
            told_at = Instant::now();
        }
        again.extend(news.into_iter().map(once_more));
        again.dedup();
    }
}

/// Bytes of a file go once only: the kernel does not read any for a caller that has not run yet.
fn once_more(news: News) -> News {
    match news {
        News::Node(ino) | News::Attributes(ino) => News::Attributes(ino),
        News::Name(dir, _) => News::Node(dir),
    }
}

fn tell_all(teller: &mut Teller, news: &[News], stop: &AtomicBool) {
    for part in news.chunks(BURST) {
        // To tell something twice is harmless, so a part is told whole until it worked.
        while let Err(error) = teller.tell(part) {
            if stop.load(Ordering::Acquire) {
                return;
            }
            tracing::warn!(%error, "the kernel was not told, once more");
            std::thread::sleep(RETRY);
        }
        if part.len() == BURST {
            std::thread::sleep(PAUSE);
        }
    }
}
