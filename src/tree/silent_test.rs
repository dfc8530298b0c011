//! Writers nobody sees. The kernel's part is played by writing the live file itself.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::testing::{Lab, WHO, name};
use super::{Handle, HowOpen, TreeError};
use crate::meta::{Node, WriteTxn};
use crate::model::{Dirty, Ino, Kind, ObjectId};
use crate::sys;

/// A lab where the kernel could pass through for writing; `None`, said and counted, on a file system where it may not.
fn lab() -> Option<Lab> {
    let lab = Lab::on_disk();
    let can = lab.objects().can();
    let all = can.lease && can.mapped_times && can.reflink;
    if !all {
        skip("the temporary directory is on a file system without reflinks or leases");
    }
    all.then_some(lab)
}

/// Says why the test that calls cannot run here; `scripts/test` counts the lines of that file.
fn skip(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    println!("SKIPPED {test}: {reason}");
    if let Ok(file) = std::env::var("DRIFTFS_SKIPPED")
        && let Ok(mut file) = File::options().append(true).open(file)
    {
        let _ = writeln!(file, "{test}: {reason}");
    }
}

/// An opening in passthrough, and what the kernel opens beneath it.
fn pass(lab: &Lab, ino: Ino, write: bool) -> (Handle, File) {
    let how = HowOpen {
        write,
        maps: write,
        truncate: false,
        passthrough: true,
    };
    let handle = lab.open_with(ino, how, WHO).unwrap();
    assert!(handle.is_passthrough());
    let kernel = lab.objects().open_live(ino, write).unwrap();
    (handle, kernel)
}

fn push(lab: &Lab, ino: Ino) -> (ObjectId, bool) {
    let bid = lab.row(ino).bid.unwrap();
    let (object, rev) = lab.seal_now(ino).unwrap();
    let done = lab.commit_with_bytes(ino, rev, |txn, same| {
        let mut base = txn.base(bid)?.unwrap();
        base.object = (!same).then_some(object);
        base.attrs.size = txn.node(ino)?.unwrap().attrs.size;
        txn.put_base(&base)?;
        if same {
            let mut node = txn.node(ino)?.unwrap();
            node.dirty = node.dirty.without(Dirty::BYTES);
            txn.put_node(&node)?;
        }
        Ok::<_, TreeError>(same)
    });
    (object, done.unwrap())
}

fn is_marked(lab: &Lab, ino: Ino) -> bool {
    lab.row(ino).dirty.has(Dirty::BYTES)
}

#[test]
fn an_open_for_writing_keeps_base_and_is_clean_again_if_nothing_was_written() {
    let Some(lab) = lab() else { return };
    let ino = lab.file("f", b"agreed");
    let bid = lab.agree("f");
    let (handle, kernel) = pass(&lab, ino, true);
    assert!(is_marked(&lab, ino));
    assert!(lab.is_clean(ino).unwrap());
    drop((kernel, handle));
    assert!(!is_marked(&lab, ino));
    let (handle, kernel) = pass(&lab, ino, true);
    kernel.write_all_at(b"EDITED", 0).unwrap();
    assert!(!lab.is_clean(ino).unwrap());
    drop((kernel, handle));
    assert!(is_marked(&lab, ino));
    assert_eq!(lab.base_text(bid).unwrap(), b"agreed");
    assert_eq!(lab.bytes(ino), b"EDITED");
    lab.check();
}

#[test]
fn a_push_while_somebody_may_write_leaves_the_mark_and_gives_base_its_own_bytes() {
    let Some(lab) = lab() else { return };
    let ino = lab.file("f", b"agreed");
    let bid = lab.agree("f");
    let (handle, kernel) = pass(&lab, ino, true);
    for n in 0..20 {
        // In one tick of the clock, as like as not: neither write may be taken for the other.
        kernel.write_all_at(&[b'a' + n; 6], 0).unwrap();
        assert!(push(&lab, ino).1);
        assert!(is_marked(&lab, ino) && lab.is_clean(ino).unwrap());
        kernel.write_all_at(b"later!", 0).unwrap();
        assert!(!lab.is_clean(ino).unwrap());
        assert_eq!(lab.base_text(bid).unwrap(), [b'a' + n; 6]);
    }
    assert!(push(&lab, ino).1);
    drop((kernel, handle));
    assert!(!is_marked(&lab, ino));
    assert_eq!(lab.base_text(bid).unwrap(), b"later!");
    lab.check();
}

#[test]
fn a_write_while_a_push_is_on_its_way_is_not_taken_for_sent() {
    let Some(lab) = lab() else { return };
    let ino = lab.file("f", b"agreed");
    lab.agree("f");
    for n in 0..20 {
        let (handle, kernel) = pass(&lab, ino, true);
        kernel.write_all_at(&[n; 6], 0).unwrap();
        let (object, rev) = lab.seal_now(ino).unwrap();
        kernel.write_all_at(&[n + 100; 6], 0).unwrap();
        drop((kernel, handle));
        let same = lab.commit_with_bytes(ino, rev, |_, same| Ok::<_, TreeError>(same));
        assert!(!same.unwrap());
        lab.release(object);
    }
}

