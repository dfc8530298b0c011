//! Names and attributes: what POSIX says of times, counts and rights, and who inherits a base object.

use super::testing::{Lab, WHO, name};
use super::{NewNode, RenameMode, SetAttrs, SetTime, SetXattr, TreeError};
use crate::model::{Dirty, Ino, Kind, Time, Who};

const OLD: Time = Time { sec: 1000, nsec: 0 };

/// Makes the times of a node old, so that a change shows; ctime cannot be set, so its value is given.
fn age(lab: &Lab, ino: Ino) -> Time {
    let set = SetAttrs {
        mtime: Some(SetTime::To(OLD)),
        atime: Some(SetTime::To(OLD)),
        ..SetAttrs::default()
    };
    lab.set_attrs(ino, &set, false, WHO)
        .unwrap()
        .node
        .attrs
        .ctime
}

/// Which of mtime and ctime of a node moves when `work` runs.
fn moves(lab: &Lab, ino: Ino, work: impl FnOnce()) -> (bool, bool) {
    let ctime = age(lab, ino);
    work();
    let now = lab.stat(ino).unwrap().node.attrs;
    (now.mtime != OLD, now.ctime > ctime)
}

#[test]
fn a_change_of_names_moves_the_times_of_the_directory_and_ctime_of_the_node() {
    let lab = Lab::new();
    let dir = lab.make(Kind::Dir, Ino::ROOT, "dir");
    let file = lab.make(Kind::File, Ino::ROOT, "file");
    let both = (true, true);
    let link = || drop(lab.link(file, dir, &name("a"), WHO).unwrap());
    assert_eq!(moves(&lab, dir, link), both);
    let link = || drop(lab.link(file, dir, &name("b"), WHO).unwrap());
    assert_eq!(moves(&lab, file, link), (false, true));
    let rename = || {
        let (from, to) = (name("a"), name("c"));
        lab.rename((dir, &from), (dir, &to), RenameMode::Replace, WHO)
            .unwrap();
    };
    assert_eq!(moves(&lab, file, rename), (false, true));
    let unlink = || _ = lab.unlink(dir, &name("b"), WHO).unwrap();
    assert_eq!(moves(&lab, file, unlink), (false, true));
    let unlink = || _ = lab.unlink(dir, &name("c"), WHO).unwrap();
    assert_eq!(moves(&lab, dir, unlink), both);
    let rmdir = || _ = lab.rmdir(Ino::ROOT, &name("dir"), WHO).unwrap();
    lab.remember(dir);
    assert_eq!(moves(&lab, dir, rmdir), (false, true));
}

#[test]
fn a_change_of_bytes_moves_both_times_even_to_the_same_size() {
    let lab = Lab::new();
    let file = lab.file("file", b"text");
    let handle = lab.open_file(file, true, false, WHO).unwrap();
    assert_eq!(moves(&lab, file, || lab.put(&handle, b"t")), (true, true));
    let size = SetAttrs {
        size: Some(4),
        ..SetAttrs::default()
    };
    let cut = || drop(lab.set_attrs(file, &size, false, WHO).unwrap());
    assert_eq!(moves(&lab, file, cut), (true, true));
    let open = || drop(lab.open_file(file, true, true, WHO).unwrap());
    assert_eq!(moves(&lab, file, open), (true, true));
    let open = || drop(lab.open_file(file, true, true, WHO).unwrap());
    assert_eq!(moves(&lab, file, open), (true, true));
    let mode = SetAttrs {
        mode: Some(0o600),
        ..SetAttrs::default()
    };
    let chmod = || drop(lab.set_attrs(file, &mode, false, WHO).unwrap());
    assert_eq!(moves(&lab, file, chmod), (false, true));
}

