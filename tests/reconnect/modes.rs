//! Parts of a run: only pushing, only pulling, only looking; and somebody else who writes in the same instant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bed::Bed;
use crate::both_sides::every_version;
use crate::one_side::{known, settled};
use driftfs::model::ConflictKind;
use driftfs::reintegrate::changes::{ChangeKind, changes};
use driftfs::reintegrate::{Mode, Points};

#[test]
fn a_push_of_one_file_leaves_the_rest_alone() {
    let (bed, client) = known();
    client.write("a.txt", b"mine\n");
    client.write("b.txt", b"not yet\n");
    bed.server_write("docs/old/x", b"theirs\n");
    let report = client
        .re
        .run(&Mode::Push([client.ino("a.txt")].into()))
        .unwrap();
    assert_eq!(report.pushed.len(), 1, "{report:#?}");
    assert_eq!(bed.server_read("a.txt"), b"mine\n");
    assert_eq!(bed.server_read("b.txt"), b"b\n");
    assert_eq!(client.read("docs/old/x"), b"x\n");
    let report = client.sync();
    settled(&bed, &client, &report);
}

#[test]
fn a_push_takes_along_the_directories_it_needs() {
    let (bed, client) = known();
    client.mkdir("new");
    client.mkdir("new/er");
    client.create("new/er/leaf", b"leaf\n");
    client.create("new/other", b"other\n");
    client
        .re
        .run(&Mode::Push([client.ino("new/er/leaf")].into()))
        .unwrap();
    assert_eq!(bed.server_read("new/er/leaf"), b"leaf\n");
    assert!(!bed.server.join("new/other").exists());
    let report = client.sync();
    settled(&bed, &client, &report);
}

#[test]
fn sending_looks_only_where_something_was_changed() {
    let (bed, client) = known();
    client.write("a.txt", b"mine\n");
    client.create("docs/new", b"new\n");
    client.rename("b.txt", "docs/b.txt");
    client.remove("docs/old/x");
    // In a directory we touched: only a sync may bring it, so nothing at all is done.
    bed.server_write("docs/old/y", b"theirs\n");
    let report = client.re.run(&Mode::Send).unwrap();
    assert!(report.more && report.is_quiet(), "{report:#?}");
    assert_eq!(bed.server_read("a.txt"), b"a\n");
    let report = client.sync();
    settled(&bed, &client, &report);

    client.write("a.txt", b"mine again\n");
    client.rename("docs/b.txt", "b.txt");
    client.remove("docs/new");
    client.mkdir("fresh");
    client.create("fresh/leaf", b"leaf\n");
    // Elsewhere: not looked at, so not brought here yet.
    bed.server_write("docs/old/y", b"theirs again\n");
    let report = client.re.run(&Mode::Send).unwrap();
    assert!(!report.more, "{report:#?}");
    assert_eq!(client.read("docs/old/y"), b"theirs\n");
    assert_eq!(bed.server_read("a.txt"), b"mine again\n");
    assert_eq!(bed.server_read("fresh/leaf"), b"leaf\n");
    assert_eq!(bed.server_read("b.txt"), b"b\n");
    assert!(!bed.server.join("docs/new").exists());
    let report = client.sync();
    assert!(report.pushed.is_empty(), "all was sent: {report:#?}");
    settled(&bed, &client, &report);
}

#[test]
fn sending_over_a_change_of_the_server_is_left_to_a_sync() {
    let (bed, client) = known();
    client.write("a.txt", b"mine\n");
    bed.server_save("a.txt", b"theirs\n");
    let report = client.re.run(&Mode::Send).unwrap();
    assert!(report.more && report.is_quiet(), "{report:#?}");
    assert_eq!(bed.server_read("a.txt"), b"theirs\n");
    bed.server_remove("b.txt");
    client.write("b.txt", b"mine\n");
    let report = client.re.run(&Mode::Send).unwrap();
    assert!(report.more && report.is_quiet(), "{report:#?}");
    let report = client.sync();
    assert!(!report.conflicts.is_empty());
}

#[test]
fn a_pull_sends_nothing() {
    let (bed, client) = known();
    client.write("a.txt", b"mine\n");
    bed.server_write("b.txt", b"theirs\n");
    let report = client.re.run(&Mode::Pull).unwrap();
    assert!(report.pushed.is_empty(), "{report:#?}");
    assert_eq!(client.read("b.txt"), b"theirs\n");
    assert_eq!(bed.server_read("a.txt"), b"a\n");
    assert!(!bed.server.join(".driftfs").exists());
}

#[test]
fn a_preview_changes_nothing() {
    let (bed, client) = known();
    client.write("a.txt", b"mine\n");
    bed.server_save("b.txt", b"theirs\n");
    let (here, there) = (client.view(), bed.server_view());
    let preview = client.re.preview().unwrap();
    assert_eq!(preview.plan.steps.len(), 2, "{preview:#?}");
    assert_eq!((client.view(), bed.server_view()), (here, there));
    assert!(!bed.server.join(".driftfs").exists());
}

