//! Small files that come before anybody asks for them.

use driftfs::link::Event;
use driftfs::lower::{Call, Fault, When};
use driftfs::model::Bytes;

use crate::bed::{Bed, until};

fn numbered(dir: &str, n: usize) -> String {
    format!("{dir}/f{n:03}")
}

/// Directories with so many small files each, old enough for their stamps to vouch for them.
fn bed(dirs: &[&str], files: usize) -> Bed {
    let bed = Bed::with(|share| {
        for dir in dirs {
            std::fs::create_dir(share.join(dir)).unwrap();
            for n in 0..files {
                let path = share.join(numbered(dir, n));
                std::fs::write(&path, format!("{dir} {n}")).unwrap();
                let old = std::time::SystemTime::now() - std::time::Duration::from_secs(100);
                let file = std::fs::File::options().write(true).open(&path).unwrap();
                file.set_modified(old).unwrap();
            }
        }
    });
    bed.list_all();
    bed
}

fn is_here(bed: &Bed, path: &str) -> bool {
    bed.node(path).unwrap().bytes == Bytes::Here
}

fn here(bed: &Bed, dir: &str, files: usize) -> usize {
    (0..files)
        .filter(|n| is_here(bed, &numbered(dir, *n)))
        .count()
}

/// Opens a file as a program does: fetched if it must be, then told of.
fn opens(bed: &Bed, path: &str) {
    bed.bring(path).unwrap();
    bed.fetch.used(bed.ino(path));
}

#[test]
fn a_file_that_is_read_brings_some_of_its_siblings_and_no_more() {
    let bed = bed(&["d"], 100);
    let first = in_order(&bed, "d").remove(0);
    opens(&bed, &first);
    until(|| here(&bed, "d", 100) >= 17);
    // Nothing of it is used: it does not go on.
    until(|| bed.fetch.idle());
    assert_eq!(here(&bed, "d", 100), 17);
    for n in 0..100 {
        let path = numbered("d", n);
        if is_here(&bed, &path) {
            assert_eq!(bed.read(&path), format!("d {n}"));
            assert!(bed.tree.is_clean(bed.ino(&path)).unwrap());
        }
    }
}

/// The files of a directory in the order of its listing.
fn in_order(bed: &Bed, dir: &str) -> Vec<String> {
    let rows = bed.tree.meta();
    let entries = rows.read(|rows| rows.entries(bed.ino(dir), driftfs::model::Cookie(0), 10_000));
    let path = |entry: driftfs::meta::Entry| format!("{dir}/{}", entry.name);
    entries.unwrap().into_iter().map(path).collect()
}

#[test]
fn a_reader_of_everything_costs_few_questions() {
    let bed = bed(&["a", "b", "c"], 200);
    let before = bed.lower.calls_of(Call::Read);
    for dir in ["a", "b", "c"] {
        for path in in_order(&bed, dir) {
            opens(&bed, &path);
            // As a reader who is slower than the server.
            until(|| bed.fetch.idle());
        }
    }
    let asked = bed.lower.calls_of(Call::Read) - before;
    assert!(asked < 120, "{asked} questions for 600 files");
    for dir in ["a", "b", "c"] {
        assert_eq!(here(&bed, dir, 200), 200);
    }
    assert_eq!(bed.read("b/f123"), "b 123");
}

#[test]
fn what_moves_meanwhile_is_not_placed() {
    let bed = bed(&["d"], 10);
    let order = in_order(&bed, "d");
    let moving = order[5].clone();
    bed.server_writes(&moving, "something longer");
    opens(&bed, &order[0]);
    until(|| here(&bed, "d", 10) == 9);
    assert!(!is_here(&bed, &moving));
    // Whoever asks gets what the server has.
    opens(&bed, &moving);
    assert_eq!(bed.read(&moving), "something longer");
}

#[test]
fn edits_made_here_meanwhile_stay() {
    let bed = bed(&["d"], 10);
    let order = in_order(&bed, "d");
    bed.client_writes(&order[3], "mine");
    opens(&bed, &order[0]);
    until(|| here(&bed, "d", 10) == 10);
    assert_eq!(bed.read(&order[3]), "mine");
    assert!(!bed.tree.is_clean(bed.ino(&order[3])).unwrap());
}

#[test]
fn a_dead_link_ends_it_and_the_caller_is_told() {
    let bed = bed(&["d"], 50);
    let order = in_order(&bed, "d");
    bed.lower.add(Fault::dead(When::Every(Call::Read)));
    assert!(bed.bring(&order[0]).is_err());
    until(|| bed.fetch.idle());
    assert_eq!(here(&bed, "d", 50), 0);
    bed.lower.heal();
    bed.link.step(&Event::Offline, "a test");
    assert!(bed.bring(&order[0]).is_err());
}

#[test]
fn a_server_that_cannot_answer_many_at_once_answers_one_at_a_time() {
    let bed = bed(&["d"], 20);
    let order = in_order(&bed, "d");
    let no = driftfs::lower::LowerError::Refused {
        what: "read".into(),
        errno: 95,
        why: "scripted".into(),
    };
    bed.lower.add(Fault::before(When::Of(Call::Read, 1), no));
    opens(&bed, &order[0]);
    assert!(is_here(&bed, &order[0]));
}
