//! What each word does to each kind.

use super::bed::{Bed, Client};
use super::{ends_equal, kept, kinds, known, rel, take};
use driftfs::model::ConflictKind;
use driftfs::reintegrate::resolve::{Take, Unresolved};

fn content() -> (Bed, Client) {
    let (bed, client) = known();
    client.write("a", b"mine\n");
    bed.server_save("a", b"theirs\n");
    client.sync();
    assert_eq!(kinds(&client), [ConflictKind::Content]);
    (bed, client)
}

#[test]
fn content_client() {
    let (bed, client) = content();
    assert!(take(&client, "a", Take::Client).unwrap().sync);
    ends_equal(&bed, &client);
    assert_eq!(bed.server_read("a"), b"mine\n");
    assert!(bed.kept_on_server().contains(&b"theirs\n".to_vec()));
}

#[test]
fn content_server() {
    let (bed, client) = content();
    take(&client, "a", Take::Server).unwrap();
    assert_eq!(client.read("a"), b"theirs\n");
    assert!(kept(&client, b"mine\n"));
    ends_equal(&bed, &client);
    assert_eq!(bed.server_read("a"), b"theirs\n");
}

#[test]
fn content_base() {
    let (bed, client) = content();
    take(&client, "a", Take::Base).unwrap();
    assert_eq!(client.read("a"), b"base\n");
    assert!(kept(&client, b"mine\n"));
    ends_equal(&bed, &client);
    assert_eq!(bed.server_read("a"), b"base\n");
}

#[test]
fn content_both() {
    let (bed, client) = content();
    let done = take(&client, "a", Take::Both).unwrap();
    assert!(done.note.contains("a (server "), "{}", done.note);
    ends_equal(&bed, &client);
    assert_eq!(bed.server_read("a"), b"mine\n");
    let copies: Vec<_> = bed
        .server_view()
        .into_iter()
        .filter(|(path, _)| path.starts_with("a (server "))
        .collect();
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].1.content, b"theirs\n");
}

