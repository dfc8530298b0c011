//! Bytes: what is kept before they change, who may still read them, and what replacing does.

use super::testing::{Lab, WHO, base_of, name};
use super::{RenameMode, TreeError};
use crate::meta::{Node, Sealed, WriteTxn};
use crate::model::{Bytes, Dirty, Ino, Kind, ObjectId};
use crate::sys;

#[test]
fn the_first_write_keeps_base_and_a_failed_one_writes_nothing() {
    let lab = Lab::new();
    let file = lab.file("f", b"agreed");
    let bid = lab.agree("f");
    assert!(lab.is_clean(file).unwrap());
    let handle = lab.open_file(file, true, false, WHO).unwrap();
    lab.meta().stop_after(0);
    lab.write(&handle, 0, b"EDITED", false, false, WHO)
        .unwrap_err();
    assert_eq!(lab.read(&handle, 0, 100).unwrap(), b"agreed");
    lab.meta().stop_after(u64::MAX);
    lab.put(&handle, b"EDITED");
    drop(handle);
    assert_eq!(lab.base_text(bid).unwrap(), b"agreed");
    assert!(!lab.is_clean(file).unwrap());
    // Back to what was agreed: clean by comparison, whatever the mark says.
    lab.put(&lab.open_file(file, true, false, WHO).unwrap(), b"agreed");
    assert!(lab.row(file).dirty.has(Dirty::BYTES));
    assert!(lab.is_clean(file).unwrap());
}

#[test]
fn a_write_during_a_push_is_not_taken_for_pushed() {
    let lab = Lab::new();
    let file = lab.file("f", b"one");
    let handle = lab.open_file(file, true, false, WHO).unwrap();
    lab.put(&handle, b"two");
    let (object, rev) = lab.seal_now(file).unwrap();
    assert!(lab.unchanged_since(file, rev).unwrap());
    lab.put(&handle, b"six");
    assert!(!lab.unchanged_since(file, rev).unwrap());
    let same = lab.commit_with_bytes(file, rev, |_, same| Ok::<_, TreeError>(same));
    assert!(!same.unwrap());
    let sealed = lab.objects().open_sealed(object).unwrap();
    assert_eq!(sys::read_at(&sealed, 0, 9).unwrap(), b"two");
}

#[test]
fn a_write_through_a_handle_that_was_open_over_a_push_keeps_the_new_base() {
    let lab = Lab::new();
    let file = lab.file("f", b"one");
    let handle = lab.open_file(file, true, false, WHO).unwrap();
    lab.put(&handle, b"two");
    let bid = lab.agree("f");
    // The fast path was ready before the push; it must look again.
    lab.put(&handle, b"six");
    assert_eq!(lab.base_text(bid).unwrap(), b"two");
    assert_eq!(lab.bytes(file), b"six");
}

#[test]
fn a_killed_daemon_loses_no_write_and_the_row_follows_the_file() {
    let mut lab = Lab::new();
    let file = lab.file("f", b"one");
    let handle = lab.open_file(file, true, false, WHO).unwrap();
    lab.put(&handle, b"a longer text");
    let rev = lab.row(file).rev;
    std::mem::forget(handle);
    lab.kill();
    assert_eq!(lab.bytes(file), b"a longer text");
    let row = lab.row(file);
    assert_eq!(row.attrs.size, 13);
    assert!(row.rev > rev && row.dirty.has(Dirty::BYTES));
    lab.check();
}

#[test]
fn appends_of_many_threads_are_all_there() {
    let lab = Lab::new();
    let file = lab.file("f", b"");
    let handle = lab.open_file(file, true, false, WHO).unwrap();
    std::thread::scope(|scope| {
        for letter in b'a'..b'e' {
            let (lab, handle) = (&lab, handle.clone());
            scope.spawn(move || {
                for _ in 0..50 {
                    let line = [letter; 10];
                    lab.write(&handle, 0, &line, true, false, WHO).unwrap();
                }
            });
        }
    });
    let bytes = lab.read(&handle, 0, 1 << 20).unwrap();
    assert_eq!(bytes.len(), 4 * 50 * 10);
    let whole = bytes
        .chunks(10)
        .all(|line| line.iter().all(|b| *b == line[0]));
    assert!(whole, "appends were mixed");
}

