use std::fs;

use driftfs::lower::{AttemptState, Expect, Slot};

use crate::rig::{FIRST, Rig, SECOND, path};

fn replaced(rig: &Rig) {
    rig.put("a", "old");
    let before = rig.is("a");
    rig.stage("new");
    rig.lower.publish(FIRST, &path("a"), &before).unwrap();
}

pub fn an_attempt_tells_what_it_holds(rig: &Rig) {
    assert_eq!(rig.lower.attempt(FIRST).unwrap(), AttemptState::default());
    let staged = rig.stage("text");
    let held = rig.lower.attempt(FIRST).unwrap();
    assert!(held.exists && held.old.is_none());
    assert_eq!(held.new.unwrap().stamp.ino, staged.seen.stamp.ino);
}

pub fn a_fence_moves_everything(rig: &Rig) {
    replaced(rig);
    let staged = rig.stage("newer");
    let held = rig.lower.fence(FIRST, SECOND).unwrap();
    assert_eq!(held.new.unwrap().stamp.ino, staged.seen.stamp.ino);
    assert!(held.old.is_some());
    assert!(!rig.tx(FIRST, "").exists());
    assert_eq!(fs::read_to_string(rig.tx(SECOND, "old")).unwrap(), "old");
    // What comes too late finds nothing.
    assert!(
        rig.lower
            .publish(FIRST, &path("b"), &Expect::Absent)
            .is_err()
    );
    assert!(!rig.at("b").exists());
    rig.lower
        .publish(SECOND, &path("b"), &Expect::Absent)
        .unwrap();
    assert_eq!(rig.text("b"), "newer");
}

pub fn a_fence_of_nothing_is_fine(rig: &Rig) {
    let held = rig.lower.fence(FIRST, SECOND).unwrap();
    assert_eq!(
        held,
        AttemptState {
            exists: true,
            ..AttemptState::default()
        }
    );
    assert!(rig.tx(SECOND, "").is_dir());
}

pub fn a_fence_again_is_fine(rig: &Rig) {
    rig.stage("text");
    let once = rig.lower.fence(FIRST, SECOND).unwrap();
    let twice = rig.lower.fence(FIRST, SECOND).unwrap();
    assert_eq!(once.new, twice.new);
    // A late call made the first attempt anew: both versions are kept.
    rig.stage("late");
    rig.lower.fence(FIRST, SECOND).unwrap();
    assert_eq!(fs::read_to_string(rig.tx(SECOND, "new")).unwrap(), "text");
    assert_eq!(rig.text(".driftfs/retained/fenced/c1-7.1"), "late");
}

pub fn an_end_removes_what_is_left(rig: &Rig) {
    replaced(rig);
    rig.stage("never published");
    rig.lower.end(FIRST, None).unwrap();
    assert!(!rig.tx(FIRST, "").exists());
    assert!(!rig.at(".driftfs/retained").exists());
    assert_eq!(rig.text("a"), "new");
}

pub fn an_end_keeps_what_shall_be_kept(rig: &Rig) {
    replaced(rig);
    rig.lower.end(FIRST, Some("2026-11-21/7-a")).unwrap();
    assert!(!rig.tx(FIRST, "").exists());
    assert_eq!(rig.text(".driftfs/retained/2026-11-21/7-a"), "old");
}

pub fn two_kept_under_one_label_are_both_there(rig: &Rig) {
    replaced(rig);
    rig.lower.end(FIRST, Some("day/x")).unwrap();
    replaced(rig);
    rig.lower.end(FIRST, Some("day/x")).unwrap();
    let shelf = fs::read_dir(rig.at(".driftfs/retained/day")).unwrap();
    assert_eq!(shelf.count(), 2);
}

pub fn an_end_never_removes_a_full_directory(rig: &Rig) {
    rig.put("d/a", "text");
    rig.take("d", &rig.is("d"), Slot::New).unwrap();
    rig.lower.end(FIRST, None).unwrap();
    assert_eq!(rig.text(".driftfs/retained/unexpected/c1-7.1/a"), "text");
}

pub fn ending_twice_is_fine(rig: &Rig) {
    rig.stage("text");
    rig.lower.end(FIRST, None).unwrap();
    rig.lower.end(FIRST, Some("x")).unwrap();
    rig.lower.end(SECOND, None).unwrap();
}
