use std::fs;
use std::os::unix::fs::MetadataExt;

use driftfs::lower::{Expect, LowerError, Slot};
use driftfs::model::Kind;

use crate::rig::{FIRST, Rig, new, path};

pub fn a_file_is_taken_and_kept(rig: &Rig) {
    rig.put("d/a", "text");
    let before = rig.stamp("d/a");
    let out = rig.take("d/a", &Expect::Is(before), Slot::Old).unwrap();
    assert_eq!(out.stamp.ino, before.ino);
    assert!(!rig.at("d/a").exists());
    assert_eq!(fs::read_to_string(rig.tx(FIRST, "old")).unwrap(), "text");
}

pub fn a_changed_file_stays(rig: &Rig) {
    rig.put("a", "text");
    let before = rig.is("a");
    rig.put("a", "other text");
    let taken = rig.take("a", &before, Slot::Old);
    assert!(
        matches!(taken, Err(LowerError::Changed { found: Some(_), .. })),
        "{taken:?}"
    );
    assert_eq!(rig.text("a"), "other text");
    assert!(rig.lower.attempt(FIRST).unwrap().old.is_none());
}

pub fn a_full_directory_stays(rig: &Rig) {
    rig.put("d/a", "text");
    let taken = rig.take("d", &rig.is("d"), Slot::Old);
    assert_eq!(taken.unwrap_err(), LowerError::NotEmpty(path("d")));
    assert_eq!(rig.text("d/a"), "text");
}

pub fn an_empty_directory_is_taken(rig: &Rig) {
    fs::create_dir(rig.at("d")).unwrap();
    rig.take("d", &rig.is("d"), Slot::Old).unwrap();
    assert!(!rig.at("d").exists());
    rig.lower.end(FIRST, None).unwrap();
    assert!(!rig.tx(FIRST, "").exists());
}

pub fn a_directory_moves_with_its_content(rig: &Rig) {
    rig.put("d/a", "text");
    let before = rig.stamp("d");
    rig.take("d", &Expect::Is(before), Slot::New).unwrap();
    let done = rig
        .lower
        .publish(FIRST, &path("e"), &Expect::Absent)
        .unwrap();
    assert_eq!(
        (rig.text("e/a").as_str(), done.seen.stamp.ino),
        ("text", before.ino)
    );
    assert!(!rig.at("d").exists());
}

pub fn a_moving_directory_may_be_worked_in(rig: &Rig) {
    fs::create_dir(rig.at("d")).unwrap();
    let before = rig.stamp("d");
    rig.put("d/since", "text");
    let strict = rig.take("d", &Expect::Is(before), Slot::New);
    assert!(
        matches!(strict, Err(LowerError::Changed { .. })),
        "{strict:?}"
    );
    rig.take("d", &Expect::Object(before), Slot::New).unwrap();
    rig.lower
        .publish(FIRST, &path("e"), &Expect::Absent)
        .unwrap();
    assert_eq!(rig.text("e/since"), "text");
}

pub fn a_hard_link_becomes_one_more_name(rig: &Rig) {
    rig.put("a", "text");
    rig.lower.begin(FIRST).unwrap();
    let linked = rig.lower.link(FIRST, &path("a"), &rig.is("a")).unwrap();
    assert_eq!(linked.nlink, 2);
    let done = rig
        .lower
        .publish(FIRST, &path("b"), &Expect::Absent)
        .unwrap();
    assert_eq!(done.seen.nlink, 2);
    let ino = |name: &str| fs::metadata(rig.at(name)).unwrap().ino();
    assert_eq!(ino("a"), ino("b"));
}

pub fn a_hard_link_can_replace(rig: &Rig) {
    rig.put("a", "text");
    rig.put("b", "other");
    rig.lower.begin(FIRST).unwrap();
    rig.lower.link(FIRST, &path("a"), &rig.is("a")).unwrap();
    rig.lower.publish(FIRST, &path("b"), &rig.is("b")).unwrap();
    assert_eq!(rig.text("b"), "text");
    assert_eq!(fs::metadata(rig.at("a")).unwrap().nlink(), 2);
    assert_eq!(fs::read_to_string(rig.tx(FIRST, "old")).unwrap(), "other");
    // A directory has one name.
    fs::create_dir(rig.at("d")).unwrap();
    let linked = rig.lower.link(FIRST, &path("d"), &rig.is("d"));
    assert!(
        matches!(linked, Err(LowerError::Refused { .. })),
        "{linked:?}"
    );
}

pub fn what_is_gone_cannot_be_taken(rig: &Rig) {
    rig.put("a", "text");
    let before = rig.is("a");
    fs::remove_file(rig.at("a")).unwrap();
    let taken = rig.take("a", &before, Slot::Old);
    assert!(
        matches!(taken, Err(LowerError::Changed { found: None, .. })),
        "{taken:?}"
    );
    let linked = rig.lower.link(FIRST, &path("a"), &before);
    assert!(
        matches!(linked, Err(LowerError::Changed { found: None, .. })),
        "{linked:?}"
    );
    rig.lower.stage(FIRST, &new(Kind::Dir), None).unwrap();
}