#[test]
fn a_set_time_stays_through_close_and_restart_until_the_next_write() {
    let mut lab = Lab::new();
    let file = lab.file("file", b"text");
    let handle = lab.open_file(file, true, false, WHO).unwrap();
    lab.put(&handle, b"more");
    age(&lab, file);
    drop(handle);
    assert_eq!(lab.stat(file).unwrap().node.attrs.mtime, OLD);
    lab.kill();
    assert_eq!(lab.stat(file).unwrap().node.attrs.mtime, OLD);
    let handle = lab.open_file(file, true, false, WHO).unwrap();
    lab.put(&handle, b"text");
    assert!(lab.stat(file).unwrap().node.attrs.mtime > OLD);
}

#[test]
fn a_setgid_directory_gives_its_group_and_directories_its_bit() {
    let lab = Lab::new();
    let dir = lab.make(Kind::Dir, Ino::ROOT, "dir");
    let set = SetAttrs {
        mode: Some(0o2775),
        gid: Some(77),
        ..SetAttrs::default()
    };
    lab.set_attrs(dir, &set, false, WHO).unwrap();
    let who = Who {
        uid: 5,
        gid: 6,
        pid: 0,
    };
    for (kind, mode, wanted) in [(Kind::Dir, 0o755, 0o2755), (Kind::File, 0o644, 0o644)] {
        let new = NewNode {
            kind,
            mode,
            rdev: 0,
            target: None,
        };
        let made = lab.create(dir, &name(kind.word()), &new, who).unwrap().node;
        assert_eq!((made.attrs.uid, made.attrs.gid), (5, 77));
        assert_eq!(made.attrs.mode, wanted);
    }
}

#[test]
fn chown_and_writing_take_set_id_bits_and_capabilities() {
    let lab = Lab::new();
    let file = lab.file("file", b"x");
    let arm = || {
        let set = SetAttrs {
            mode: Some(0o6755),
            ..SetAttrs::default()
        };
        lab.set_attrs(file, &set, false, WHO).unwrap();
        let cap = b"security.capability";
        lab.set_xattr(file, cap, b"all", SetXattr::Any, WHO)
            .unwrap();
    };
    let state = || {
        let row = lab.row(file);
        (row.attrs.mode, row.xattrs.len())
    };
    arm();
    let owner = SetAttrs {
        uid: Some(9),
        ..SetAttrs::default()
    };
    lab.set_attrs(file, &owner, false, WHO).unwrap();
    assert_eq!(state(), (0o755, 0));
    // Through one handle that was already ready for writing: chmod must be noticed.
    let handle = lab.open_file(file, true, false, WHO).unwrap();
    lab.write(&handle, 0, b"1", false, true, WHO).unwrap();
    arm();
    lab.write(&handle, 0, b"2", false, false, WHO).unwrap();
    assert_eq!(state(), (0o6755, 0));
    lab.write(&handle, 0, b"3", false, true, WHO).unwrap();
    assert_eq!(state(), (0o755, 0));
}

#[test]
fn an_unlisted_directory_answers_not_listed_and_never_absent() {
    let lab = Lab::new();
    let dir = lab.make(Kind::Dir, Ino::ROOT, "dir");
    lab.commit(|txn| {
        let mut node = txn.node(dir)?.unwrap();
        node.listed = None;
        txn.put_node(&node)
    })
    .unwrap();
    let unlisted =
        |result: Result<(), TreeError>| matches!(result, Err(TreeError::NotListed(d)) if d == dir);
    let file = NewNode {
        kind: Kind::File,
        mode: 0o644,
        rdev: 0,
        target: None,
    };
    assert!(unlisted(lab.lookup(dir, &name("a")).map(drop)));
    assert!(unlisted(
        lab.list(dir, crate::model::Cookie(0), 9).map(drop)
    ));
    assert!(unlisted(lab.create(dir, &name("a"), &file, WHO).map(drop)));
    assert!(unlisted(lab.rmdir(Ino::ROOT, &name("dir"), WHO).map(drop)));
}