#[test]
fn content_merged_has_markers_and_is_refused_with_the_way_out() {
    let (_bed, client) = content();
    match take(&client, "a", Take::Merged) {
        Err(Unresolved::Refused(why)) => assert!(why.contains("--take client"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(kinds(&client), [ConflictKind::Content]);
    assert_eq!(client.read("a"), b"mine\n");
}

#[test]
fn a_later_edit_here_is_what_the_client_version_means() {
    let (bed, client) = content();
    client.write("a", b"mine, later\n");
    take(&client, "a", Take::Client).unwrap();
    ends_equal(&bed, &client);
    assert_eq!(bed.server_read("a"), b"mine, later\n");
}

#[test]
fn a_server_that_moved_on_meanwhile_is_not_overwritten_unseen() {
    let (bed, client) = content();
    bed.server_save("a", b"theirs, later\n");
    take(&client, "a", Take::Client).unwrap();
    client.sync();
    assert_eq!(kinds(&client), [ConflictKind::Content]);
    assert_eq!(bed.server_read("a"), b"theirs, later\n");
    assert_eq!(client.read("a"), b"mine\n");
    take(&client, "a", Take::Server).unwrap();
    ends_equal(&bed, &client);
    assert_eq!(client.read("a"), b"theirs, later\n");
}

#[test]
fn an_editor_save_after_the_conflict_is_still_the_same_conflict() {
    let (bed, client) = content();
    client.save("a", b"mine, saved\n");
    take(&client, "a", Take::Client).unwrap();
    ends_equal(&bed, &client);
    assert_eq!(bed.server_read("a"), b"mine, saved\n");
}

#[test]
fn a_conflict_that_was_renamed_here_is_found_under_either_name() {
    for name in ["a", "renamed"] {
        let (bed, client) = content();
        client.rename("a", "renamed");
        take(&client, name, Take::Server).unwrap();
        assert_eq!(client.read("renamed"), b"theirs\n");
        ends_equal(&bed, &client);
        assert_eq!(bed.server_read("renamed"), b"theirs\n");
    }
}

#[test]
fn symlink_targets() {
    for (word, target) in [
        (Take::Client, &b"mine"[..]),
        (Take::Server, b"theirs"),
        (Take::Base, b"base-target"),
    ] {
        let (bed, client) = known();
        client.remove("s");
        client.symlink("mine", "s");
        bed.server_remove("s");
        bed.server_symlink("theirs", "s");
        client.sync();
        assert_eq!(kinds(&client), [ConflictKind::Content]);
        take(&client, "s", word).unwrap();
        ends_equal(&bed, &client);
        assert_eq!(bed.server_view()["s"].content, target);
    }
}

fn created() -> (Bed, Client) {
    let (bed, client) = known();
    client.create("d/new", b"mine\n");
    bed.server_write("d/new", b"theirs\n");
    bed.server_chmod("d/new", 0o600);
    client.sync();
    assert_eq!(kinds(&client), [ConflictKind::Created]);
    (bed, client)
}

#[test]
fn created_client() {
    let (bed, client) = created();
    take(&client, "d/new", Take::Client).unwrap();
    ends_equal(&bed, &client);
    assert_eq!(bed.server_read("d/new"), b"mine\n");
    assert!(bed.kept_on_server().contains(&b"theirs\n".to_vec()));
}

#[test]
fn created_server() {
    let (bed, client) = created();
    take(&client, "d/new", Take::Server).unwrap();
    assert_eq!(client.read("d/new"), b"theirs\n");
    assert_eq!(client.view()["d/new"].mode, 0o600);
    assert!(kept(&client, b"mine\n"));
    ends_equal(&bed, &client);
}

#[test]
fn created_both_and_base() {
    let (bed, client) = created();
    match take(&client, "d/new", Take::Base) {
        Err(Unresolved::Refused(why)) => assert!(why.contains("both"), "{why}"),
        other => panic!("{other:?}"),
    }
    take(&client, "d/new", Take::Both).unwrap();
    ends_equal(&bed, &client);
    assert_eq!(bed.server_read("d/new"), b"mine\n");
    assert!(
        bed.server_view()
            .iter()
            .any(|(path, one)| path.starts_with("d/new (server ") && one.content == b"theirs\n")
    );
}

#[test]
fn created_and_saved_again_by_an_editor() {
    let (bed, client) = created();
    client.save("d/new", b"mine, saved\n");
    take(&client, "d/new", Take::Client).unwrap();
    ends_equal(&bed, &client);
    assert_eq!(bed.server_read("d/new"), b"mine, saved\n");
}

/// `by_client`: the client removed what the server edited; else the other way round.
fn deleted(by_client: bool) -> (Bed, Client) {
    let (bed, client) = known();
    if by_client {
        client.remove("a");
        bed.server_save("a", b"edited\n");
    } else {
        client.write("a", b"edited\n");
        bed.server_remove("a");
    }
    client.sync();
    assert_eq!(kinds(&client), [ConflictKind::Deleted]);
    assert_eq!(client.read("a"), b"edited\n");
    (bed, client)
}

#[test]
fn deleted_and_the_removal_chosen() {
    for (by_client, word) in [(true, Take::Client), (false, Take::Server)] {
        let (bed, client) = deleted(by_client);
        take(&client, "a", word).unwrap();
        ends_equal(&bed, &client);
        assert!(!bed.server_view().contains_key("a"));
        assert!(kept(&client, b"edited\n") || bed.kept_on_server().contains(&b"edited\n".to_vec()));
    }
}

#[test]
fn deleted_and_the_edit_chosen() {
    for (by_client, word) in [
        (true, Take::Server),
        (false, Take::Client),
        (true, Take::Both),
    ] {
        let (bed, client) = deleted(by_client);
        take(&client, "a", word).unwrap();
        ends_equal(&bed, &client);
        assert_eq!(bed.server_read("a"), b"edited\n");
    }
}

#[test]
fn deleted_and_base_chosen() {
    for by_client in [true, false] {
        let (bed, client) = deleted(by_client);
        take(&client, "a", Take::Base).unwrap();
        ends_equal(&bed, &client);
        assert_eq!(bed.server_read("a"), b"base\n");
    }
}

#[test]
fn a_deletion_stays_listed_until_somebody_decides() {
    let (bed, client) = deleted(true);
    client.write("a", b"edited again\n");
    client.sync();
    assert_eq!(kinds(&client), [ConflictKind::Deleted]);
    assert_eq!(bed.server_read("a"), b"edited again\n");
    take(&client, "a", Take::Client).unwrap();
    ends_equal(&bed, &client);
    assert!(!bed.server_view().contains_key("a"));
}

#[test]
fn attributes() {
    for (word, mode) in [
        (Take::Client, 0o600),
        (Take::Server, 0o640),
        (Take::Base, 0o644),
    ] {
        let (bed, client) = known();
        client.chmod("a", 0o600);
        bed.server_chmod("a", 0o640);
        client.sync();
        assert_eq!(kinds(&client), [ConflictKind::Attribute]);
        take(&client, "a", word).unwrap();
        ends_equal(&bed, &client);
        assert_eq!(bed.server_view()["a"].mode, mode);
    }
}

#[test]
fn attributes_and_contents_are_decided_together_by_one_word() {
    let (bed, client) = known();
    client.write("a", b"mine\n");
    client.chmod("a", 0o600);
    bed.server_write("a", b"theirs\n");
    bed.server_chmod("a", 0o640);
    client.sync();
    assert_eq!(kinds(&client).len(), 2);
    take(&client, "a", Take::Server).unwrap();
    ends_equal(&bed, &client);
    assert_eq!(bed.server_read("a"), b"theirs\n");
    assert_eq!(bed.server_view()["a"].mode, 0o640);
}

#[test]
fn names() {
    for (word, name) in [
        (Take::Client, "mine"),
        (Take::Server, "theirs"),
        (Take::Base, "a"),
    ] {
        let (bed, client) = known();
        client.rename("a", "mine");
        bed.server_rename("a", "theirs");
        client.sync();
        assert_eq!(kinds(&client), [ConflictKind::Name]);
        take(&client, "mine", word).unwrap();
        ends_equal(&bed, &client);
        assert_eq!(bed.server_read(name), b"base\n");
        assert_eq!(bed.server_view().len(), 7);
    }
}

#[test]
fn names_of_directories_with_work_in_them() {
    for (word, name) in [(Take::Client, "mine"), (Take::Server, "theirs")] {
        let (bed, client) = known();
        client.rename("d", "mine");
        client.write("mine/x", b"worked on\n");
        bed.server_rename("d", "theirs");
        client.sync();
        assert!(kinds(&client).contains(&ConflictKind::Name));
        take(&client, "mine", word).unwrap();
        ends_equal(&bed, &client);
        assert_eq!(bed.server_read(&format!("{name}/x")), b"worked on\n");
    }
}

#[test]
fn directories_in_each_other() {
    for (word, gone) in [(Take::Client, "d"), (Take::Server, "e")] {
        let (bed, client) = known();
        client.rename("d", "e/d");
        bed.server_rename("e", "d/e");
        client.sync();
        assert_eq!(kinds(&client)[0], ConflictKind::DirCycle);
        let path = client.tree.meta().read(|rows| rows.conflicts()).unwrap()[0]
            .path
            .to_string();
        take(&client, &path, word).unwrap();
        ends_equal(&bed, &client);
        assert!(
            !bed.server_view().contains_key(gone),
            "{:?}",
            bed.server_view().keys()
        );
        assert_eq!(
            bed.server_view()
                .values()
                .filter(|one| one.content == b"x\n" || one.content == b"y\n")
                .count(),
            2
        );
    }
}

fn occupied() -> (Bed, Client) {
    let (bed, client) = known();
    client.mkdir("n");
    client.create("n/inside", b"mine\n");
    bed.server_write("n", b"theirs\n");
    client.sync();
    assert_eq!(kinds(&client), [ConflictKind::Occupied]);
    (bed, client)
}

#[test]
fn occupied_client() {
    let (bed, client) = occupied();
    take(&client, "n", Take::Client).unwrap();
    ends_equal(&bed, &client);
    assert_eq!(bed.server_read("n/inside"), b"mine\n");
    assert!(bed.kept_on_server().contains(&b"theirs\n".to_vec()));
}

#[test]
fn occupied_server_does_not_drop_a_directory_with_files() {
    let (bed, client) = occupied();
    match take(&client, "n", Take::Server) {
        Err(Unresolved::Refused(why)) => assert!(why.contains("both"), "{why}"),
        other => panic!("{other:?}"),
    }
    client.remove("n/inside");
    take(&client, "n", Take::Server).unwrap();
    ends_equal(&bed, &client);
    assert_eq!(client.read("n"), b"theirs\n");
}

#[test]
fn occupied_both() {
    let (bed, client) = occupied();
    take(&client, "n", Take::Both).unwrap();
    ends_equal(&bed, &client);
    let contents: Vec<_> = bed
        .server_view()
        .into_values()
        .map(|one| one.content)
        .collect();
    for version in [&b"mine\n"[..], b"theirs\n"] {
        assert!(contents.iter().any(|content| content == version));
    }
}

#[test]
fn occupied_by_what_was_moved_there() {
    for word in [Take::Client, Take::Server, Take::Both] {
        let (bed, client) = known();
        client.rename("a", "n");
        bed.server_rename("b", "n");
        client.sync();
        assert_eq!(kinds(&client)[0], ConflictKind::Occupied, "{word:?}");
        let path = client.tree.meta().read(|rows| rows.conflicts()).unwrap()[0]
            .path
            .to_string();
        take(&client, &path, word).unwrap();
        ends_equal(&bed, &client);
        let contents: Vec<_> = bed
            .server_view()
            .into_values()
            .map(|one| one.content)
            .collect();
        for version in [&b"base\n"[..], b"other\n"] {
            assert!(
                contents.iter().any(|content| content == version),
                "{word:?}"
            );
        }
    }
}

#[test]
fn a_path_without_a_conflict_is_refused_with_a_sentence() {
    let (_bed, client) = known();
    match take(&client, "b", Take::Client) {
        Err(Unresolved::Refused(why)) => assert!(why.contains("driftfs conflicts"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(
        client
            .tree
            .meta()
            .read(|rows| rows.resolve(&rel("b")))
            .unwrap()
            .is_some()
    );
}

#[test]
fn occupied_by_a_directory_that_was_removed_here_and_filled_there() {
    for word in [Take::Server, Take::Both] {
        let (bed, client) = known();
        client.remove("d");
        client.create("d", b"a file now\n");
        bed.server_write("d/new", b"new there\n");
        client.sync();
        assert_eq!(kinds(&client), [ConflictKind::Occupied]);
        let refused = take(&client, "d", Take::Client);
        assert!(
            matches!(refused, Err(Unresolved::Refused(_))),
            "{refused:?}"
        );
        take(&client, "d", word).unwrap();
        client.sync();
        assert_eq!(client.read("d/new"), b"new there\n");
        assert_same_sides(&bed, &client);
    }
}

#[test]
fn occupied_by_a_directory_that_was_never_read_whole_here() {
    for word in [Take::Server, Take::Both] {
        let (bed, client) = known();
        bed.server_write("d/unread", b"never read here\n");
        client.sync();
        client.write("d/x", b"mine\n");
        bed.server_remove("d");
        bed.server_write("d", b"theirs\n");
        client.sync();
        assert_eq!(kinds(&client), [ConflictKind::Occupied]);
        match take(&client, "d", Take::Client) {
            Err(Unresolved::Refused(why)) => assert!(why.contains("server|both"), "{why}"),
            other => panic!("{other:?}"),
        }
        if word == Take::Server {
            // What has files in it is not removed by a word.
            assert!(take(&client, "d", word).is_err());
            client.remove("d/x");
            client.remove("d/unread");
        }
        take(&client, "d", word).unwrap();
        client.sync();
        assert_eq!(client.read("d"), b"theirs\n");
        if word == Take::Both {
            // The edit beats the removal, beside it; the unread file went with the server's.
            let open = client.tree.meta().read(|rows| rows.conflicts()).unwrap();
            assert!(open.iter().all(|one| one.kind == ConflictKind::Deleted));
            for one in &open {
                take(&client, &one.path.to_string(), Take::Client).unwrap();
            }
            let kept: Vec<_> = client.view().into_values().map(|one| one.content).collect();
            assert!(kept.contains(&b"mine\n".to_vec()));
        }
        ends_equal(&bed, &client);
    }
}

#[test]
fn a_name_is_not_taken_from_what_was_never_read_here() {
    let (bed, client) = known();
    bed.server_write("u", b"unread\n");
    client.sync();
    client.rename("u", "ours");
    client.create("u", b"new here\n");
    bed.server_rename("u", "theirs");
    bed.server_write("u", b"new there\n");
    client.sync();
    let mut open = kinds(&client);
    open.sort_by_key(|kind| kind.word());
    assert_eq!(open, [ConflictKind::Created, ConflictKind::Name]);
    let before = client.view_names();
    for word in [Take::Client, Take::Server, Take::Both] {
        match take(&client, "u", word) {
            Err(Unresolved::Refused(why)) => assert!(why.contains("driftfs conflicts"), "{why}"),
            other => panic!("{word:?} {other:?}"),
        }
    }
    super::assert_same(&before, &client.view_names(), "a refusal changes nothing");
    take(&client, "ours", Take::Server).unwrap();
    take(&client, "u", Take::Client).unwrap();
    client.fetch_all();
    ends_equal(&bed, &client);
    assert_eq!(client.read("theirs"), b"unread\n");
    assert_eq!(bed.server_read("u"), b"new here\n");
    assert!(bed.kept_on_server().contains(&b"new there\n".to_vec()));
}

fn assert_same_sides(bed: &Bed, client: &Client) {
    super::assert_same(&client.view(), &bed.server_view(), "client and server");
}
