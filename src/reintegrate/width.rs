//! How much of a run is done at once, and doing it: a few lanes, each of which takes the next item.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How much is done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width {
    /// Steps carried out together: their intentions are one transaction, and so is what base learns of them.
    pub together: usize,
    /// Questions the server has to answer at the same time.
    pub lanes: usize,
}

impl Width {
    /// One step after the other, one question at a time.
    pub const ONE: Width = Width {
        together: 1,
        lanes: 1,
    };
}

impl Default for Width {
    /// More lanes help where answers take long; the agent has threads for a few times as many, so that reads of programs
    /// do not wait behind a merge.
    fn default() -> Width {
        Width {
            together: 128,
            lanes: 16,
        }
    }
}

/// Does `work` for every item, at most `lanes` at once, and gives the results in the order of the items. With one lane
/// nothing is done at once and everything in order. A panic of one ends all, once those under way have returned.
pub(super) fn each<T: Sync, R: Send>(
    lanes: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let lanes = lanes.min(items.len());
    if lanes <= 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let lane = || {
        while let Some(item) = {
            let index = next.fetch_add(1, Ordering::SeqCst);
            items.get(index).map(|item| (index, item))
        } {
            let (index, item) = item;
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(result);
        }
    };
    std::thread::scope(|scope| {
        // This thread is a lane too: with no other one the work is done all the same.
        let others: Vec<_> = (1..lanes)
            .filter_map(|_| {
                let thread = std::thread::Builder::new().name("lane".into());
                thread.spawn_scoped(scope, lane).ok()
            })
            .collect();
        lane();
        for other in others {
            if let Err(panic) = other.join() {
                resume_unwind(panic);
            }
        }
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        for lanes in [1, 2, 16] {
            let twice = each(lanes, &items, |item| item * 2);
            assert!(twice.iter().enumerate().all(|(at, twice)| at * 2 == *twice));
            assert_eq!(twice.len(), 1000);
        }
        assert_eq!(each(4, &[] as &[u8], |_| ()), []);
    }

    #[test]
    fn one_lane_does_nothing_at_once() {
        let busy = AtomicUsize::new(0);
        let items = [(); 50];
        let seen = each(1, &items, |()| {
            let before = busy.fetch_add(1, Ordering::SeqCst);
            busy.fetch_sub(1, Ordering::SeqCst);
            before
        });
        assert!(seen.iter().all(|before| *before == 0));
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let died = catch_unwind(|| {
            each(4, &[1, 2, 3, 4, 5, 6], |item| {
                assert!(*item != 4, "as the test wants");
            })
        });
        assert!(died.is_err());
    }
}