#[test]
fn unsent_changes_are_told_by_letters() {
    let (_bed, client) = known();
    client.write("a.txt", b"longer than before\n");
    client.create("new", b"new\n");
    client.rename("b.txt", "docs/b.txt");
    client.chmod("docs/plan.md", 0o600);
    client.remove("docs/old");
    client.remove("to-a");
    client.create("to-a", b"a file now\n");
    let told = changes(&client.tree).unwrap();
    let mut lines: Vec<String> = told
        .iter()
        .map(|one| format!("{} {}", one.kind.letter(), one.path))
        .collect();
    lines.sort();
    let wanted = [
        "A new",
        "D docs/old",
        "D docs/old/x",
        "D docs/old/y",
        "M a.txt",
        "R docs/b.txt",
        "T to-a",
        "a docs/plan.md",
    ];
    assert_eq!(lines, wanted);
    let renamed = told
        .iter()
        .find(|one| one.kind == ChangeKind::Renamed)
        .unwrap();
    assert_eq!(renamed.from.as_ref().unwrap().to_string(), "b.txt");
}

/// A client at whose first point called `name` somebody else does something.
fn with_foreigner(
    bed: &Bed,
    name: &'static str,
    act: impl Fn() + Send + Sync + 'static,
) -> crate::bed::Client {
    let once = AtomicBool::new(false);
    let points: Points = Arc::new(move |point| {
        if point == name && !once.swap(true, Ordering::SeqCst) {
            act();
        }
    });
    bed.open_with(&|posix| Arc::new(posix), Some(points))
}

#[test]
fn a_version_written_right_before_ours_is_never_overwritten_unseen() {
    let (bed, client) = known();
    client.write("a.txt", b"mine\n");
    drop(client);
    let target = bed.server.join("a.txt");
    let client = with_foreigner(&bed, "publish", move || {
        std::fs::write(target.with_extension("tmp~"), b"theirs\n").unwrap();
        std::fs::rename(target.with_extension("tmp~"), &target).unwrap();
    });
    let report = client.sync();
    assert_eq!(bed.server_read("a.txt"), b"theirs\n");
    assert_eq!(client.read("a.txt"), b"mine\n");
    assert_eq!(report.conflicts.len(), 1, "{report:#?}");
    assert_eq!(report.conflicts[0].kind, ConflictKind::Content);
    assert_eq!(
        every_version(&bed, &client, &[b"a\n", b"mine\n", b"theirs\n"]),
        Vec::<String>::new()
    );
}

#[test]
fn a_new_name_taken_right_before_ours_stays_theirs() {
    let (bed, client) = known();
    client.create("new", b"mine\n");
    drop(client);
    let target = bed.server.join("new");
    let client = with_foreigner(&bed, "publish", move || {
        std::fs::write(&target, b"theirs\n").unwrap()
    });
    let report = client.sync();
    assert_eq!(bed.server_read("new"), b"theirs\n");
    assert_eq!(
        report.conflicts[0].kind,
        ConflictKind::Created,
        "{report:#?}"
    );
}

#[test]
fn an_edit_right_before_our_removal_keeps_the_file() {
    let (bed, client) = known();
    client.remove("a.txt");
    drop(client);
    let target = bed.server.join("a.txt");
    let client = with_foreigner(&bed, "take", move || {
        std::fs::write(&target, b"edited\n").unwrap()
    });
    let report = client.sync();
    assert_eq!(bed.server_read("a.txt"), b"edited\n", "{report:#?}");
    assert_eq!(client.read("a.txt"), b"edited\n");
}

#[test]
fn what_is_written_here_while_it_is_sent_is_sent_next() {
    let (bed, client) = known();
    client.write("a.txt", b"first\n");
    drop(client);
    let writer: Arc<std::sync::Mutex<Option<Arc<driftfs::tree::Tree>>>> = Arc::default();
    let hand = writer.clone();
    let client = with_foreigner(&bed, "publish", move || {
        let tree = hand.lock().unwrap().clone().unwrap();
        let path = driftfs::model::RelPath::parse(b"a.txt").unwrap();
        let ino = tree
            .meta()
            .read(|rows| rows.resolve(&path))
            .unwrap()
            .unwrap()
            .ino;
        let handle = tree.open_file(ino, true, true, crate::bed::ME).unwrap();
        tree.write(&handle, 0, b"second\n", false, false, crate::bed::ME)
            .unwrap();
    });
    *writer.lock().unwrap() = Some(client.tree.clone());
    client.sync();
    assert_eq!(client.read("a.txt"), b"second\n");
    let report = client.sync();
    assert_eq!(bed.server_read("a.txt"), b"second\n");
    assert!(report.conflicts.is_empty(), "{report:#?}");
    settled(&bed, &client, &report);
}
