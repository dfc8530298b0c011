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

pub fn many_small_files_come_together_and_each_has_its_answer(rig: &Rig) {
    fs::create_dir(rig.at("d")).unwrap();
    for name in ["one", "two", "empty", "large"] {
        let text = if name == "empty" { "" } else { name };
        rig.put(
            &format!("d/{name}"),
            &text.repeat(if name == "large" { 1000 } else { 1 }),
        );
    }
    fs::create_dir(rig.at("d/dir")).unwrap();
    mkfifo(&rig.at("d/pipe"));
    std::os::unix::fs::symlink("one", rig.at("d/link")).unwrap();
    let asked = ["one", "no", "two", "empty", "large", "dir", "pipe", "link"];
    let names: Vec<_> = asked
        .iter()
        .map(|name| (*name).try_into().unwrap())
        .collect();
    let into = local(b"");
    let answers = rig.lower.read_many(&path("d"), &names, 100, &into).unwrap();
    assert_eq!(answers.len(), asked.len());
    let bytes = content(&into);
    for (name, answer) in asked.iter().zip(&answers) {
        match (*name, answer) {
            ("one" | "two" | "empty", Ok(packed)) => {
                let at = packed.at as usize;
                let end = at + packed.seen.stamp.size as usize;
                let want = if *name == "empty" { "" } else { name };
                assert_eq!(&bytes[at..end], want.as_bytes());
                // Written a moment ago: the stamp alone does not vouch for them.
                assert!(!packed.seen.stamp.racy || packed.seen.stamp.hash.is_some());
            }
            ("no", Err(LowerError::NotFound(found))) => assert_eq!(*found, path("d/no")),
            ("large" | "dir" | "pipe" | "link", Err(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    let gone = rig.lower.read_many(&path("no"), &names, 100, &into);
    assert!(matches!(gone, Err(LowerError::NotFound(_))), "{gone:?}");
}

pub fn a_part_comes_to_its_place_and_nothing_else_does(rig: &Rig) {
    let file = File::create(rig.at("a")).unwrap();
    file.write_all_at(b"begin", 0).unwrap();
    file.write_all_at(b"middle", 20 << 20).unwrap();
    file.set_len(40 << 20).unwrap();
    let into = local(b"");
    into.set_len(40 << 20).unwrap();
    let part = |at, len| driftfs::lower::PartOf {
        path: path("a"),
        at,
        len,
        torn: false,
    };
    let read = rig
        .lower
        .read_part(&part(20 << 20, 1 << 20), &into)
        .unwrap();
    assert_eq!(read.seen.stamp.size, 40 << 20);
    assert!(read.moved >= 6 && read.moved <= 1 << 20, "{}", read.moved);
    let mut bytes = [0; 6];
    into.read_exact_at(&mut bytes, 20 << 20).unwrap();
    assert_eq!(&bytes, b"middle");
    into.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(bytes, [0; 6]);
    let past = rig
        .lower
        .read_part(&part(40 << 20, 1 << 20), &into)
        .unwrap();
    assert_eq!((past.moved, into.metadata().unwrap().len()), (0, 40 << 20));
    let missing = driftfs::lower::PartOf {
        path: path("no"),
        ..part(0, 1)
    };
    let found = rig.lower.read_part(&missing, &into);
    assert_eq!(found.unwrap_err(), LowerError::NotFound(path("no")));
}
