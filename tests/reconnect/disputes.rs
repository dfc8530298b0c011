//! While a conflict is open, everything else about its objects stays true: what lies in them can be read, and a second
//! look finds the same.

use crate::bed::assert_same;
use crate::one_side::known;
use driftfs::model::ConflictKind;

#[test]
fn what_lies_in_a_directory_that_is_elsewhere_on_the_server_can_be_read() {
    let (bed, client) = known();
    client.rename("empty", "docs/empty");
    bed.server_rename("docs", "empty/docs");
    bed.server_write("empty/docs/new", b"new there\n");
    bed.server_mkdir("empty/docs/dir");
    bed.server_write("empty/docs/dir/deep", b"deep\n");
    // Something else has the old name by now, with another file of the same name in it.
    bed.server_mkdir("docs");
    bed.server_write("docs/new", b"not this one\n");
    let report = client.sync();
    let kinds: Vec<_> = report.conflicts.iter().map(|one| one.kind).collect();
    assert!(kinds.contains(&ConflictKind::DirCycle), "{report:#?}");
    client.view_names();
    assert_eq!(client.read("docs/new"), b"new there\n");
    assert_eq!(client.read("docs/dir/deep"), b"deep\n");
}

#[test]
fn an_attribute_in_dispute_is_not_forgotten_by_the_next_look() {
    let (bed, client) = known();
    client.xattr("a.txt", b"mine");
    bed.server_xattr("a.txt", b"theirs");
    for round in 0..3 {
        let report = client.sync();
        let kinds: Vec<_> = report.conflicts.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [ConflictKind::Attribute], "round {round}");
        assert_eq!(bed.server_xattr_of("a.txt"), b"theirs", "round {round}");
    }
}

#[test]
fn a_name_met_only_by_searching_waits_for_its_directory() {
    let (bed, client) = known();
    client.rename("docs/twin2", "docs/twin3");
    client.create("full", b"a file here\n");
    bed.server_mkdir("full");
    bed.server_link("twin1", "full/twin4");
    // What is missing is searched for, in `full` too.
    bed.server_remove("b.txt");
    let report = client.sync();
    let kinds: Vec<_> = report.conflicts.iter().map(|one| one.kind).collect();
    assert_eq!(kinds.len(), 1, "{report:#?}");
    assert_eq!(bed.server_read("docs/twin3"), b"twins\n");
    let before = bed.server_view();
    let again = client.sync();
    assert!(again.is_quiet(), "{again:#?}");
    assert_same(&before, &bed.server_view(), "before and after");
}
