use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use driftfs::lower::{LowerError, SetAttrs};
use driftfs::model::{RelPath, Time};

use crate::rig::{Rig, path};

pub fn mode_and_times_are_set(rig: &Rig) {
    rig.put("a", "text");
    let change = SetAttrs {
        mode: Some(0o4711),
        mtime: Some(Time {
            sec: 1_000_000_007,
            nsec: 900,
        }),
        ..SetAttrs::default()
    };
    let done = rig.lower.set(&path("a"), &rig.is("a"), &change).unwrap();
    assert_eq!(done.refused, Vec::<String>::new());
    assert_eq!(done.seen, rig.look("a"));
    let meta = fs::metadata(rig.at("a")).unwrap();
    assert_eq!(meta.mode() & 0o7777, 0o4711);
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_000_000_007, 900));
    assert_eq!(rig.text("a"), "text");
}

pub fn xattrs_are_set_and_removed(rig: &Rig) {
    rig.put("a", "text");
    xattr::set(rig.at("a"), "user.old", b"1").unwrap();
    let change = SetAttrs {
        xattrs: vec![
            (b"user.old".to_vec(), None),
            (b"user.never".to_vec(), None),
            (b"user.new".to_vec(), Some(b"2".to_vec())),
        ],
        ..SetAttrs::default()
    };
    let done = rig.lower.set(&path("a"), &rig.is("a"), &change).unwrap();
    assert_eq!(done.refused, Vec::<String>::new());
    let left: Vec<_> = done.seen.xattrs.unwrap().into_iter().collect();
    assert_eq!(left, [(b"user.new".to_vec(), b"2".to_vec())]);
}

pub fn a_changed_object_is_not_touched(rig: &Rig) {
    rig.put("a", "text");
    let before = rig.is("a");
    rig.put("a", "other text");
    let mode = fs::metadata(rig.at("a")).unwrap().mode();
    let change = SetAttrs {
        mode: Some(0o600),
        ..SetAttrs::default()
    };
    let set = rig.lower.set(&path("a"), &before, &change);
    assert!(matches!(set, Err(LowerError::Changed { .. })), "{set:?}");
    assert_eq!(fs::metadata(rig.at("a")).unwrap().mode(), mode);
}

pub fn a_symlink_is_not_followed(rig: &Rig) {
    rig.put("a", "text");
    symlink("a", rig.at("link")).unwrap();
    let before = fs::metadata(rig.at("a")).unwrap();
    let change = SetAttrs {
        mode: Some(0o600),
        mtime: Some(Time {
            sec: 1_000_000_007,
            nsec: 0,
        }),
        ..SetAttrs::default()
    };
    rig.lower
        .set(&path("link"), &rig.is("link"), &change)
        .unwrap();
    let after = fs::metadata(rig.at("a")).unwrap();
    assert_eq!(
        (before.mode(), before.mtime()),
        (after.mode(), after.mtime())
    );
    let link = fs::symlink_metadata(rig.at("link")).unwrap();
    assert_eq!(link.mtime(), 1_000_000_007);
}

pub fn the_root_itself_can_be_changed(rig: &Rig) {
    let change = SetAttrs {
        mode: Some(0o751),
        ..SetAttrs::default()
    };
    rig.lower
        .set(&RelPath::root(), &rig.is(""), &change)
        .unwrap();
    assert_eq!(fs::metadata(&rig.share).unwrap().mode() & 0o7777, 0o751);
}
