//! Another look: what only the server changed is taken, everything else is left to a sync.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use driftfs::fetch::Stale;
use driftfs::model::{Bytes, Ino};

use crate::bed::{Bed, name};

fn bed() -> Bed {
    let bed = Bed::with(|share| {
        std::fs::write(share.join("f"), "hello").unwrap();
        std::fs::write(share.join("g"), "world").unwrap();
        std::fs::create_dir(share.join("d")).unwrap();
    });
    bed.list_all();
    bed.refresh("");
    assert!(!bed.fetch.wants_sync());
    bed.fetch.take_stale(Duration::ZERO);
    bed
}

fn append(bed: &Bed, path: &str, text: &str) {
    let file = std::fs::OpenOptions::new().append(true).open(bed.at(path));
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_new_name_appears() {
    let bed = bed();
    bed.server_writes("new", "abc");
    bed.refresh("");
    assert_eq!(bed.node("new").unwrap().attrs.size, 3);
    assert!(!bed.fetch.wants_sync());
    let stale = bed.fetch.take_stale(Duration::ZERO);
    assert!(stale.contains(&Stale::Name(Ino::ROOT, name("new"))));
    bed.bring("new").unwrap();
    assert_eq!(bed.read("new"), "abc");
}

#[test]
fn a_change_in_place_of_bytes_not_here_changes_the_attributes() {
    let bed = bed();
    append(&bed, "f", " you");
    bed.refresh("");
    assert_eq!(bed.node("f").unwrap().attrs.size, 9);
    assert_eq!(bed.base("f").attrs.size, 9);
    let stale = bed.fetch.take_stale(Duration::ZERO);
    assert!(stale.contains(&Stale::Node(bed.ino("f"))));
    bed.bring("f").unwrap();
    assert_eq!(bed.read("f"), "hello you");
}

#[test]
fn a_change_in_place_of_bytes_that_are_here_brings_the_new_ones() {
    let bed = bed();
    bed.bring("f").unwrap();
    append(&bed, "f", " you");
    bed.refresh("");
    assert_eq!(bed.read("f"), "hello you");
    let node = bed.node("f").unwrap();
    assert_eq!((node.bytes, node.attrs.size), (Bytes::Here, 9));
    assert!(bed.tree.is_clean(node.ino).unwrap());
    assert!(!bed.fetch.wants_sync());
    let intents = bed.tree.meta().read(|rows| rows.intents()).unwrap();
    assert_eq!(intents, []);
}

#[test]
fn new_rights_are_taken_and_the_bytes_stay() {
    let bed = bed();
    bed.bring("f").unwrap();
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(bed.at("f"), mode).unwrap();
    bed.refresh("");
    let node = bed.node("f").unwrap();
    assert_eq!((node.attrs.mode, node.bytes), (0o600, Bytes::Here));
    assert_eq!(bed.base("f").attrs.mode, 0o600);
    assert_eq!(bed.read("f"), "hello");
    assert!(!bed.fetch.wants_sync());
}

#[test]
fn a_removal_is_left_to_a_sync_which_is_asked_for_once() {
    let bed = bed();
    std::fs::remove_file(bed.at("g")).unwrap();
    bed.refresh("");
    assert!(bed.node("g").is_some());
    assert!(bed.fetch.wants_sync());
    assert!(!bed.fetch.wants_sync());
}

#[test]
fn a_renamed_file_is_shown_under_its_old_name_until_a_sync() {
    let bed = bed();
    std::fs::rename(bed.at("g"), bed.at("h")).unwrap();
    bed.refresh("");
    assert!(bed.node("g").is_some() && bed.node("h").is_none());
    assert!(bed.fetch.wants_sync());
}

#[test]
fn what_both_made_is_left_to_a_sync() {
    let bed = bed();
    bed.client_writes("x", "mine");
    bed.server_writes("x", "theirs");
    bed.refresh("");
    assert_eq!(bed.read("x"), "mine");
    assert_eq!(bed.node("x").unwrap().bid, None);
    assert!(bed.fetch.wants_sync());
}

#[test]
fn what_both_wrote_is_left_to_a_sync() {
    let bed = bed();
    bed.bring("f").unwrap();
    bed.client_writes("f", "mine");
    let before = bed.base("f");
    append(&bed, "f", " you");
    bed.refresh("");
    assert_eq!(bed.read("f"), "mine");
    assert_eq!(bed.base("f"), before);
    assert!(bed.fetch.wants_sync());
}

#[test]
fn while_a_plan_is_carried_out_base_stays() {
    let bed = bed();
    let hold = bed.fetch.hold();
    bed.server_writes("new", "abc");
    bed.refresh("");
    assert!(bed.node("new").is_none());
    drop(hold);
    bed.refresh("");
    assert!(bed.node("new").is_some());
}

#[test]
fn a_directory_takes_its_own_new_rights() {
    let bed = bed();
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(bed.at("d"), mode).unwrap();
    bed.refresh("d");
    assert_eq!(bed.node("d").unwrap().attrs.mode, 0o700);
}
