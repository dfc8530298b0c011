//! Both sides changed something: merged where a rule or a driver may, kept as a conflict where not.

use crate::bed::{Bed, Client, assert_same};
use crate::one_side::{known, settled};
use driftfs::model::ConflictKind;

#[test]
fn text_is_merged() {
    let (bed, client) = known();
    client.write("docs/plan.md", b"ONE\ntwo\nthree\nfour\nfive\nsix\nseven\n");
    bed.server_save("docs/plan.md", b"one\ntwo\nthree\nfour\nfive\nsix\nSEVEN\n");
    let report = client.sync();
    assert_eq!(
        client.read("docs/plan.md"),
        b"ONE\ntwo\nthree\nfour\nfive\nsix\nSEVEN\n"
    );
    assert_eq!(report.merged.len(), 1, "{report:#?}");
    settled(&bed, &client, &report);
}

#[test]
fn a_clash_keeps_both_and_blocks_only_itself() {
    let (bed, client) = known();
    client.write("a.txt", b"mine\n");
    bed.server_save("a.txt", b"theirs\n");
    client.write("b.txt", b"only mine\n");
    let report = client.sync();
    assert_eq!(report.conflicts.len(), 1, "{report:#?}");
    assert_eq!(report.conflicts[0].kind, ConflictKind::Content);
    assert_eq!(client.read("a.txt"), b"mine\n");
    assert_eq!(bed.server_read("a.txt"), b"theirs\n");
    assert_eq!(bed.server_read("b.txt"), b"only mine\n");
    let stored = client.tree.meta().read(|rows| rows.conflicts()).unwrap();
    assert_eq!(stored.len(), 1);
    let again = client.sync();
    assert!(again.is_quiet(), "{again:#?}");
    assert_eq!(again.conflicts.len(), 1, "it stays listed");
    assert_eq!(
        client
            .tree
            .meta()
            .read(|rows| rows.conflicts())
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        every_version(&bed, &client, &[b"a\n", b"mine\n", b"theirs\n"]),
        Vec::<String>::new()
    );
}

#[test]
fn an_edit_beats_a_delete_on_either_side() {
    let (bed, client) = known();
    client.write("a.txt", b"edited here\n");
    bed.server_remove("a.txt");
    client.remove("b.txt");
    bed.server_save("b.txt", b"edited there\n");
    let report = client.sync();
    assert_same(&client.view(), &bed.server_view(), "client and server");
    assert_eq!(client.read("a.txt"), b"edited here\n");
    assert_eq!(client.read("b.txt"), b"edited there\n");
    let kinds: Vec<_> = report.conflicts.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, vec![ConflictKind::Deleted; 2], "{report:#?}");
}

#[test]
fn the_same_work_on_both_sides_is_agreement() {
    let (bed, client) = known();
    client.write("a.txt", b"the same\n");
    bed.server_save("a.txt", b"the same\n");
    client.create("both", b"equal\n");
    bed.server_write("both", b"equal\n");
    client.remove("b.txt");
    bed.server_remove("b.txt");
    client.mkdir("dir");
    client.create("dir/mine", b"m\n");
    bed.server_mkdir("dir");
    bed.server_write("dir/theirs", b"t\n");
    let report = client.sync();
    settled(&bed, &client, &report);
    assert_eq!(client.read("dir/theirs"), b"t\n");
}

#[test]
fn created_differently_on_both_sides_is_a_conflict() {
    let (bed, client) = known();
    client.create("both", b"mine\n");
    bed.server_write("both", b"theirs\n");
    let report = client.sync();
    assert_eq!(
        report.conflicts[0].kind,
        ConflictKind::Created,
        "{report:#?}"
    );
    assert_eq!(client.read("both"), b"mine\n");
    assert_eq!(bed.server_read("both"), b"theirs\n");
}

#[test]
fn work_in_a_directory_the_other_side_renamed_arrives() {
    let (bed, client) = known();
    client.write("docs/old/x", b"x, edited\n");
    client.create("docs/old/z", b"z\n");
    bed.server_rename("docs", "papers");
    let report = client.sync();
    assert_eq!(bed.server_read("papers/old/x"), b"x, edited\n");
    assert_eq!(bed.server_read("papers/old/z"), b"z\n");
    settled(&bed, &client, &report);
}

/// The byte strings that are nowhere: not live, not on the server, not retained, not stored here.
pub fn every_version(bed: &Bed, client: &Client, versions: &[&[u8]]) -> Vec<String> {
    let mut all: Vec<Vec<u8>> = client
        .view_known()
        .into_values()
        .map(|one| one.content)
        .collect();
    all.extend(bed.server_view().into_values().map(|one| one.content));
    all.extend(bed.kept_on_server());
    for id in client.tree.objects().all_sealed().unwrap() {
        let mut bytes = Vec::new();
        let mut file = client.tree.objects().open_sealed(id).unwrap();
        std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        all.push(bytes);
    }
    let missing = versions
        .iter()
        .filter(|one| !all.iter().any(|have| have == *one));
    missing
        .map(|one| String::from_utf8_lossy(one).into_owned())
        .collect()
}
