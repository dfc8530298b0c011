//! The first listing of a directory.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use driftfs::fetch::FetchError;
use driftfs::link::Event;
use driftfs::model::{Bytes, Ino, Kind};

use crate::bed::{Bed, soon};

#[test]
fn a_listing_brings_names_and_attributes_and_no_bytes() {
    let bed = Bed::with(|share| {
        std::fs::write(share.join("f"), "hello").unwrap();
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(share.join("f"), mode).unwrap();
        std::fs::create_dir(share.join("d")).unwrap();
        std::fs::write(share.join("d/inner"), "x").unwrap();
        symlink("to/there", share.join("l")).unwrap();
    });
    bed.fetch.names(Ino::ROOT, soon()).unwrap();
    assert_eq!(bed.names(""), ["d", "f", "l"]);
    let file = bed.node("f").unwrap();
    assert_eq!((file.attrs.size, file.attrs.mode), (5, 0o640));
    assert_eq!(file.bytes, Bytes::Absent);
    assert!(file.dirty.is_clean());
    let there = std::fs::metadata(bed.at("f")).unwrap();
    assert_eq!(file.attrs.mtime.sec, there.mtime());
    assert_eq!(file.ino.0, there.ino(), "its number is taken over");
    assert_eq!(bed.node("l").unwrap().target.unwrap(), b"to/there");
    let dir = bed.node("d").unwrap();
    assert_eq!((dir.attrs.kind, dir.listed), (Kind::Dir, None));
    assert_eq!(bed.node("").unwrap().nlink, 3);
    assert!(bed.node("d/inner").is_none());
}

#[test]
fn all_names_come_with_a_walk_nearest_first() {
    let bed = Bed::with(|share| {
        for dir in ["a/b/c", "d"] {
            std::fs::create_dir_all(share.join(dir)).unwrap();
        }
        std::fs::write(share.join("a/b/c/deep"), "x").unwrap();
    });
    let one = bed.fetch.names_walk(1, &|| true);
    assert!(one.done);
    assert!(bed.node("a").is_some() && bed.node("a/b/c/deep").is_none());
    bed.list_all();
    assert!(bed.node("a/b/c/deep").is_some());
    assert_eq!(bed.fetch.names_walk(1000, &|| true).dirs, 0);
}

#[test]
fn two_names_of_one_file_are_one_node() {
    let bed = Bed::with(|share| {
        std::fs::create_dir(share.join("d")).unwrap();
        std::fs::write(share.join("f"), "x").unwrap();
        std::fs::hard_link(share.join("f"), share.join("d/g")).unwrap();
    });
    bed.list_all();
    assert_eq!(bed.ino("f"), bed.ino("d/g"));
    assert_eq!(bed.node("f").unwrap().nlink, 2);
}

#[test]
fn our_own_names_are_not_brought_and_the_person_is_told() {
    let bed = Bed::with(|share| {
        std::fs::write(share.join(".drift"), "theirs").unwrap();
        std::fs::write(share.join("f"), "x").unwrap();
    });
    bed.list_all();
    assert_eq!(bed.names(""), ["f"]);
    let problems = bed.fetch.problems();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].path.to_string(), ".drift");
    bed.refresh("");
    assert_eq!(bed.names(""), ["f"]);
    assert_eq!(bed.fetch.problems().len(), 1);
}

#[test]
fn without_the_server_an_unknown_directory_is_answered_at_once() {
    let bed = Bed::with(|share| std::fs::create_dir(share.join("d")).unwrap());
    bed.fetch.names(Ino::ROOT, soon()).unwrap();
    bed.link.step(&Event::Offline, "a test");
    let answer = bed.fetch.names(bed.ino("d"), soon());
    assert!(matches!(answer, Err(FetchError::Unreachable)));
    assert!(bed.fetch.names(Ino::ROOT, soon()).is_ok(), "it is listed");
}

#[test]
fn a_directory_gone_before_its_first_listing_is_left_to_a_sync() {
    let bed = Bed::with(|share| std::fs::create_dir(share.join("d")).unwrap());
    bed.fetch.names(Ino::ROOT, soon()).unwrap();
    std::fs::remove_dir(bed.at("d")).unwrap();
    let answer = bed.fetch.names(bed.ino("d"), soon());
    assert!(matches!(answer, Err(FetchError::Gone)));
    assert!(bed.fetch.wants_sync());
    assert!(bed.node("d").is_some());
}

#[test]
fn what_moved_into_an_unlisted_directory_stays_where_it_is_shown() {
    let bed = Bed::with(|share| {
        std::fs::create_dir(share.join("d")).unwrap();
        std::fs::write(share.join("f"), "x").unwrap();
    });
    bed.fetch.names(Ino::ROOT, soon()).unwrap();
    std::fs::rename(bed.at("f"), bed.at("d/g")).unwrap();
    bed.fetch.names(bed.ino("d"), soon()).unwrap();
    assert!(bed.node("f").is_some() && bed.node("d/g").is_none());
    assert!(bed.fetch.wants_sync());
}
