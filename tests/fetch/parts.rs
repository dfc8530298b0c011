//! Large files of which only parts are here.

use std::os::unix::fs::FileExt;

use driftfs::fetch::{FetchError, Part, PartRead};
use driftfs::link::Event;
use driftfs::lower::{Call, Fault, LowerError, When};
use driftfs::model::{Bytes, Ino, Who};
use driftfs::tree::TreeError;

use crate::bed::{Bed, soon, until};

const MB: u64 = 1 << 20;

/// Bytes that tell where they are.
fn pattern(at: u64, len: usize, seed: u8) -> Vec<u8> {
    let byte = |at: u64| (at / 4096) as u8 ^ (at as u8) ^ seed;
    (at..at + len as u64).map(byte).collect()
}

/// A file of `size` bytes with data in each of `spots` (4 KiB), old enough for its stamp to vouch for it.
fn make(path: &std::path::Path, size: u64, spots: &[u64], seed: u8) {
    let file = std::fs::File::create(path).unwrap();
    for at in spots {
        file.write_all_at(&pattern(*at, 4096, seed), *at).unwrap();
    }
    file.set_len(size).unwrap();
    let age = std::time::Duration::from_secs(100 + u64::from(seed));
    file.set_modified(std::time::SystemTime::now() - age)
        .unwrap();
}

fn bed(size: u64, spots: &[u64]) -> Bed {
    let bed = Bed::with(|share| make(&share.join("big"), size, spots, 0));
    bed.list_all();
    bed
}

fn open(bed: &Bed) -> Part {
    bed.fetch.begin(bed.ino("big"), soon()).unwrap();
    bed.fetch.open_part(bed.ino("big")).expect("parts of it")
}

/// Reads as a program does that can wait; `None` when the tree has to be asked.
fn read(bed: &Bed, part: &Part, at: u64, len: usize) -> Option<Vec<u8>> {
    for _ in 0..100 {
        match part.read(at, len).unwrap() {
            PartRead::Bytes(bytes) => return Some(bytes),
            PartRead::Whole => return None,
            PartRead::Missing => {
                bed.fetch
                    .piece(bed.ino("big"), (at, len as u64), soon())
                    .unwrap();
            }
        }
    }
    panic!("asked a hundred times");
}

fn is_here(bed: &Bed) -> bool {
    bed.node("big").unwrap().bytes == Bytes::Here
}

/// Bytes that were asked for so far.
fn asked(bed: &Bed) -> u64 {
    let ranges = bed.lower.log().into_iter().filter_map(|line| {
        let (from, to) = line
            .split_once('[')?
            .1
            .strip_suffix(')')?
            .split_once(", ")?;
        Some(to.parse::<u64>().unwrap() - from.parse::<u64>().unwrap())
    });
    ranges.sum()
}

fn live(bed: &Bed, at: u64, len: usize) -> Vec<u8> {
    let handle = bed
        .tree
        .open_file(bed.ino("big"), false, false, Who::DRIFTFS);
    bed.tree.read(&handle.unwrap(), at, len).unwrap()
}

#[test]
fn the_header_of_a_file_of_ten_gigabytes_moves_little_more_than_itself() {
    let far = 7 << 30;
    let bed = bed(10 << 30, &[0, far]);
    let part = open(&bed);
    assert_eq!(part.size(), 10 << 30);
    assert!(read(&bed, &part, 0, 4096).unwrap() == pattern(0, 4096, 0));
    assert!(read(&bed, &part, far, 4096).unwrap() == pattern(far, 4096, 0));
    assert!(read(&bed, &part, 10 << 30, 10).unwrap().is_empty());
    drop(part);
    until(|| bed.fetch.idle());
    assert!(asked(&bed) <= 4 * MB, "{}", asked(&bed));
    assert!(!is_here(&bed));
    // The whole file was never asked for.
    assert!(!bed.lower.log().iter().any(|line| line == "read big"));
}

