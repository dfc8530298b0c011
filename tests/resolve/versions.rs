//! What the hidden versions show.

use std::io::Read;
use std::sync::Arc;

use super::bed::Client;
use super::{known, rel, take};
use driftfs::model::{Kind, Name};
use driftfs::reintegrate::resolve::Take;
use driftfs::variants::{Thing, Variants, Where, Word};

fn variants(client: &Client) -> Variants {
    Variants::new(Arc::clone(&client.tree))
}

fn read(variants: &Variants, word: Word, path: &str) -> Option<Vec<u8>> {
    let thing = variants.of_path(word, &rel(path)).unwrap()?;
    let version = variants.version(word, thing).unwrap();
    let mut bytes = Vec::new();
    variants
        .open(&version)
        .unwrap()?
        .read_to_end(&mut bytes)
        .unwrap();
    assert_eq!(bytes.len() as u64, version.attrs.size, "{word:?} {path}");
    Some(bytes)
}

fn names(variants: &Variants, word: Word, dir: &str) -> Vec<String> {
    let dir = variants.of_path(word, &rel(dir)).unwrap().unwrap();
    let listed = variants.list(word, dir).unwrap();
    listed
        .into_iter()
        .map(|(name, _, _)| name.to_string())
        .collect()
}

#[test]
fn without_a_conflict_server_and_base_are_what_was_agreed() {
    let (_bed, client) = known();
    client.write("a", b"mine\n");
    client.create("d/new", b"n\n");
    client.remove("e/y");
    let all = variants(&client);
    for word in [Word::Server, Word::Base] {
        assert_eq!(read(&all, word, "a").unwrap(), b"base\n");
        assert_eq!(
            read(&all, word, "b").unwrap(),
            b"other\n",
            "still in the live file"
        );
        assert_eq!(read(&all, word, "e/y").unwrap(), b"y\n");
        assert_eq!(read(&all, word, "d/new"), None);
        assert_eq!(names(&all, word, "."), ["a", "b", "d", "e", "s"]);
    }
    assert_eq!(read(&all, Word::Client, "a").unwrap(), b"mine\n");
    assert_eq!(names(&all, Word::Client, "d"), ["new", "x"]);
    assert_eq!(names(&all, Word::Client, "e"), Vec::<String>::new());
    assert_eq!(read(&all, Word::Resolved, "a"), None);
    assert_eq!(all.state(client.ino("a")).unwrap(), "dirty");
    assert_eq!(all.state(client.ino("b")).unwrap(), "cached");
    assert_eq!(all.state(client.ino("d/new")).unwrap(), "new");
    client.tree.drop_bytes(client.ino("b")).unwrap();
    assert_eq!(all.state(client.ino("b")).unwrap(), "absent");
    let thing = all.of_path(Word::Base, &rel("b")).unwrap().unwrap();
    let version = all.version(Word::Base, thing).unwrap();
    assert_eq!(version.bytes, Where::NotHere);
    assert!(all.open(&version).unwrap().is_none());
}

#[test]
fn a_content_conflict_shows_all_versions_and_the_proposal() {
    let (bed, client) = known();
    client.write("a", b"mine\n");
    bed.server_save("a", b"theirs\n");
    client.sync();
    let all = variants(&client);
    assert_eq!(read(&all, Word::Server, "a").unwrap(), b"theirs\n");
    assert_eq!(read(&all, Word::Base, "a").unwrap(), b"base\n");
    assert_eq!(read(&all, Word::Client, "a").unwrap(), b"mine\n");
    let proposal = String::from_utf8(read(&all, Word::Merged, "a").unwrap()).unwrap();
    for part in [
        "<<<<<<<", "mine", "|||||||", "base", "=======", "theirs", ">>>>>>>",
    ] {
        assert!(proposal.contains(part), "{proposal}");
    }
    assert_eq!(all.state(client.ino("a")).unwrap(), "conflict");
    assert_eq!(
        all.known(client.ino("a")).unwrap(),
        "server client base merged"
    );
    assert_eq!(
        all.conflicts_text(driftfs::model::Ino::ROOT).unwrap(),
        b"a\n"
    );
    assert_eq!(all.conflicts_text(client.ino("d")).unwrap(), b"");
    let listed = all.conflicts().unwrap();
    let words: Vec<_> = listed[0]
        .variants
        .iter()
        .map(|(word, path)| (*word, path.to_string()))
        .collect();
    assert_eq!(
        words,
        [
            (Word::Client, "a".to_owned()),
            (Word::Server, ".drift/server/a".to_owned()),
            (Word::Base, ".drift/base/a".to_owned()),
            (Word::Merged, ".drift/merged/a".to_owned()),
        ]
    );
    assert!(
        all.conflict_sentence(client.ino("a"))
            .unwrap()
            .unwrap()
            .contains("driftfs resolve")
    );
    take(&client, "a", Take::Server).unwrap();
    assert_eq!(read(&all, Word::Resolved, "a").unwrap(), b"theirs\n");
    assert_eq!(all.conflict_count().unwrap(), 0);
}