#[test]
fn what_may_still_be_written_is_not_clean_is_not_replaced_and_is_watched_to_its_end() {
    let Some(mut lab) = lab() else { return };
    let ino = lab.file("f", b"agreed");
    lab.agree("f");
    // As a mapping: the handle is gone, the kernel's file is not.
    let (handle, kernel) = pass(&lab, ino, true);
    kernel.write_all_at(b"mapped", 0).unwrap();
    drop(handle);
    assert!(push(&lab, ino).1 && is_marked(&lab, ino));
    let (object, _) = lab.seal_now(ino).unwrap();
    let nothing = &mut |_: &WriteTxn<'_>, _: &mut Node| Ok(());
    assert!(matches!(
        lab.replace_bytes(ino, object, None, nothing),
        Err(TreeError::Busy)
    ));
    assert!(matches!(lab.drop_bytes(ino), Err(TreeError::Busy)));
    lab.kill();
    assert!(matches!(lab.drop_bytes(ino), Err(TreeError::Busy)));
    kernel.write_all_at(b"again!", 0).unwrap();
    lab.wait_written(Duration::ZERO);
    assert_eq!(lab.written_silently(), [ino]);
    assert_eq!(lab.written_silently(), []);
    kernel.write_all_at(b"at last", 0).unwrap();
    drop(kernel);
    assert_eq!(lab.written_silently(), [ino]);
    assert_eq!(lab.row(ino).attrs.size, 7);
    assert!(push(&lab, ino).1 && !is_marked(&lab, ino));
    assert_eq!(lab.written_silently(), []);
    lab.check();
}

#[test]
fn a_snapshot_has_the_bytes_of_its_moment_although_the_next_write_does_not_come_by() {
    let Some(lab) = lab() else { return };
    let ino = lab.file("f", b"agreed");
    let bid = lab.agree("f");
    let (handle, kernel) = pass(&lab, ino, true);
    let mut views = Vec::new();
    for text in [b"one", b"two", b"six"] {
        kernel.write_all_at(text, 0).unwrap();
        views.push((lab.snapshot("s", "test").unwrap(), text));
    }
    kernel.write_all_at(b"end", 0).unwrap();
    drop((kernel, handle));
    for (view, text) in views {
        let object = lab
            .meta()
            .read(|rows| rows.bytes_at(view.epoch, ino))
            .unwrap();
        let file = lab.objects().open_sealed(object.unwrap()).unwrap();
        assert_eq!(sys::read_at(&file, 0, 3).unwrap(), text);
    }
    assert_eq!(lab.base_text(bid).unwrap(), b"agreed");
    lab.check();
}

#[test]
fn new_bytes_are_seen_through_what_the_kernel_has_open_and_a_crash_finishes_them() {
    let Some(mut lab) = lab() else { return };
    let ino = lab.file("f", b"a longer text than the next");
    lab.agree("f");
    let other = lab.file("other", b"from the server");
    let (object, _) = lab.seal_now(other).unwrap();
    let (handle, kernel) = pass(&lab, ino, false);
    let clean = &mut |_: &WriteTxn<'_>, node: &mut Node| {
        node.dirty = Dirty::CLEAN;
        Ok(())
    };
    // The rows are committed, and then nothing more.
    lab.meta().stop_after(1);
    lab.replace_bytes(ino, object, None, clean).unwrap_err();
    lab.meta().stop_after(u64::MAX);
    drop(lab.open_file(ino, false, false, WHO).unwrap());
    assert_eq!(sys::read_at(&kernel, 0, 99).unwrap(), b"from the server");
    lab.meta().stop_after(1);
    let again = lab.seal_now(lab.at("other").node.ino);
    assert!(again.is_ok());
    lab.replace_bytes(ino, again.unwrap().0, None, clean)
        .unwrap_err();
    std::mem::forget(handle);
    lab.kill();
    assert_eq!(lab.bytes(ino), b"from the server");
    assert!(!is_marked(&lab, ino));
    lab.check();
}

#[test]
fn a_file_loses_its_names_under_a_writer_and_base_keeps_its_bytes() {
    let Some(lab) = lab() else { return };
    let ino = lab.file("f", b"agreed");
    let bid = lab.agree("f");
    let (reader, _) = pass(&lab, ino, false);
    lab.unlink(Ino::ROOT, &name("f"), WHO).unwrap();
    let (writer, kernel) = pass(&lab, ino, true);
    kernel.write_all_at(b"EDITED", 0).unwrap();
    lab.sync(&writer).unwrap();
    assert_eq!(lab.base_text(bid).unwrap(), b"agreed");
    assert_eq!(lab.read(&reader, 0, 9).unwrap(), b"EDITED");
    drop((kernel, reader, writer));
    assert!(matches!(lab.stat(ino), Err(TreeError::NotFound)));
    assert!(lab.make(Kind::File, Ino::ROOT, "f") != ino);
    lab.check();
}
