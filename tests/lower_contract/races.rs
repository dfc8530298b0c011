//! Somebody else at the same name at the same time: no version of theirs may be lost.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use driftfs::lower::{Attempt, Expect, Lower, LowerError, Posix, Slot};
use driftfs::model::{Kind, TxnId};
use driftfs::sys::dir::{Onto, rename_between};

use crate::rig::{local, new, path};

const ROUNDS: u64 = 150;

/// Puts version after version at `a`, and keeps what each of them displaced.
fn foreign(share: &Path, stop: &AtomicBool) -> (u64, BTreeSet<String>) {
    let dir = driftfs::sys::open_dir(share).unwrap();
    let mut displaced = BTreeSet::new();
    let mut version = 0;
    while !stop.load(Ordering::SeqCst) {
        version += 1;
        fs::write(share.join("their-draft"), format!("theirs {version}")).unwrap();
        let swap = |onto| rename_between(&dir, "their-draft".as_ref(), &dir, "a".as_ref(), onto);
        match swap(Onto::Exchange) {
            Ok(()) => {
                displaced.insert(fs::read_to_string(share.join("their-draft")).unwrap());
            }
            // Taken away just now.
            Err(_) if swap(Onto::Nothing).is_ok() => {}
            Err(_) => version -= 1,
        }
        std::thread::yield_now();
    }
    (version, displaced)
}

fn race(step: impl Fn(&Posix, Attempt, &Expect) -> Result<(), LowerError>) {
    let tmp = tempfile::tempdir().unwrap();
    let share = tmp.path().to_path_buf();
    fs::write(share.join("a"), "theirs 0").unwrap();
    let lower = Posix::new(&share, "c1");
    let stop = Arc::new(AtomicBool::new(false));
    let (theirs, ends) = (share.clone(), stop.clone());
    let writer = std::thread::spawn(move || foreign(&theirs, &ends));
    let mut done = 0;
    for txn in 1..=ROUNDS {
        let attempt = Attempt {
            txn: TxnId(txn),
            n: 1,
        };
        lower.begin(attempt).unwrap();
        if let Some(seen) = lower.look(&path("a"), false).unwrap() {
            match step(&lower, attempt, &Expect::Is(seen.stamp)) {
                Ok(()) => done += 1,
                Err(LowerError::Changed { .. }) => {}
                Err(e) => panic!("{e}"),
            }
        }
        lower.end(attempt, Some(&format!("kept/{txn}"))).unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    let (versions, mut known) = writer.join().unwrap();
    known.extend(fs::read_to_string(share.join("a")).ok());
    if let Ok(kept) = fs::read_dir(share.join(".driftfs/retained/kept")) {
        known.extend(kept.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()));
    }
    let lost: Vec<_> = (0..=versions)
        .map(|version| format!("theirs {version}"))
        .filter(|version| !known.contains(version))
        .collect();
    assert!(
        lost.is_empty(),
        "lost after {done} of {ROUNDS} and {versions} of theirs: {lost:?}"
    );
    assert!(versions > 0);
}

#[test]
fn replacing_by_exchange_loses_nothing() {
    race(|lower, attempt, expect| {
        lower.stage(attempt, &new(Kind::File), Some(&local(b"ours")))?;
        lower.publish(attempt, &path("a"), expect).map(drop)
    });
}

#[test]
fn taking_loses_nothing() {
    race(|lower, attempt, expect| lower.take(attempt, &path("a"), expect, Slot::Old).map(drop));
}