#[test]
fn a_file_that_is_not_all_here_is_not_here_for_anybody() {
    let bed = bed(64 * MB, &[0, 32 * MB]);
    let part = open(&bed);
    read(&bed, &part, 0, 4096).unwrap();
    let ino = bed.ino("big");
    let node = bed.node("big").unwrap();
    assert_eq!(node.bytes, Bytes::Absent);
    assert!(node.dirty.is_clean() && node.live_stat.is_none());
    assert!(matches!(bed.tree.seal_now(ino), Err(TreeError::NoBytes(_))));
    assert!(bed.tree.objects().live_stat(ino).unwrap().is_none());
    assert_eq!(bed.tree.base_bytes(node.bid.unwrap()).unwrap(), None);
    let opened = bed.tree.open_file(ino, true, false, Who::DRIFTFS);
    assert!(matches!(opened.map(drop), Err(TreeError::NoBytes(_))));
}

#[test]
fn who_reads_on_has_it_all_in_the_end() {
    let size = 40 * MB + 777;
    let spots: Vec<u64> = (0..40).map(|n| n * MB + 8192).collect();
    let bed = bed(size, &spots);
    let part = open(&bed);
    let mut at = 0;
    while at < size {
        let len = (128 << 10).min(size - at) as usize;
        let Some(bytes) = read(&bed, &part, at, len) else {
            break;
        };
        let want = spots
            .iter()
            .find(|spot| (at..at + len as u64).contains(spot));
        if let Some(spot) = want {
            let start = (spot - at) as usize;
            assert_eq!(bytes[start..start + 4096], pattern(*spot, 4096, 0));
        }
        at += len as u64;
    }
    until(|| is_here(&bed));
    // As soon as our own hands are off it: a file that somebody could write is never called clean.
    until(|| bed.tree.is_clean(bed.ino("big")).unwrap());
    for spot in &spots {
        assert_eq!(live(&bed, *spot, 4096), pattern(*spot, 4096, 0));
    }
    assert_eq!(bed.node("big").unwrap().attrs.size, size);
    assert!(matches!(part.read(0, 10).unwrap(), PartRead::Whole));
    assert!(asked(&bed) <= size + 32 * MB);
    drop(part);
    assert_eq!(bed.tree.meta().read(|rows| rows.partials()).unwrap(), []);
    assert_eq!(bed.tree.objects().all_parts().unwrap(), []);
}

#[test]
fn who_cannot_do_with_parts_waits_for_the_whole() {
    let bed = bed(64 * MB, &[0, 63 * MB]);
    let part = open(&bed);
    read(&bed, &part, 0, 4096).unwrap();
    bed.bring("big").unwrap();
    assert!(is_here(&bed));
    assert_eq!(live(&bed, 63 * MB, 4096), pattern(63 * MB, 4096, 0));
    assert!(matches!(part.read(0, 10).unwrap(), PartRead::Whole));
}

#[test]
fn parts_survive_a_restart_and_are_read_without_the_server() {
    let mut bed = bed(64 * MB, &[0, 32 * MB, 50 * MB]);
    let part = open(&bed);
    read(&bed, &part, 32 * MB, 4096).unwrap();
    bed.fetch.save_parts();
    // This one comes too late to be stored: it is fetched again.
    read(&bed, &part, 50 * MB, 4096).unwrap();
    std::mem::forget(part);
    bed.restart();
    bed.link.step(&Event::Offline, "a test");
    let ino = bed.ino("big");
    let part = bed.fetch.open_part(ino).expect("what was stored");
    let found = |at| matches!(part.read(at, 4096).unwrap(), PartRead::Bytes(_));
    assert!(found(0) && found(32 * MB) && !found(50 * MB));
    let away = bed.fetch.piece(ino, (50 * MB, 4096), soon());
    assert!(matches!(away, Err(FetchError::Unreachable)));
    match part.read(32 * MB, 4096).unwrap() {
        PartRead::Bytes(bytes) => assert_eq!(bytes, pattern(32 * MB, 4096, 0)),
        _ => panic!("it was here"),
    }
    drop(part);
    bed.restart();
    bed.bring("big").unwrap();
    for spot in [0, 32 * MB, 50 * MB] {
        assert_eq!(live(&bed, spot, 4096), pattern(spot, 4096, 0));
    }
}

