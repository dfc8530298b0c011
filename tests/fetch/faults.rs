//! A server that falls silent, refuses, or changes while it is looked at: nothing of that is ever taken for a removal.

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use driftfs::fetch::FetchError;
use driftfs::link::State;
use driftfs::lower::{Call, Fault, LowerError, When};
use driftfs::model::{Bytes, Ino};
use driftfs::reintegrate::scan::{ScanError, Scope};
use driftfs::reintegrate::universe::Server;

use crate::bed::{Bed, base_of, object, soon};

fn bed() -> Bed {
    let bed = Bed::with(|share| {
        std::fs::create_dir(share.join("d")).unwrap();
        std::fs::write(share.join("d/in"), "in").unwrap();
        std::fs::write(share.join("f"), "f").unwrap();
    });
    bed.list_all();
    bed
}

fn refused() -> LowerError {
    LowerError::Refused {
        what: "list".into(),
        errno: 13,
        why: "permission denied".into(),
    }
}

/// Every question of this kind waits until the sender is used or dropped, or a minute has passed.
fn hang(bed: &Bed, call: Call) -> Sender<()> {
    let (go, gate) = channel();
    let wait = move || {
        let _ = gate.recv_timeout(Duration::from_secs(60));
    };
    bed.lower
        .add(Fault::foreign_before(When::Every(call), wait));
    go
}

#[test]
fn a_dead_link_makes_nobody_believe_in_removals() {
    let bed = bed();
    bed.lower.add(Fault::dead(When::Always));
    bed.refresh("");
    assert_eq!(bed.names(""), ["d", "f"]);
    assert_eq!(bed.link.state(), State::Suspect);
    assert!(!bed.fetch.wants_sync());
    let scan = bed.try_scan(Scope::Whole);
    assert!(matches!(scan, Err(ScanError::Link(_))));
}

#[test]
fn a_scan_that_loses_the_link_midway_is_no_scan() {
    let bed = bed();
    let before = bed.lower.calls_of(Call::List);
    bed.lower.add(Fault::dead(When::Of(Call::List, before + 2)));
    let scan = bed.try_scan(Scope::Whole);
    assert!(matches!(scan, Err(ScanError::Link(_))));
    assert_eq!(bed.lower.calls_of(Call::List), before + 2);
}

#[test]
fn bytes_whose_reading_failed_are_not_here() {
    let bed = bed();
    bed.lower.add(Fault::lost_reply(When::Of(Call::Read, 1)));
    assert!(matches!(bed.bring("f"), Err(FetchError::Unreachable)));
    assert_eq!(bed.node("f").unwrap().bytes, Bytes::Absent);
    bed.bring("f").unwrap();
    assert_eq!(bed.read("f"), "f");
}

#[test]
fn what_is_in_a_directory_that_cannot_be_listed_is_unknown() {
    let bed = bed();
    let before = bed.lower.calls_of(Call::List);
    for nth in [before + 2, before + 3] {
        bed.lower
            .add(Fault::before(When::Of(Call::List, nth), refused()));
    }
    let scan = bed.scan(Scope::Whole);
    let inside = object(&scan, base_of, "d/in");
    assert!(matches!(inside.server, Server::Unknown(_)));
    let dir = object(&scan, base_of, "d");
    assert!(matches!(dir.server, Server::Present(_)) && !dir.listed);
}

#[test]
fn a_directory_that_refuses_is_left_out_of_the_walk() {
    let bed = Bed::with(|share| {
        std::fs::create_dir(share.join("closed")).unwrap();
        std::fs::create_dir(share.join("open")).unwrap();
    });
    bed.fetch.names(Ino::ROOT, soon()).unwrap();
    bed.lower
        .add(Fault::before(When::Of(Call::List, 2), refused()));
    let walked = bed.fetch.names_walk(1000, &|| true);
    assert!(walked.done);
    assert_eq!((walked.dirs, walked.refused), (1, 1));
}

#[test]
fn a_walk_ends_when_the_server_falls_silent() {
    let bed = Bed::with(|share| std::fs::create_dir(share.join("d")).unwrap());
    bed.lower.add(Fault::dead(When::Of(Call::List, 2)));
    assert!(!bed.fetch.names_walk(1000, &|| true).done);
    assert!(bed.node("d").unwrap().listed.is_none());
}

#[test]
fn a_silent_server_costs_one_caller_a_second_and_those_after_nothing() {
    let bed = bed();
    let go = hang(&bed, Call::List);
    bed.fetch.look_again();
    // Returning at all is the point: the server answers only after `go` is dropped.
    bed.fetch.refresh(Ino::ROOT, soon()).unwrap();
    for _ in 0..100 {
        let no_time = Instant::now();
        bed.fetch.refresh(bed.ino("d"), no_time).unwrap();
    }
    assert_eq!(bed.names(""), ["d", "f"]);
    drop(go);
    while bed.fetch.is_looking(Ino::ROOT) || bed.fetch.is_looking(bed.ino("d")) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_caller_whose_deadline_passed_leaves_the_fetch_to_go_on() {
    let bed = bed();
    let go = hang(&bed, Call::Read);
    let ino = bed.ino("f");
    let answer = bed.fetch.bytes(ino, Instant::now());
    assert!(matches!(answer, Err(FetchError::Unreachable)));
    drop(go);
    bed.fetch.bytes(ino, soon()).unwrap();
    assert_eq!(bed.lower.calls_of(Call::Read), 1, "the first one was used");
}

#[test]
fn a_push_that_ended_during_a_look_is_not_taken_back_by_it() {
    let bed = bed();
    let tree = bed.tree.clone();
    let bid = bed.node("f").unwrap().bid.unwrap();
    let ino = bed.ino("f");
    let share = bed.at("");
    // The listing is answered with `f` in it; then a push removes `f` below and from base, as one that just ended.
    let removed = move || {
        let name = crate::bed::name("f");
        let _ = std::fs::remove_file(share.join("f"));
        let done = tree.commit(|txn| -> Result<(), driftfs::meta::MetaError> {
            txn.drop_entry(Ino::ROOT, &name)?;
            txn.drop_base(bid)?;
            if let Some(mut node) = txn.node(ino)? {
                (node.nlink, node.bid) = (0, None);
                txn.put_node(&node)?;
            }
            Ok(())
        });
        done.unwrap();
    };
    bed.server_writes("new", "n");
    let before = bed.lower.calls_of(Call::List);
    // The new name makes the look list twice; nothing may be believed of `f` after the second answer.
    let last = When::Of(Call::List, before + 2);
    let mut once = Some(removed);
    let hook = move || {
        if let Some(removed) = once.take() {
            removed();
        }
    };
    bed.lower.add(Fault::foreign_after(last, hook));
    bed.refresh("");
    assert_eq!(bed.lower.calls_of(Call::List), before + 2);
    assert!(bed.node("new").is_some());
    assert!(bed.node("f").is_none(), "it does not come back");
}

#[test]
fn a_file_that_changes_between_look_and_read_is_left_alone() {
    let bed = bed();
    bed.bring("f").unwrap();
    bed.client_writes("f", "mine");
    bed.server_writes("f", "their");
    let path = bed.at("f");
    let write_again = move || std::fs::write(&path, "their second").unwrap();
    let nth = bed.lower.calls_of(Call::Read) + 1;
    bed.lower.add(Fault::foreign_before(
        When::Of(Call::Read, nth),
        write_again,
    ));
    let scan = bed.scan(Scope::Whole);
    let file = object(&scan, base_of, "f");
    assert!(matches!(file.server, Server::Unknown(_)));
}
