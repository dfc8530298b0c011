//! The bytes of files.

use driftfs::fetch::FetchError;
use driftfs::link::Event;
use driftfs::lower::Call;
use driftfs::model::Bytes;

use crate::bed::{Bed, soon};

fn one_file(text: &str) -> Bed {
    let bed = Bed::with(|share| std::fs::write(share.join("f"), text).unwrap());
    bed.list_all();
    bed
}

#[test]
fn bytes_come_once_and_are_clean() {
    let bed = one_file("hello");
    bed.bring("f").unwrap();
    assert_eq!(bed.read("f"), "hello");
    assert!(bed.tree.is_clean(bed.ino("f")).unwrap());
    assert!(bed.base("f").hash.is_some());
    // Not asked again: the server's bytes may change under a file that is here.
    bed.server_writes("f", "something longer");
    bed.bring("f").unwrap();
    assert_eq!(bed.read("f"), "hello");
}

#[test]
fn a_file_that_changed_before_it_was_read_comes_as_it_is_now() {
    let bed = one_file("hello");
    bed.server_writes("f", "something longer");
    bed.bring("f").unwrap();
    assert_eq!(bed.read("f"), "something longer");
    let node = bed.node("f").unwrap();
    assert_eq!(node.attrs.size, 16);
    assert!(node.dirty.is_clean());
    assert_eq!(bed.base("f").attrs.size, 16);
}

#[test]
fn a_file_saved_anew_before_it_was_read_comes_too() {
    let bed = one_file("hello");
    bed.server_writes("tmp", "other");
    std::fs::rename(bed.at("tmp"), bed.at("f")).unwrap();
    bed.bring("f").unwrap();
    assert_eq!(bed.read("f"), "other");
}

#[test]
fn extended_attributes_come_with_the_bytes_they_are_seen_with() {
    for (here, text) in [(true, "hello"), (true, "other"), (false, "other")] {
        let bed = one_file("hello");
        if here {
            bed.bring("f").unwrap();
        }
        bed.server_writes("f", text);
        xattr::set(bed.at("f"), "user.k", b"theirs").unwrap();
        if here {
            bed.refresh("");
        } else {
            bed.bring("f").unwrap();
        }
        assert_eq!(bed.read("f"), text);
        let node = bed.node("f").unwrap();
        let value = node.xattrs.get(b"user.k".as_slice());
        assert_eq!(
            value.map(Vec::as_slice),
            Some(b"theirs".as_slice()),
            "{here} {text}"
        );
    }
}

#[test]
fn a_file_that_is_gone_is_left_to_a_sync() {
    let bed = one_file("hello");
    std::fs::remove_file(bed.at("f")).unwrap();
    assert!(matches!(bed.bring("f"), Err(FetchError::Gone)));
    assert!(bed.fetch.wants_sync());
    assert_eq!(bed.node("f").unwrap().bytes, Bytes::Absent);
}

#[test]
fn without_the_server_absent_bytes_are_answered_at_once() {
    let bed = one_file("hello");
    bed.link.step(&Event::Offline, "a test");
    assert!(matches!(bed.bring("f"), Err(FetchError::Unreachable)));
}

#[test]
fn many_callers_of_one_file_all_get_it() {
    let bed = one_file(&"long ".repeat(100_000));
    let ino = bed.ino("f");
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| bed.fetch.bytes(ino, soon())))
            .collect();
        for caller in callers {
            caller.join().unwrap().unwrap();
        }
    });
    assert_eq!(bed.node("f").unwrap().bytes, Bytes::Here);
    assert_eq!(bed.lower.calls_of(Call::Read), 1);
    assert_eq!(bed.tree.meta().read(|rows| rows.garbage()).unwrap(), []);
}
