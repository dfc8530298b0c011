//! What scripted faults do, and what a lower does when somebody else comes in between.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use driftfs::lower::{Call, Expect, Fake, Fault, Lower, LowerError, Posix, Step, When};
use driftfs::model::Kind;

use crate::rig::{FIRST, SECOND, local, new, path};

fn share() -> (tempfile::TempDir, PathBuf, Fake) {
    let tmp = tempfile::tempdir().unwrap();
    let share = tmp.path().to_path_buf();
    fs::write(share.join("a"), "text").unwrap();
    let fake = Fake::new(Posix::new(&share, "c1"));
    (tmp, share, fake)
}

fn staged(fake: &Fake) {
    fake.begin(FIRST).unwrap();
    fake.stage(FIRST, &new(Kind::File), Some(&local(b"new")))
        .unwrap();
}

fn is_link<T: std::fmt::Debug>(answer: Result<T, LowerError>) {
    assert!(matches!(answer, Err(LowerError::Link { .. })), "{answer:?}");
}

#[test]
fn a_dead_link_does_nothing_and_a_lost_reply_did_it() {
    let (_tmp, share, fake) = share();
    staged(&fake);
    fake.add(Fault::dead(When::Of(Call::Publish, 1)));
    is_link(fake.publish(FIRST, &path("b"), &Expect::Absent));
    assert!(!share.join("b").exists());
    fake.add(Fault::lost_reply(When::Of(Call::Publish, 2)));
    is_link(fake.publish(FIRST, &path("b"), &Expect::Absent));
    assert_eq!(fs::read(share.join("b")).unwrap(), b"new");
    assert_eq!((fake.calls(), fake.calls_of(Call::Publish)), (4, 2));
    assert_eq!(fake.log()[3], "publish b");
    fake.heal();
    fake.look(&path("a"), false).unwrap();
}

#[test]
fn a_late_call_executes_when_asked_and_a_fence_stops_it() {
    let (_tmp, share, fake) = share();
    staged(&fake);
    fake.add(Fault::late(When::Of(Call::Publish, 1)));
    is_link(fake.publish(FIRST, &path("b"), &Expect::Absent));
    assert!(!share.join("b").exists());
    assert_eq!(fake.run_late(), [true]);
    assert!(share.join("b").exists());
    fake.stage(FIRST, &new(Kind::File), Some(&local(b"more")))
        .unwrap();
    fake.add(Fault::late(When::Of(Call::Publish, 2)));
    is_link(fake.publish(FIRST, &path("c"), &Expect::Absent));
    assert!(fake.fence(FIRST, SECOND).unwrap().new.is_some());
    assert_eq!(fake.run_late(), [false]);
    assert!(!share.join("c").exists());
}

#[test]
fn a_foreign_write_right_before_is_noticed() {
    let (_tmp, share, fake) = share();
    staged(&fake);
    let before = Expect::Is(fake.look(&path("a"), false).unwrap().unwrap().stamp);
    let theirs = share.join("a");
    fake.add(Fault::foreign_before(
        When::Every(Call::Publish),
        move || {
            fs::write(&theirs, "written by somebody").unwrap();
        },
    ));
    let published = fake.publish(FIRST, &path("a"), &before);
    assert!(
        matches!(published, Err(LowerError::Changed { .. })),
        "{published:?}"
    );
    assert_eq!(fs::read(share.join("a")).unwrap(), b"written by somebody");
}

#[test]
fn a_watcher_sees_each_step_and_may_end_it_all() {
    let (_tmp, share, fake) = share();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = steps.clone();
    let fake = fake.watch(move |step| {
        seen.lock().unwrap().push(step);
        assert_ne!(step, Step::After(3, Call::Publish), "crash here");
    });
    staged(&fake);
    let crashed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        fake.publish(FIRST, &path("b"), &Expect::Absent)
    }));
    assert!(crashed.is_err() && share.join("b").exists());
    assert_eq!(steps.lock().unwrap().len(), 6);
    // It goes on working for whoever comes after the crash.
    assert!(fake.look(&path("b"), false).is_ok());
}
