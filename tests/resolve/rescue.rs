//! A state directory with nothing running: checked, and emptied of what the server does not have.

use std::fs;

use super::{known, take};
use driftfs::daemon::rescue::{RescueError, check, export};
use driftfs::reintegrate::resolve::Take;

#[test]
fn a_used_state_directory_is_sound_and_damage_is_named() {
    let (bed, client) = known();
    client.write("a", b"mine\n");
    bed.server_save("a", b"theirs\n");
    client.sync();
    take(&client, "a", Take::Server).unwrap();
    client.write("b", b"mine\n");
    drop(client);
    for read_data in [false, true] {
        let found = check(&bed.state, read_data).unwrap();
        assert!(found.is_sound(), "{found}");
        assert_eq!(found.nodes, 8);
    }
    let sealed = files(&bed.state.join("sealed"));
    assert!(!sealed.is_empty());
    let (one, rest) = sealed.split_first().unwrap();
    fs::remove_file(one).unwrap();
    for other in rest {
        let len = fs::metadata(other).unwrap().len();
        fs::remove_file(other).unwrap();
        fs::write(other, vec![b'!'; len as usize]).unwrap();
    }
    let found = check(&bed.state, true).unwrap();
    assert!(found.to_string().contains("has no file"), "{found}");
    for live in files(&bed.state.join("live")) {
        fs::remove_file(live).unwrap();
    }
    let found = check(&bed.state, false).unwrap();
    assert!(
        found.to_string().contains("the contents of a are missing"),
        "{found}"
    );
}

fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for shard in fs::read_dir(dir).unwrap() {
        for file in fs::read_dir(shard.unwrap().path()).unwrap() {
            found.push(file.unwrap().path());
        }
    }
    found
}

#[test]
fn every_unsent_byte_comes_out() {
    let (bed, client) = known();
    client.write("a", b"mine\n");
    bed.server_save("a", b"theirs\n");
    client.sync();
    client.write("b", b"unsent\n");
    client.mkdir("new");
    client.create("new/file", b"new\n");
    client.symlink("somewhere", "new/link");
    client.remove("e/y");
    client.chmod("d/x", 0o600);
    drop(client);
    let out = bed.state.with_file_name("out");
    let done = export(&bed.state, &out, true).unwrap();
    assert!(done.is_complete(), "{done}");
    let read = |path: &str| fs::read(out.join(path)).unwrap();
    assert_eq!(read("changed/a"), b"mine\n");
    assert_eq!(read("changed/b"), b"unsent\n");
    assert_eq!(read("changed/new/file"), b"new\n");
    assert_eq!(
        fs::read_link(out.join("changed/new/link"))
            .unwrap()
            .to_str(),
        Some("somewhere")
    );
    assert_eq!(read("conflicts/1/server/a"), b"theirs\n");
    assert_eq!(read("conflicts/1/base/a"), b"base\n");
    assert!(String::from_utf8_lossy(&read("conflicts/1/merged/a")).contains("<<<<<<<"));
    let manifest: serde_json::Value = serde_json::from_slice(&read("MANIFEST.json")).unwrap();
    let versions = manifest["versions"].as_array().unwrap();
    let has = |path: &str, what: &str| {
        versions
            .iter()
            .any(|version| version["path"] == path && version["what"] == what)
    };
    assert!(has("e/y", "removed") && has("d/x", "changed") && has("a", "server"));
    // What the server has anyway is left out.
    assert!(!has("s", "changed") && !out.join("changed/s").exists());
    assert!(matches!(
        export(&bed.state, &out, true),
        Err(RescueError::NotEmpty(_))
    ));
    assert!(
        check(&bed.state, true).unwrap().is_sound(),
        "nothing was changed"
    );
}

#[test]
fn a_directory_that_is_no_state_directory_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        check(dir.path(), false),
        Err(RescueError::NotOne(_))
    ));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_state_directory_in_use_is_left_alone() {
    let (bed, client) = known();
    drop(client);
    let lock = driftfs::sys::lock_state(&bed.state, std::time::Duration::ZERO)
        .unwrap()
        .unwrap();
    assert!(matches!(
        check(&bed.state, false),
        Err(RescueError::InUse(_))
    ));
    drop(lock);
    assert!(check(&bed.state, false).unwrap().is_sound());
}