#[test]
fn parts_nobody_vouches_for_are_gone_after_a_start() {
    let mut bed = bed(64 * MB, &[0]);
    let part = open(&bed);
    read(&bed, &part, 0, 4096).unwrap();
    std::mem::forget(part);
    assert_eq!(bed.tree.objects().all_parts().unwrap(), [bed.ino("big")]);
    bed.restart();
    assert_eq!(bed.tree.objects().all_parts().unwrap(), []);
    bed.link.step(&Event::Offline, "a test");
    assert!(bed.fetch.open_part(bed.ino("big")).is_none());
}

#[test]
fn a_file_that_moves_meanwhile_begins_anew() {
    let bed = bed(64 * MB, &[0, 32 * MB]);
    let part = open(&bed);
    assert!(read(&bed, &part, 0, 4096).unwrap() == pattern(0, 4096, 0));
    make(&bed.at("big"), 48 * MB, &[0, 32 * MB], 7);
    assert_eq!(
        read(&bed, &part, 32 * MB, 4096).unwrap(),
        pattern(32 * MB, 4096, 7)
    );
    assert!(read(&bed, &part, 0, 4096).unwrap() == pattern(0, 4096, 7));
    assert_eq!(part.size(), 48 * MB);
    assert_eq!(bed.node("big").unwrap().attrs.size, 48 * MB);
    bed.bring("big").unwrap();
    assert!(live(&bed, 0, 4096) == pattern(0, 4096, 7));
    // As soon as our own hands are off it: a file that somebody could write is never called clean.
    until(|| bed.tree.is_clean(bed.ino("big")).unwrap());
}

#[test]
fn one_that_moves_again_is_served_and_never_agreed() {
    let bed = bed(64 * MB, &[0, 32 * MB]);
    let part = open(&bed);
    for seed in 1..6 {
        make(&bed.at("big"), 64 * MB, &[0, 32 * MB], seed);
        let at = if seed % 2 == 0 { 0 } else { 32 * MB };
        let bytes = read(&bed, &part, at, 4096).unwrap();
        assert!(bytes == pattern(at, 4096, seed), "{seed}");
    }
    let whole = bed.bring("big");
    assert!(
        matches!(whole, Err(FetchError::Lower(LowerError::Unstable(_)))),
        "{whole:?}"
    );
    assert!(!is_here(&bed));
    drop(part);
    // At rest it is a file like any other.
    until(|| bed.tree.objects().all_parts().unwrap().is_empty());
    bed.bring("big").unwrap();
    assert!(live(&bed, 32 * MB, 4096) == pattern(32 * MB, 4096, 5));
}

#[test]
fn holes_of_a_file_that_moves_are_holes() {
    let bed = bed(64 * MB, &[0, 32 * MB]);
    let part = open(&bed);
    for seed in 1..8_u8 {
        // The same piece every other time, with the data at another place in it.
        let piece = u64::from(seed % 2) * 32 * MB;
        let spot = piece + 4096 * u64::from(seed);
        make(&bed.at("big"), 64 * MB, &[spot], seed);
        for at in [piece, spot - 4096, spot + 4096] {
            let bytes = read(&bed, &part, at, 4096).unwrap();
            assert!(bytes == [0; 4096], "{seed} {at}");
        }
        assert!(read(&bed, &part, spot, 4096).unwrap() == pattern(spot, 4096, seed));
    }
}

