//! What a scan sees: one object per identity, equal bytes as equal tokens.

use driftfs::model::Kind;
use driftfs::reintegrate::scan::{Scan, Scope};
use driftfs::reintegrate::universe::{Object, Server};

use crate::bed::{Bed, base_of, client_of, object, path_in, server_of};

fn bed() -> Bed {
    let bed = Bed::with(|share| {
        std::fs::create_dir_all(share.join("d/e")).unwrap();
        for file in ["f", "g", "d/in", "d/e/deep"] {
            std::fs::write(share.join(file), file).unwrap();
        }
    });
    bed.list_all();
    for file in ["f", "g", "d/in", "d/e/deep"] {
        bed.bring(file).unwrap();
    }
    bed
}

fn tokens(object: &Object) -> [Option<u64>; 3] {
    [base_of(object), client_of(object), server_of(object)].map(|version| {
        version
            .and_then(|version| version.bytes)
            .map(|token| token.0)
    })
}

fn unchanged(object: &Object) -> bool {
    let [base, client, server] = tokens(object);
    let versions = (base_of(object), client_of(object), server_of(object));
    let (Some(b), Some(c), Some(s)) = versions else {
        return false;
    };
    base == client && base == server && b.places == c.places && b.places == s.places
}

fn absent(object: &Object) -> bool {
    matches!(object.server, Server::Absent)
}

#[test]
fn with_no_change_all_three_are_equal() {
    let bed = bed();
    let scan = bed.scan(Scope::Whole);
    assert_eq!(scan.universe.objects.len(), 7);
    assert!(scan.universe.objects.iter().all(unchanged));
    assert!(scan.read.is_empty());
}

#[test]
fn the_servers_moves_edits_and_removals_are_told_apart() {
    let bed = bed();
    std::fs::rename(bed.at("d"), bed.at("moved")).unwrap();
    bed.server_writes("moved/in", "edited there");
    std::fs::remove_file(bed.at("g")).unwrap();
    bed.server_writes("new", "n");
    let scan = bed.scan(Scope::Whole);
    let dir = object(&scan, base_of, "d");
    assert_eq!(path_in(&scan, server_of, dir), "moved");
    let deep = object(&scan, base_of, "d/e/deep");
    assert!(unchanged(deep), "it moved with its directory only");
    let [base, client, server] = tokens(object(&scan, base_of, "d/in"));
    assert!(base == client && base != server);
    assert!(absent(object(&scan, base_of, "g")));
    let new = object(&scan, server_of, "new");
    assert!(new.base.is_none() && new.client.is_none());
}

#[test]
fn a_file_moved_into_a_new_directory_is_found_there() {
    let bed = bed();
    std::fs::create_dir_all(bed.at("fresh/inner")).unwrap();
    std::fs::rename(bed.at("f"), bed.at("fresh/inner/f")).unwrap();
    let scan = bed.scan(Scope::Whole);
    let file = object(&scan, base_of, "f");
    assert_eq!(path_in(&scan, server_of, file), "fresh/inner/f");
}

#[test]
fn a_file_moved_into_an_unlisted_directory_is_found_there() {
    let bed = Bed::with(|share| {
        std::fs::create_dir_all(share.join("far/inner")).unwrap();
        std::fs::write(share.join("far/other"), "other").unwrap();
        std::fs::write(share.join("f"), "f").unwrap();
    });
    bed.fetch
        .names(driftfs::model::Ino::ROOT, crate::bed::soon())
        .unwrap();
    std::fs::rename(bed.at("f"), bed.at("far/inner/f")).unwrap();
    let scan = bed.scan(Scope::Whole);
    let file = object(&scan, base_of, "f");
    assert_eq!(path_in(&scan, server_of, file), "far/inner/f");
    // The way there is in the universe, and nothing else of what was searched.
    assert_eq!(scan.universe.objects.len(), 4);
    assert!(
        scan.universe
            .objects
            .iter()
            .skip(1)
            .all(|object| !object.listed)
    );
}

#[test]
fn an_unlisted_directory_is_not_entered() {
    let bed = bed();
    std::fs::create_dir(bed.at("fresh")).unwrap();
    bed.server_writes("fresh/x", "x");
    let scan = bed.scan(Scope::Whole);
    assert!(!object(&scan, server_of, "fresh").listed);
    assert_eq!(scan.universe.objects.len(), 8);
}

#[test]
fn a_file_touched_or_rewritten_with_the_same_bytes_is_unchanged() {
    let bed = bed();
    bed.server_writes("f", "f");
    bed.client_writes("g", "g");
    let scan = bed.scan(Scope::Whole);
    for file in ["f", "g"] {
        let [base, client, server] = tokens(object(&scan, base_of, file));
        assert!(base == client && base == server, "{file}");
    }
}

