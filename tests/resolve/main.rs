//! Conflicts from both sides' changes to a person's word: every kind and every word, what the hidden versions show
//! meanwhile, and that both sides are equal afterwards with no version lost.

#[allow(dead_code)]
#[path = "../reconnect/bed.rs"]
mod bed;
mod killed;
mod rescue;
mod versions;
mod words;

use bed::{Bed, Client, assert_same};
use driftfs::model::{ConflictKind, RelPath};
use driftfs::reintegrate::resolve::{Resolved, Take, Unresolved, resolve};

/// A server with a small tree, all of it known here, synced once.
pub fn known() -> (Bed, Client) {
    let bed = Bed::new();
    bed.server_mkdir("d");
    bed.server_mkdir("e");
    for (path, bytes) in [
        ("a", &b"base\n"[..]),
        ("b", b"other\n"),
        ("d/x", b"x\n"),
        ("e/y", b"y\n"),
    ] {
        bed.server_write(path, bytes);
    }
    bed.server_symlink("base-target", "s");
    let client = bed.open();
    client.know_all();
    client.sync();
    (bed, client)
}

pub fn rel(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

pub fn take(client: &Client, path: &str, take: Take) -> Result<Resolved, Unresolved> {
    resolve(&client.tree, &rel(path), take)
}

/// The kinds of the open conflicts.
pub fn kinds(client: &Client) -> Vec<ConflictKind> {
    let all = client.tree.meta().read(|rows| rows.conflicts()).unwrap();
    all.into_iter().map(|conflict| conflict.kind).collect()
}

/// Syncs; afterwards nothing is left to decide, both sides are equal, the database is sound, a second sync is quiet.
pub fn ends_equal(bed: &Bed, client: &Client) {
    let report = client.sync();
    assert!(report.is_settled(), "{report:#?}");
    assert_eq!(kinds(client), []);
    assert_same(&client.view(), &bed.server_view(), "client and server");
    let again = client.sync();
    assert!(again.is_quiet() && again.is_settled(), "{again:#?}");
    assert_eq!(
        client.tree.meta().read(|rows| rows.doctor()).unwrap(),
        Vec::<String>::new()
    );
}

/// What a snapshot taken by a decision has of a file.
pub fn kept(client: &Client, bytes: &[u8]) -> bool {
    use std::io::Read;
    let all = client.tree.objects().all_sealed().unwrap();
    all.into_iter().any(|id| {
        let mut found = Vec::new();
        let file = client.tree.objects().open_sealed(id);
        file.and_then(|mut file| file.read_to_end(&mut found))
            .is_ok()
            && found == bytes
    })
}
