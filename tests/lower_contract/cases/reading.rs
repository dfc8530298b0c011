use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use driftfs::lower::LowerError;
use driftfs::model::Sameness;

use crate::rig::{Rig, content, local, mkfifo, path};

pub fn bytes_and_hash_arrive(rig: &Rig) {
    let text = "many words ".repeat(300_000);
    rig.put("a", &text);
    let into = local(b"");
    let fetched = rig.lower.read(&path("a"), &into).unwrap();
    assert_eq!(content(&into), text.as_bytes());
    assert_eq!(fetched.hash, driftfs::sys::hash_file(&into).unwrap());
    assert_eq!(fetched.seen.stamp.hash, Some(fetched.hash));
    assert_eq!(fetched.seen.stamp.size, text.len() as u64);
    let mask = rig.lower.probe().unwrap().mask;
    let again = fetched.seen.stamp.compare(&rig.stamp("a"), &mask);
    assert!(matches!(again, Sameness::Same | Sameness::Unverified));
}

pub fn holes_stay_holes(rig: &Rig) {
    let file = File::create(rig.at("a")).unwrap();
    file.write_all_at(b"end", 30 << 20).unwrap();
    let into = local(b"");
    rig.lower.read(&path("a"), &into).unwrap();
    assert_eq!(into.metadata().unwrap().len(), (30 << 20) + 3);
    assert!(into.metadata().unwrap().blocks() * 512 < 4 << 20);
    let mut end = [0; 3];
    into.read_exact_at(&mut end, 30 << 20).unwrap();
    assert_eq!(&end, b"end");
}

pub fn what_was_in_the_local_file_is_gone(rig: &Rig) {
    rig.put("a", "short");
    let into = local(b"something longer than that");
    rig.lower.read(&path("a"), &into).unwrap();
    assert_eq!(content(&into), b"short");
}

pub fn an_empty_file_is_read(rig: &Rig) {
    rig.put("a", "");
    let into = local(b"old");
    let fetched = rig.lower.read(&path("a"), &into).unwrap();
    assert_eq!((content(&into).len(), fetched.seen.stamp.size), (0, 0));
}

pub fn a_missing_file_is_not_found(rig: &Rig) {
    let found = rig.lower.read(&path("no"), &local(b""));
    assert_eq!(found.unwrap_err(), LowerError::NotFound(path("no")));
}

pub fn a_directory_cannot_be_read(rig: &Rig) {
    fs::create_dir(rig.at("d")).unwrap();
    let found = rig.lower.read(&path("d"), &local(b""));
    assert!(
        matches!(found, Err(LowerError::Changed { .. })),
        "{found:?}"
    );
}

pub fn a_fifo_does_not_hang_a_read(rig: &Rig) {
    mkfifo(&rig.at("f"));
    let found = rig.lower.read(&path("f"), &local(b""));
    assert!(
        matches!(found, Err(LowerError::Changed { .. })),
        "{found:?}"
    );
}

pub fn a_local_file_that_refuses_is_our_trouble(rig: &Rig) {
    rig.put("a", "x");
    let read_only = File::open(rig.at("a")).unwrap();
    let found = rig.lower.read(&path("a"), &read_only);
    assert!(matches!(found, Err(LowerError::Local { .. })), "{found:?}");
    assert_eq!(rig.text("a"), "x");
}