#[test]
fn both_edits_are_compared_by_their_bytes() {
    let bed = bed();
    for side in [Bed::server_writes, Bed::client_writes] {
        side(&bed, "f", "the same edit");
    }
    bed.server_writes("g", "theirs");
    bed.client_writes("g", "mine");
    let scan = bed.scan(Scope::Whole);
    let same = object(&scan, base_of, "f");
    let [base, client, server] = tokens(same);
    assert!(client == server && client != base);
    let differ = object(&scan, base_of, "g");
    let [base, client, server] = tokens(differ);
    assert!(client != server && client != base && server != base);
    assert_eq!(
        scan.read.len(),
        1,
        "the server's bytes are kept for the merge"
    );
}

#[test]
fn what_a_scan_read_is_let_go_with_it() {
    let bed = bed();
    bed.server_writes("g", "theirs");
    bed.client_writes("g", "mine");
    let scan = bed.scan(Scope::Whole);
    let read = *scan.read.values().next().unwrap();
    let garbage = || bed.tree.meta().read(|rows| rows.garbage()).unwrap();
    assert!(!garbage().contains(&read));
    drop(scan);
    assert!(garbage().contains(&read));
}

#[test]
fn what_both_made_is_one_object() {
    let bed = bed();
    for side in [Bed::server_writes, Bed::client_writes] {
        side(&bed, "twin", "equal");
    }
    bed.client_makes("both", Kind::Dir);
    std::fs::create_dir(bed.at("both")).unwrap();
    bed.client_writes("both/mine", "m");
    bed.server_writes("both/theirs", "t");
    for scope in [Scope::Whole, Scope::Touched] {
        let scan = bed.scan(scope);
        let twin = object(&scan, client_of, "twin");
        let [base, client, server] = tokens(twin);
        assert!(base.is_none() && client == server && client.is_some());
        let dir = object(&scan, client_of, "both");
        assert!(std::ptr::eq(dir, object(&scan, server_of, "both")));
        assert!(dir.listed);
        assert!(object(&scan, server_of, "both/theirs").client.is_none());
        assert!(absent(object(&scan, client_of, "both/mine")));
    }
}

fn paths(scan: &Scan) -> Vec<String> {
    let all = scan.universe.objects.iter();
    let mut paths: Vec<String> = all
        .filter(|object| object.client.is_some())
        .map(|object| path_in(scan, client_of, object))
        .collect();
    paths.sort();
    paths
}

#[test]
fn a_touched_scan_sees_only_where_something_changed_here() {
    let bed = bed();
    bed.client_writes("d/e/deep", "edited here");
    let scan = bed.scan(Scope::Touched);
    assert_eq!(paths(&scan), ["", "d", "d/e", "d/e/deep"]);
    let [base, client, server] = tokens(object(&scan, base_of, "d/e/deep"));
    assert!(base == server && base != client);
    assert!(unchanged(object(&scan, base_of, "d")));
}

#[test]
fn a_touched_scan_never_says_that_something_is_gone() {
    let bed = bed();
    bed.client_writes("f", "edited here");
    std::fs::rename(bed.at("f"), bed.at("d/f")).unwrap();
    let scan = bed.scan(Scope::Touched);
    let file = object(&scan, base_of, "f");
    assert!(matches!(file.server, Server::Unknown(_)));
    assert!(bed.fetch.wants_sync(), "a whole one is asked for");
    drop(scan);
    let scan = bed.scan(Scope::Whole);
    let file = object(&scan, base_of, "f");
    assert_eq!(path_in(&scan, server_of, file), "d/f");
}

#[test]
fn a_directory_that_cannot_be_found_twice_is_never_empty() {
    let bed = bed();
    // The directory is gone, and with it what is in it: its parent was listed and does not have it.
    std::fs::remove_dir_all(bed.at("d")).unwrap();
    let scan = bed.scan(Scope::Whole);
    for path in ["d", "d/in", "d/e", "d/e/deep"] {
        assert!(absent(object(&scan, base_of, path)), "{path}");
    }
}

#[test]
fn removed_here_and_edited_there_is_seen_as_both() {
    let bed = bed();
    let dir = bed.ino("d");
    bed.tree
        .unlink(dir, &crate::bed::name("in"), driftfs::model::Who::DRIFTFS)
        .unwrap();
    bed.server_writes("d/in", "edited there");
    for scope in [Scope::Whole, Scope::Touched] {
        let scan = bed.scan(scope);
        let file = object(&scan, base_of, "d/in");
        assert!(file.client.is_none());
        let [base, _, server] = tokens(file);
        assert!(server.is_some() && server != base);
    }
}

#[test]
fn removed_here_and_only_touched_there_is_no_edit() {
    let bed = bed();
    let dir = bed.ino("d");
    bed.tree
        .unlink(dir, &crate::bed::name("in"), driftfs::model::Who::DRIFTFS)
        .unwrap();
    bed.server_writes("d/in", "d/in");
    let scan = bed.scan(Scope::Whole);
    let [base, _, server] = tokens(object(&scan, base_of, "d/in"));
    assert!(server.is_some() && server == base);
}
