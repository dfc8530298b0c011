//! Signs of life of long calls. The thread that serves a request says where they go; whoever copies bytes calls [`beat`].

use std::cell::RefCell;

type Sink = Box<dyn FnMut()>;

thread_local! {
    static SINK: RefCell<Option<Sink>> = const { RefCell::new(None) };
}

/// Runs `work` with `sink` receiving the signs of life of this thread.
pub(super) fn with_sink<T>(sink: impl FnMut() + 'static, work: impl FnOnce() -> T) -> T {
    SINK.with_borrow_mut(|slot| *slot = Some(Box::new(sink)));
    let result = work();
    SINK.with_borrow_mut(|slot| *slot = None);
    result
}

/// Something moved.
pub(super) fn beat() {
    SINK.with_borrow_mut(|slot| {
        if let Some(sink) = slot {
            sink();
        }
    });
}