#[test]
fn another_look_that_sees_a_change_takes_the_old_parts_away() {
    let bed = bed(64 * MB, &[0]);
    let part = open(&bed);
    assert!(read(&bed, &part, 0, 4096).unwrap() == pattern(0, 4096, 0));
    make(&bed.at("big"), 48 * MB, &[0], 9);
    bed.refresh("");
    assert_eq!(bed.node("big").unwrap().attrs.size, 48 * MB);
    assert_eq!(part.size(), 48 * MB);
    assert!(read(&bed, &part, 0, 4096).unwrap() == pattern(0, 4096, 9));
}

#[test]
fn one_emptied_here_meanwhile_stays_emptied() {
    let bed = bed(64 * MB, &[0, 32 * MB]);
    let part = open(&bed);
    read(&bed, &part, 0, 4096).unwrap();
    bed.client_writes("big", "mine");
    bed.fetch
        .piece(bed.ino("big"), (32 * MB, 4096), soon())
        .unwrap();
    drop(part);
    until(|| bed.tree.objects().all_parts().unwrap().is_empty());
    assert_eq!(bed.read("big"), "mine");
    assert!(!bed.tree.is_clean(bed.ino("big")).unwrap());
}

#[test]
fn a_link_that_dies_midway_costs_only_what_was_on_its_way() {
    let bed = bed(64 * MB, &[0, 32 * MB, 60 * MB]);
    let part = open(&bed);
    read(&bed, &part, 0, 4096).unwrap();
    bed.lower.add(Fault::late(When::Every(Call::Read)));
    let ino = bed.ino("big");
    assert!(bed.fetch.piece(ino, (32 * MB, 4096), soon()).is_err());
    assert!(matches!(part.read(0, 4096).unwrap(), PartRead::Bytes(_)));
    assert!(matches!(
        part.read(32 * MB, 4096).unwrap(),
        PartRead::Missing
    ));
    bed.lower.heal();
    bed.bring("big").unwrap();
    // Edited here; then the late answer is written, to where nobody reads.
    let handle = bed.tree.open_file(ino, true, false, Who::DRIFTFS).unwrap();
    let mine = bed
        .tree
        .write(&handle, 32 * MB, b"mine", false, false, Who::DRIFTFS);
    assert_eq!(mine.unwrap(), 4);
    assert!(!bed.lower.run_late().is_empty());
    assert_eq!(bed.tree.read(&handle, 32 * MB, 4).unwrap(), b"mine");
    assert!(live(&bed, 60 * MB, 4096) == pattern(60 * MB, 4096, 0));
}

#[test]
fn a_file_that_is_open_for_long_is_filled_behind() {
    let bed = bed(48 * MB, &[0, 40 * MB]);
    let part = open(&bed);
    until(|| is_here(&bed));
    assert!(live(&bed, 40 * MB, 4096) == pattern(40 * MB, 4096, 0));
    drop(part);
}

#[test]
fn many_readers_of_many_places_see_one_file() {
    let spots: Vec<u64> = (0..64).map(|n| n * MB).collect();
    let bed = bed(64 * MB, &spots);
    let bed = &bed;
    std::thread::scope(|scope| {
        for reader in 0..4_u64 {
            let spots = &spots;
            scope.spawn(move || {
                let Some(part) = bed
                    .fetch
                    .begin(bed.ino("big"), soon())
                    .ok()
                    .and_then(|()| bed.fetch.open_part(bed.ino("big")))
                else {
                    return;
                };
                for n in 0..64 {
                    let spot = spots[((n * 17 + reader * 5) % 64) as usize];
                    match read(bed, &part, spot, 4096) {
                        Some(bytes) => assert_eq!(bytes, pattern(spot, 4096, 0)),
                        None => assert!(live(bed, spot, 4096) == pattern(spot, 4096, 0)),
                    }
                }
            });
        }
    });
    bed.bring("big").unwrap();
    let _: Ino = bed.ino("big");
    for spot in &spots {
        assert!(live(bed, *spot, 4096) == pattern(*spot, 4096, 0));
    }
}
