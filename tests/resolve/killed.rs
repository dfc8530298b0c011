//! Killed anywhere in the middle of a decision: nothing is lost, and the same word finishes it.

use super::bed::{Bed, Client};
use super::{ends_equal, kinds, known, take};
use driftfs::reintegrate::resolve::Take;

/// Stops the database before every transaction of a decision in turn, reopens the state, and says the word again.
fn at_every_transaction(
    make: fn() -> (Bed, Client),
    path: &str,
    word: Take,
    check: fn(&Bed, &Client),
) {
    for commits in 0..20 {
        let (bed, client) = make();
        client.tree.meta().stop_after(commits);
        let cut_short = take(&client, path, word).is_err();
        drop(client);
        let client = bed.open();
        let sick = client.tree.meta().read(|rows| rows.doctor()).unwrap();
        assert_eq!(sick, Vec::<String>::new(), "after {commits} transactions");
        let left = kinds(&client);
        if !left.is_empty() {
            assert!(
                cut_short,
                "the word was given, and the conflict is back: {left:?}"
            );
            take(&client, path, word).unwrap();
        }
        ends_equal(&bed, &client);
        check(&bed, &client);
        if !cut_short {
            assert!(commits > 0, "no transaction was cut");
            return;
        }
    }
    panic!("the decision never ends");
}

fn content() -> (Bed, Client) {
    let (bed, client) = known();
    client.write("a", b"mine\n");
    bed.server_save("a", b"theirs\n");
    client.sync();
    (bed, client)
}

#[test]
fn taking_the_servers_contents() {
    at_every_transaction(content, "a", Take::Server, |bed, _| {
        assert_eq!(bed.server_read("a"), b"theirs\n");
    });
}

#[test]
fn taking_the_clients_contents() {
    at_every_transaction(content, "a", Take::Client, |bed, _| {
        assert_eq!(bed.server_read("a"), b"mine\n");
    });
}

#[test]
fn taking_both() {
    at_every_transaction(content, "a", Take::Both, |bed, _| {
        assert_eq!(bed.server_read("a"), b"mine\n");
        let copies = bed
            .server_view()
            .into_iter()
            .filter(|(path, _)| path.starts_with("a (server "));
        assert!(
            copies
                .into_iter()
                .any(|(_, one)| one.content == b"theirs\n")
        );
    });
}

#[test]
fn taking_the_servers_name() {
    let make = || {
        let (bed, client) = known();
        client.rename("a", "mine");
        bed.server_rename("a", "theirs");
        client.sync();
        (bed, client)
    };
    at_every_transaction(make, "mine", Take::Server, |bed, _| {
        assert_eq!(bed.server_read("theirs"), b"base\n");
    });
}

#[test]
fn choosing_the_removal() {
    let make = || {
        let (bed, client) = known();
        client.remove("a");
        bed.server_save("a", b"edited\n");
        client.sync();
        (bed, client)
    };
    at_every_transaction(make, "a", Take::Client, |bed, _| {
        assert!(!bed.server_view().contains_key("a"));
    });
}

#[test]
fn leaving_the_name_to_the_server() {
    let make = || {
        let (bed, client) = known();
        client.mkdir("n");
        client.create("n/inside", b"mine\n");
        bed.server_write("n", b"theirs\n");
        client.sync();
        (bed, client)
    };
    at_every_transaction(make, "n", Take::Both, |bed, _| {
        let contents: Vec<_> = bed
            .server_view()
            .into_values()
            .map(|one| one.content)
            .collect();
        for version in [&b"mine\n"[..], b"theirs\n"] {
            assert!(contents.iter().any(|content| content == version));
        }
    });
}
