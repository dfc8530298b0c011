use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use driftfs::lower::{Expect, LowerError, New};
use driftfs::model::{Hash, Kind, Stamp};

use crate::rig::{FIRST, Rig, SECOND, is_root, new, path};

fn no_new(rig: &Rig) -> bool {
    rig.lower.attempt(FIRST).unwrap().new.is_none()
}

pub fn a_new_file_gets_its_name(rig: &Rig) {
    fs::create_dir(rig.at("d")).unwrap();
    let staged = rig.stage("text");
    let done = rig
        .lower
        .publish(FIRST, &path("d/a"), &Expect::Absent)
        .unwrap();
    assert_eq!(rig.text("d/a"), "text");
    assert_eq!(done.seen.stamp.ino, staged.seen.stamp.ino);
    assert_eq!((done.seen.nlink, done.possible_loss), (1, false));
    assert_eq!(done.seen.stamp, rig.stamp("d/a"));
    assert!(no_new(rig));
}

pub fn a_new_directory_gets_its_name(rig: &Rig) {
    rig.lower.begin(FIRST).unwrap();
    rig.lower.stage(FIRST, &new(Kind::Dir), None).unwrap();
    rig.lower
        .publish(FIRST, &path("d"), &Expect::Absent)
        .unwrap();
    assert!(rig.at("d").is_dir());
    assert!(no_new(rig));
}

pub fn a_taken_name_is_not_replaced(rig: &Rig) {
    rig.put("a", "theirs");
    rig.stage("ours");
    let published = rig.lower.publish(FIRST, &path("a"), &Expect::Absent);
    let Err(LowerError::Changed {
        found: Some(found), ..
    }) = published
    else {
        panic!("{published:?}");
    };
    assert_eq!(found.stamp.ino, rig.stamp("a").ino);
    assert_eq!(rig.text("a"), "theirs");
    assert!(!no_new(rig));
}

pub fn a_directory_is_not_put_onto_an_empty_one(rig: &Rig) {
    fs::create_dir(rig.at("d")).unwrap();
    let theirs = rig.stamp("d").ino;
    rig.lower.begin(FIRST).unwrap();
    rig.lower.stage(FIRST, &new(Kind::Dir), None).unwrap();
    let published = rig.lower.publish(FIRST, &path("d"), &Expect::Absent);
    assert!(
        matches!(published, Err(LowerError::Changed { .. })),
        "{published:?}"
    );
    assert_eq!(rig.stamp("d").ino, theirs);
}

pub fn a_missing_directory_refuses_a_name(rig: &Rig) {
    rig.stage("text");
    let published = rig.lower.publish(FIRST, &path("no/a"), &Expect::Absent);
    assert!(
        matches!(published, Err(LowerError::NotFound(_))),
        "{published:?}"
    );
    assert!(!no_new(rig));
}

pub fn a_link_left_by_a_crash_is_finished(rig: &Rig) {
    rig.stage("text");
    fs::hard_link(rig.tx(FIRST, "new"), rig.at("a")).unwrap();
    let done = rig
        .lower
        .publish(FIRST, &path("a"), &Expect::Absent)
        .unwrap();
    assert_eq!((done.seen.nlink, rig.text("a").as_str()), (1, "text"));
    assert!(no_new(rig));
}

pub fn the_expected_file_is_replaced_and_kept(rig: &Rig) {
    rig.put("a", "old text");
    let before = rig.stamp("a");
    rig.stage("new");
    let done = rig
        .lower
        .publish(FIRST, &path("a"), &Expect::Is(before))
        .unwrap();
    assert!(!done.possible_loss);
    assert_eq!(rig.text("a"), "new");
    assert_eq!(done.seen.stamp.hash, None);
    assert_eq!(
        fs::read_to_string(rig.tx(FIRST, "old")).unwrap(),
        "old text"
    );
    let held = rig.lower.attempt(FIRST).unwrap();
    assert_eq!(held.old.unwrap().stamp.ino, before.ino);
    assert!(held.new.is_none());
}

fn refuses_to_replace(rig: &Rig, before: Stamp, now: Option<&str>) {
    rig.stage("ours");
    let published = rig.lower.publish(FIRST, &path("a"), &Expect::Is(before));
    let Err(LowerError::Changed { found, .. }) = published else {
        panic!("{published:?}");
    };
    assert_eq!(found.is_some(), now.is_some());
    match now {
        Some(text) => assert_eq!(rig.text("a"), text),
        None => assert!(!rig.at("a").exists()),
    }
    let held = rig.lower.attempt(FIRST).unwrap();
    assert!(held.old.is_none() && held.new.is_some());
    assert_eq!(fs::read_to_string(rig.tx(FIRST, "new")).unwrap(), "ours");
}