#[test]
fn a_nameless_file_lives_as_long_as_its_handle_and_base_keeps_its_bytes() {
    let mut lab = Lab::new();
    let file = lab.file("f", b"agreed");
    let bid = lab.agree("f");
    let handle = lab.open_file(file, true, false, WHO).unwrap();
    lab.unlink(Ino::ROOT, &name("f"), WHO).unwrap();
    assert_eq!(lab.read(&handle, 0, 100).unwrap(), b"agreed");
    lab.put(&handle, b"nobody's");
    assert_eq!(lab.stat(file).unwrap().node.nlink, 0);
    assert_eq!(lab.base_text(bid).unwrap(), b"agreed");
    drop(handle);
    assert!(matches!(lab.stat(file), Err(TreeError::NotFound)));
    lab.sweep().unwrap();
    assert_eq!(lab.objects().live_stat(file).unwrap(), None);
    lab.restart();
    assert_eq!(lab.base_text(bid).unwrap(), b"agreed");
    lab.check();
}

#[test]
fn a_removed_file_nobody_has_open_becomes_its_base_without_a_copy() {
    let mut lab = Lab::new();
    let file = lab.file("f", b"agreed");
    let bid = lab.agree("f");
    lab.snapshot("before", "test").unwrap();
    lab.remember(file);
    lab.unlink(Ino::ROOT, &name("f"), WHO).unwrap();
    assert_eq!(lab.stat(file).unwrap().node.nlink, 0);
    lab.forget(file, 1);
    assert!(matches!(lab.stat(file), Err(TreeError::NotFound)));
    let epoch = lab.meta().read(|rows| rows.views()).unwrap()[0].epoch;
    for _ in 0..2 {
        let kept = lab.meta().read(|rows| rows.bytes_at(epoch, file)).unwrap();
        let sealed = lab.objects().open_sealed(kept.unwrap()).unwrap();
        assert_eq!(sys::read_at(&sealed, 0, 100).unwrap(), b"agreed");
        assert_eq!(lab.base_text(bid).unwrap(), b"agreed");
        lab.sweep().unwrap();
        lab.sweep().unwrap();
        lab.kill();
    }
}

#[test]
fn truncating_bytes_that_are_not_here_needs_none_and_base_has_none() {
    let lab = Lab::new();
    let file = lab.file("f", b"agreed");
    let bid = lab.agree("f");
    lab.drop_bytes(file).unwrap();
    assert!(matches!(
        lab.open_file(file, true, false, WHO),
        Err(TreeError::NoBytes(_))
    ));
    assert_eq!(lab.stat(file).unwrap().node.attrs.size, 6);
    let handle = lab.open_file(file, true, true, WHO).unwrap();
    lab.put(&handle, b"new");
    drop(handle);
    lab.sweep().unwrap();
    assert_eq!(lab.bytes(file), b"new");
    assert_eq!(lab.base_text(bid), None);
}

/// A sealed object with these bytes, as a fetch makes it.
fn incoming(lab: &Lab, bytes: &[u8]) -> ObjectId {
    let draft = lab.objects().draft().unwrap();
    sys::write_at(draft.file(), 0, bytes).unwrap();
    let made = lab.commit(|txn| {
        let id = txn.new_object()?;
        lab.objects().seal(draft, id).unwrap();
        txn.put_sealed(&Sealed {
            id,
            size: bytes.len() as u64,
            hash: None,
            durable: false,
        })?;
        Ok::<_, TreeError>(id)
    });
    made.unwrap()
}

/// What a pull does in the transaction of the replacement: base is what the node becomes.
fn agreed(txn: &WriteTxn<'_>, node: &mut Node) -> Result<(), TreeError> {
    node.attrs.mtime.sec = 77;
    let base = base_of(node, node.bid.ok_or(TreeError::Invalid)?);
    Ok(txn.put_base(&base)?)
}