#[test]
fn the_ways_editors_save_give_the_new_file_the_old_base_object() {
    let lab = Lab::new();
    let root = Ino::ROOT;
    let (f, tmp) = (name("f"), name("tmp"));
    lab.file("f", b"one");
    let bid = lab.agree("f");
    // A new file renamed over the old one.
    lab.file("tmp", b"two");
    lab.rename((root, &tmp), (root, &f), RenameMode::Replace, WHO)
        .unwrap();
    assert_eq!(lab.at("f").node.bid, Some(bid));
    assert_eq!(lab.base_text(bid).unwrap(), b"one");
    // Removed and created.
    lab.unlink(root, &f, WHO).unwrap();
    lab.file("f", b"three");
    assert_eq!(lab.at("f").node.bid, Some(bid));
    // Moved away and created: the old file has a name, so the object stays with it until that goes.
    lab.rename((root, &f), (root, &tmp), RenameMode::Replace, WHO)
        .unwrap();
    lab.file("f", b"four");
    assert_eq!(lab.at("tmp").node.bid, Some(bid));
    assert_eq!(lab.at("f").node.bid, None);
    lab.unlink(root, &tmp, WHO).unwrap();
    assert_eq!(lab.at("f").node.bid, Some(bid));
    assert!(lab.at("f").node.dirty.has(Dirty::BYTES));
    // Another kind is another object.
    lab.unlink(root, &f, WHO).unwrap();
    lab.make(Kind::Dir, root, "f");
    assert_eq!(lab.at("f").node.bid, None);
    assert_eq!(lab.base_text(bid).unwrap(), b"one");
    lab.check();
}

#[test]
fn extended_attributes_are_made_and_replaced_as_asked() {
    let lab = Lab::new();
    let file = lab.make(Kind::File, Ino::ROOT, "file");
    let set = |how| lab.set_xattr(file, b"user.a", b"1", how, WHO);
    assert!(matches!(
        set(SetXattr::Replace),
        Err(TreeError::NoAttribute)
    ));
    set(SetXattr::Create).unwrap();
    assert!(matches!(set(SetXattr::Create), Err(TreeError::Exists)));
    lab.remove_xattr(file, b"user.a", WHO).unwrap();
    let again = lab.remove_xattr(file, b"user.a", WHO);
    assert!(matches!(again, Err(TreeError::NoAttribute)));
}

#[test]
fn what_programs_do_most_needs_the_database_some_moments_later_only() {
    let lab = Lab::on_disk();
    // A directory that base knows, and one that is new.
    lab.file("agreed", b"bytes");
    lab.agree("agreed");
    let new = |kind| NewNode {
        kind,
        mode: 0o755,
        rdev: 0,
        target: None,
    };
    let dir = lab.create(Ino::ROOT, &name("dir"), &new(Kind::Dir), WHO);
    let dir = dir.unwrap().node.ino;
    let mut heavy = Vec::new();
    for n in 0..200 {
        let before = lab.meta().heavy_ones();
        for at in [Ino::ROOT, dir] {
            let (one, two) = (name(&format!("one {n}")), name(&format!("two {n}")));
            let made = lab.create(at, &one, &new(Kind::File), WHO).unwrap();
            let handle = lab.open_file(made.node.ino, true, false, WHO).unwrap();
            lab.write(&handle, 0, b"text", false, false, WHO).unwrap();
            lab.flush(&handle).unwrap();
            drop(handle);
            lab.rename((at, &one), (at, &two), RenameMode::Replace, WHO)
                .unwrap();
            lab.lookup(at, &two).unwrap();
            if n % 2 == 0 {
                lab.unlink(at, &two, WHO).unwrap();
            }
        }
        heavy.push(lab.meta().heavy_ones() - before);
    }
    let some = heavy.iter().filter(|count| **count > 0).count();
    // Once for the numbers of each sort, and once in a thousand of them.
    assert!(some <= 4, "{heavy:?}");
    lab.check();
}
