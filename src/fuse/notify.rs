//! Telling the kernel what it must forget. From a thread of its own: these calls wait for locks that a request in
//! progress may hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fuser::{INodeNo, Notifier};

use crate::model::Ino;
use crate::overlay::{News, Overlay};

/// How long one wait for news takes; the thread ends this long after the mount.
const WAIT: Duration = Duration::from_millis(500);
/// A reply given before the news is with the kernel, but the caller it was for may not have run yet. Attributes of nodes
/// the kernel did not know are told once more after this time.
const AGAIN: Duration = Duration::from_secs(1);
/// So many are told in a row before others get their turn.
const BURST: usize = 2000;
const PAUSE: Duration = Duration::from_millis(1);

/// Passes on what became stale until `stop` is set or the mount is gone.
pub(super) fn run(overlay: &Overlay, notifier: &Notifier, stop: &Arc<AtomicBool>) {
    let mut again: Vec<Ino> = Vec::new();
    let mut told_at = Instant::now();
    while !stop.load(Ordering::Acquire) {
        let news = overlay.take_news(WAIT);
        if !again.is_empty() && told_at.elapsed() >= AGAIN {
            let once_more: Vec<News> = again.drain(..).map(News::Attributes).collect();
            tell_all(notifier, &once_more, stop);
        }
        if news.is_empty() {
            continue;
        }
        tell_all(notifier, &news, stop);
        if again.is_empty() {
            told_at = Instant::now();
        }
        again.extend(news.iter().filter_map(node));
    }
}

fn node(news: &News) -> Option<Ino> {
    match news {
        News::Attributes(ino) | News::Node(ino) => Some(*ino),
        News::Name(..) => None,
    }
}

fn tell_all(notifier: &Notifier, news: &[News], stop: &AtomicBool) {
    for part in news.chunks(BURST) {
        if stop.load(Ordering::Acquire) {
            return;
        }
        part.iter().for_each(|news| tell(notifier, news));
        if part.len() == BURST {
            std::thread::sleep(PAUSE);
        }
    }
}

fn tell(notifier: &Notifier, news: &News) {
    let told = match news {
        // Also drops a directory's cached attributes. Never `inval_entry` here: on a directory that is still the same it
        // would break getcwd and mounts beneath it.
        News::Node(ino) => notifier.inval_inode(INodeNo(ino.0), 0, 0),
        // A negative offset leaves the pages alone.
        News::Attributes(ino) => notifier.inval_inode(INodeNo(ino.0), -1, 0),
        News::Name(parent, name) => notifier
            .inval_entry(INodeNo(parent.0), name.os())
            .and_then(|()| notifier.inval_inode(INodeNo(parent.0), 0, 0)),
    };
    if let Err(error) = told {
        tracing::debug!(?news, %error, "the kernel was not told");
    }
}