#[test]
fn replacing_shows_readers_the_new_bytes_and_is_refused_to_writers() {
    let lab = Lab::new();
    let file = lab.file("f", b"old");
    lab.agree("f");
    lab.snapshot("before", "test").unwrap();
    let object = incoming(&lab, b"from the server");
    let writer = lab.open_file(file, true, false, WHO).unwrap();
    let refused = lab.replace_bytes(file, object, None, &mut agreed);
    assert!(matches!(refused, Err(TreeError::Busy)));
    drop(writer);
    let reader = lab.open_file(file, false, false, WHO).unwrap();
    lab.replace_bytes(file, object, None, &mut agreed).unwrap();
    assert_eq!(lab.read(&reader, 0, 100).unwrap(), b"from the server");
    let seen = lab.stat(file).unwrap().node;
    assert_eq!((seen.attrs.size, seen.attrs.mtime.sec), (15, 77));
    assert!(lab.is_clean(file).unwrap());
    let kept = lab.meta().read(|rows| {
        let epoch = rows.views()?[0].epoch;
        rows.bytes_at(epoch, file)
    });
    let sealed = lab.objects().open_sealed(kept.unwrap().unwrap()).unwrap();
    assert_eq!(sys::read_at(&sealed, 0, 9).unwrap(), b"old");
}

/// Stops a replacement after the commit that promises it, with the old live file still in place.
fn promised(lab: &Lab) -> Ino {
    let file = lab.file("f", b"old");
    lab.agree("f");
    let object = incoming(lab, b"from the server");
    lab.meta().stop_after(1);
    lab.replace_bytes(file, object, None, &mut agreed)
        .unwrap_err();
    let old = lab.objects().draft().unwrap();
    sys::write_at(old.file(), 0, b"old").unwrap();
    lab.objects().place_live(old, file).unwrap();
    file
}

#[test]
fn a_promised_replacement_is_finished_by_the_next_start() {
    let mut lab = Lab::new();
    let file = promised(&lab);
    lab.kill();
    assert_eq!(lab.bytes(file), b"from the server");
    assert!(lab.meta().read(|rows| rows.intents()).unwrap().is_empty());
    assert!(lab.is_clean(file).unwrap());
}

#[test]
fn a_promised_replacement_comes_before_the_next_write_and_never_after_it() {
    let mut lab = Lab::new();
    let file = promised(&lab);
    lab.meta().stop_after(u64::MAX);
    let handle = lab.open_file(file, true, false, WHO).unwrap();
    lab.put(&handle, b"FROM");
    std::mem::forget(handle);
    lab.kill();
    assert_eq!(lab.bytes(file), b"FROM the server");
}

#[test]
fn placing_is_refused_when_the_file_got_bytes_meanwhile() {
    let lab = Lab::new();
    let file = lab.file("f", b"agreed");
    let bid = lab.agree("f");
    lab.drop_bytes(file).unwrap();
    let base = lab.meta().read(|rows| rows.base(bid)).unwrap().unwrap();
    drop(lab.open_file(file, true, true, WHO).unwrap());
    let draft = lab.objects().draft().unwrap();
    let late = lab.place_bytes(file, draft, &base);
    assert!(matches!(late, Err(TreeError::Busy)));
    assert_eq!(lab.row(file).bytes, Bytes::Here);
}

#[test]
fn a_file_with_another_name_keeps_its_base_object_when_one_name_is_renamed_over() {
    let lab = Lab::new();
    let root = Ino::ROOT;
    let file = lab.file("f", b"agreed");
    let bid = lab.agree("f");
    lab.link(file, root, &name("second"), WHO).unwrap();
    lab.file("tmp", b"new");
    let (tmp, f) = (name("tmp"), name("f"));
    lab.rename((root, &tmp), (root, &f), RenameMode::Replace, WHO)
        .unwrap();
    assert_eq!(lab.at("second").node.bid, Some(bid));
    assert_eq!(lab.at("f").node.bid, None);
    assert_eq!(lab.at("second").node.nlink, 1);
    lab.check();
}

#[test]
fn only_regular_files_are_opened() {
    let lab = Lab::new();
    let dir = lab.make(Kind::Dir, Ino::ROOT, "dir");
    let fifo = lab.make(Kind::Fifo, Ino::ROOT, "fifo");
    let open = |ino| lab.open_file(ino, false, false, WHO).map(drop);
    assert!(matches!(open(dir), Err(TreeError::IsDir)));
    assert!(matches!(open(fifo), Err(TreeError::Invalid)));
    assert!(matches!(open(Ino(99)), Err(TreeError::NotFound)));
}
