//! What only one side changed arrives on the other exactly, and a second run changes nothing.

use crate::bed::{Bed, Client, assert_same};
use driftfs::reintegrate::Report;

/// A small tree both sides know, with everything cached.
pub fn known() -> (Bed, Client) {
    let bed = Bed::new();
    for dir in ["docs", "docs/old", "empty"] {
        bed.server_mkdir(dir);
    }
    for (path, bytes) in [
        ("a.txt", "a\n"),
        ("b.txt", "b\n"),
        ("docs/plan.md", "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"),
        ("docs/old/x", "x\n"),
        ("docs/old/y", "y\n"),
        ("twin1", "twins\n"),
    ] {
        bed.server_write(path, bytes.as_bytes());
    }
    bed.server_link("twin1", "docs/twin2");
    bed.server_symlink("a.txt", "to-a");
    let client = bed.open();
    client.know_all();
    (bed, client)
}

/// After a run both sides are equal, nothing lies in the attempts, and a second run finds nothing to do.
pub fn settled(bed: &Bed, client: &Client, report: &Report) {
    assert!(report.is_settled(), "{report:#?}");
    assert_same(&client.view(), &bed.server_view(), "client and server");
    assert_eq!(bed.leftovers(), Vec::<String>::new());
    let again = client.sync();
    assert!(again.is_quiet() && again.is_settled(), "{again:#?}");
    assert_same(&client.view(), &bed.server_view(), "client and server");
    let changes = driftfs::reintegrate::changes::changes(&client.tree).unwrap();
    assert_eq!(changes, Vec::new());
}

#[test]
fn nothing_changed_is_nothing_done() {
    let (bed, client) = known();
    let report = client.sync();
    assert!(report.is_quiet(), "{report:#?}");
    assert!(
        !bed.server.join(".driftfs").exists(),
        "a run without a push makes nothing on the server"
    );
    settled(&bed, &client, &report);
}

#[test]
fn what_the_client_did_arrives() {
    let (bed, client) = known();
    client.write("a.txt", b"a, edited\n");
    client.save("docs/plan.md", b"saved by an editor\n");
    client.create("new.txt", b"new\n");
    client.mkdir("fresh");
    client.mkdir("fresh/deep");
    client.create("fresh/deep/leaf", b"leaf\n");
    client.symlink("nowhere", "dangling");
    client.rename("b.txt", "docs/b-moved.txt");
    client.remove("docs/old/x");
    client.chmod("docs/old/y", 0o600);
    client.rename("docs/old", "older");
    client.link("older/y", "y-too");
    client.remove("empty");
    let wanted = client.view();
    let report = client.sync();
    assert_same(&bed.server_view(), &wanted, "server and wanted");
    settled(&bed, &client, &report);
    let kept = bed.kept_on_server();
    assert!(
        kept.contains(&b"a\n".to_vec()) && kept.contains(&b"x\n".to_vec()),
        "replaced and removed versions stay"
    );
}

#[test]
fn what_the_server_did_arrives() {
    let (bed, client) = known();
    bed.server_write("a.txt", b"a, edited there\n");
    bed.server_save("docs/plan.md", b"saved there\n");
    bed.server_write("new.txt", b"new there\n");
    bed.server_mkdir("fresh");
    bed.server_write("fresh/leaf", b"leaf\n");
    bed.server_rename("b.txt", "docs/b-moved.txt");
    bed.server_remove("docs/old/x");
    bed.server_chmod("docs/old/y", 0o600);
    bed.server_rename("docs/old", "older");
    bed.server_link("older/y", "y-too");
    bed.server_remove("empty");
    bed.server_remove("to-a");
    bed.server_symlink("b.txt", "to-a");
    let wanted = bed.server_view();
    let report = client.sync();
    assert_same(&client.view(), &wanted, "client and wanted");
    assert_same(&bed.server_view(), &wanted, "nothing was pushed");
    settled(&bed, &client, &report);
}

#[test]
fn untouched_files_stay_untouched_on_the_server() {
    use std::os::unix::fs::MetadataExt;
    let (bed, client) = known();
    let look = || {
        let meta = std::fs::metadata(bed.server.join("docs/old/y")).unwrap();
        (
            meta.ino(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec(),
        )
    };
    let before = look();
    client.write("a.txt", b"edited\n");
    client.sync();
    assert_eq!(look(), before);
}

#[test]
fn both_names_of_a_replaced_file_stay_one_file() {
    let (bed, client) = known();
    client.write("twin1", b"both of us\n");
    let report = client.sync();
    assert_eq!(bed.server_read("docs/twin2"), b"both of us\n");
    settled(&bed, &client, &report);
}

#[test]
fn times_travel_with_the_bytes() {
    use std::os::unix::fs::MetadataExt;
    let (bed, client) = known();
    client.write("a.txt", b"old work\n");
    client.touch("a.txt", 1_000_000_000);
    client.touch("b.txt", 1_100_000_000);
    let report = client.sync();
    let mtime = |path: &str| std::fs::metadata(bed.server.join(path)).unwrap().mtime();
    assert_eq!(
        (mtime("a.txt"), mtime("b.txt")),
        (1_000_000_000, 1_100_000_000)
    );
    settled(&bed, &client, &report);
}

#[test]
fn names_that_changed_places_change_places() {
    let (bed, client) = known();
    client.rename("a.txt", "swap");
    client.rename("b.txt", "a.txt");
    client.rename("swap", "b.txt");
    let wanted = client.view();
    let report = client.sync();
    assert_same(&bed.server_view(), &wanted, "server and wanted");
    settled(&bed, &client, &report);
}

#[test]
fn an_emptied_server_is_not_believed() {
    let (bed, client) = known();
    let wanted = client.view();
    for name in ["a.txt", "b.txt", "docs", "empty", "twin1", "to-a"] {
        bed.server_remove(name);
    }
    let report = client.sync();
    assert!(report.brake.is_some(), "{report:#?}");
    assert_same(&client.view(), &wanted, "client and wanted");
    let report = client
        .re
        .run(&driftfs::reintegrate::Mode::Approved)
        .unwrap();
    assert!(report.brake.is_none());
    assert_same(&client.view(), &bed.server_view(), "client and server");
}

#[test]
fn the_work_of_an_offline_night_survives_a_restart() {
    let (bed, client) = known();
    client.write("a.txt", b"late\n");
    client.create("night", b"night\n");
    drop(client);
    let client = bed.open();
    let report = client.sync();
    assert_eq!(bed.server_read("night"), b"night\n");
    settled(&bed, &client, &report);
}