#[test]
fn created_on_both_sides_shows_the_servers_beside_ours() {
    let (bed, client) = known();
    client.create("d/new", b"mine\n");
    bed.server_write("d/new", b"theirs\n");
    client.sync();
    let all = variants(&client);
    assert_eq!(read(&all, Word::Server, "d/new").unwrap(), b"theirs\n");
    assert_eq!(read(&all, Word::Base, "d/new"), None);
    assert_eq!(names(&all, Word::Server, "d"), ["new", "x"]);
    assert_eq!(names(&all, Word::Base, "d"), ["x"]);
    let thing = all.of_node(Word::Server, client.ino("d/new")).unwrap();
    assert!(matches!(thing, Some(Thing::Term(..))));
    client.save("d/new", b"mine, saved\n");
    assert_eq!(all.state(client.ino("d/new")).unwrap(), "conflict");
}

#[test]
fn a_side_that_removed_it_has_no_version() {
    let (bed, client) = known();
    client.write("a", b"edited\n");
    bed.server_remove("a");
    client.remove("b");
    bed.server_save("b", b"edited\n");
    client.sync();
    let all = variants(&client);
    assert_eq!(read(&all, Word::Server, "a"), None);
    assert_eq!(read(&all, Word::Base, "a").unwrap(), b"base\n");
    assert_eq!(names(&all, Word::Server, "."), ["b", "d", "e", "s"]);
    let words = |path: &str| {
        let all = all.conflicts().unwrap();
        let one = all.into_iter().find(|one| one.path == rel(path)).unwrap();
        one.variants
            .into_iter()
            .map(|(word, _)| word)
            .collect::<Vec<_>>()
    };
    assert_eq!(words("a"), [Word::Client, Word::Base]);
    assert_eq!(words("b"), [Word::Server, Word::Base]);
}

#[test]
fn a_name_conflict_shows_each_side_under_its_name() {
    let (bed, client) = known();
    client.rename("a", "mine");
    bed.server_rename("a", "theirs");
    client.sync();
    let all = variants(&client);
    assert_eq!(
        names(&all, Word::Server, "."),
        ["b", "d", "e", "s", "theirs"]
    );
    assert_eq!(names(&all, Word::Base, "."), ["a", "b", "d", "e", "s"]);
    assert_eq!(names(&all, Word::Client, "."), ["b", "d", "e", "mine", "s"]);
    assert_eq!(read(&all, Word::Server, "theirs").unwrap(), b"base\n");
    assert_eq!(read(&all, Word::Server, "a"), None);
}

#[test]
fn kinds_are_told_in_listings() {
    let (_bed, client) = known();
    let all = variants(&client);
    let root = all
        .of_node(Word::Base, driftfs::model::Ino::ROOT)
        .unwrap()
        .unwrap();
    let listed = all.list(Word::Base, root).unwrap();
    let kinds: Vec<_> = listed.iter().map(|(_, _, kind)| *kind).collect();
    assert_eq!(
        kinds,
        [Kind::File, Kind::File, Kind::Dir, Kind::Dir, Kind::Symlink]
    );
    let link = all
        .lookup(Word::Base, root, &Name::try_from("s").unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(
        all.version(Word::Base, link).unwrap().target.unwrap(),
        b"base-target"
    );
}