pub fn a_file_changed_meanwhile_is_not_replaced(rig: &Rig) {
    rig.put("a", "old");
    let before = rig.stamp("a");
    rig.put("a", "written since");
    refuses_to_replace(rig, before, Some("written since"));
}

pub fn a_file_replaced_meanwhile_is_not_replaced(rig: &Rig) {
    rig.put("a", "old");
    let before = rig.stamp("a");
    rig.put("b", "their new one");
    fs::rename(rig.at("b"), rig.at("a")).unwrap();
    refuses_to_replace(rig, before, Some("their new one"));
}

pub fn a_file_gone_meanwhile_is_not_replaced(rig: &Rig) {
    rig.put("a", "old");
    let before = rig.stamp("a");
    fs::remove_file(rig.at("a")).unwrap();
    refuses_to_replace(rig, before, None);
}

pub fn equal_looking_bytes_are_read_when_racy(rig: &Rig) {
    rig.put("a", "old");
    // As after a write in the same tick of the clock: every field equal, other bytes.
    let before = Stamp {
        hash: Some(Hash([3; 32])),
        racy: true,
        ..rig.stamp("a")
    };
    refuses_to_replace(rig, before, Some("old"));
}

pub fn another_kind_can_take_the_place(rig: &Rig) {
    rig.put("a", "a file");
    rig.lower.begin(FIRST).unwrap();
    let link = New {
        target: Some(b"b".to_vec()),
        ..new(Kind::Symlink)
    };
    rig.lower.stage(FIRST, &link, None).unwrap();
    rig.lower.publish(FIRST, &path("a"), &rig.is("a")).unwrap();
    assert!(rig.at("a").is_symlink());
    rig.lower.end(FIRST, None).unwrap();
    rig.lower.begin(SECOND).unwrap();
    rig.lower.stage(SECOND, &new(Kind::Dir), None).unwrap();
    rig.lower.publish(SECOND, &path("a"), &rig.is("a")).unwrap();
    assert!(rig.at("a").is_dir());
    assert_eq!(
        rig.lower.attempt(SECOND).unwrap().old.unwrap().attrs.kind,
        Kind::Symlink
    );
}

pub fn a_try_interrupted_after_the_link_goes_on(rig: &Rig) {
    rig.put("a", "old");
    let before = rig.stamp("a");
    rig.stage("new");
    fs::hard_link(rig.at("a"), rig.tx(FIRST, "old")).unwrap();
    let held = rig.lower.fence(FIRST, SECOND).unwrap();
    assert!(held.new.is_some() && held.old.is_some());
    rig.lower
        .publish(SECOND, &path("a"), &Expect::Is(before))
        .unwrap();
    assert_eq!(rig.text("a"), "new");
    assert_eq!(fs::read_to_string(rig.tx(SECOND, "old")).unwrap(), "old");
}

pub fn nothing_is_published_into_our_directory(rig: &Rig) {
    rig.stage("text");
    let published = rig
        .lower
        .publish(FIRST, &path(".driftfs/a"), &Expect::Absent);
    assert!(
        matches!(published, Err(LowerError::Refused { .. })),
        "{published:?}"
    );
}

pub fn publishing_nothing_is_not_found(rig: &Rig) {
    rig.lower.begin(FIRST).unwrap();
    let published = rig.lower.publish(FIRST, &path("a"), &Expect::Absent);
    assert!(
        matches!(published, Err(LowerError::NotFound(_))),
        "{published:?}"
    );
}

pub fn a_read_only_directory_refuses(rig: &Rig) {
    if is_root() {
        // Nothing is refused to root; a name too long is, to everybody.
        rig.lower.begin(FIRST).unwrap();
        let long = New {
            target: Some(vec![b'x'; 5000]),
            ..new(Kind::Symlink)
        };
        let staged = rig.lower.stage(FIRST, &long, None);
        assert!(
            matches!(staged, Err(LowerError::Refused { .. })),
            "{staged:?}"
        );
        return;
    }
    fs::create_dir(rig.at("d")).unwrap();
    fs::set_permissions(rig.at("d"), fs::Permissions::from_mode(0o555)).unwrap();
    rig.stage("text");
    let published = rig.lower.publish(FIRST, &path("d/a"), &Expect::Absent);
    assert!(matches!(
        published,
        Err(LowerError::Refused {
            errno: libc::EACCES,
            ..
        })
    ));
    assert_eq!(fs::metadata(rig.tx(FIRST, "new")).unwrap().nlink(), 1);
}
