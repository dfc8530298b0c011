//! Conflicts are values: stored, shown, never in the way; every word of `resolve` does what it says.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::{Rig, can_mount, driftfs, read, run_limited, sh, trees, write};

/// A rig with one conflict of contents at `c`.
fn conflicted() -> Rig {
    let rig = Rig::mounted(
        |lower| {
            sh(
                "echo base > c; echo other > o; mkdir d; echo base > d/c",
                lower,
            )
            .clear()
        },
        &[],
    );
    sh("cat c o d/c", &rig.mnt);
    rig.offline();
    write(rig.mnt.join("c"), "client\n");
    write(rig.lower.join("c"), "server\n");
    write(rig.mnt.join("o"), "changed here\n");
    rig.online().code(3);
    rig
}

#[test]
fn a_conflict_is_shown_and_blocks_nothing_else() {
    if !can_mount("conflicts::shown") {
        return;
    }
    let rig = conflicted();
    assert_eq!(read(rig.mnt.join("c")), "client\n");
    assert_eq!(read(rig.lower.join("c")), "server\n");
    assert_eq!(read(rig.lower.join("o")), "changed here\n");
    for (word, text) in [
        ("server", "server\n"),
        ("client", "client\n"),
        ("base", "base\n"),
    ] {
        assert_eq!(
            read(rig.mnt.join(".drift").join(word).join("c")),
            text,
            "{word}"
        );
        assert_eq!(
            rig.run(&[
                "cat",
                &format!("--{word}"),
                rig.mnt.join("c").to_str().unwrap()
            ])
            .out,
            text,
            "{word}"
        );
    }
    let merged = read(rig.mnt.join(".drift/merged/c"));
    assert!(
        merged.contains("<<<<<<<") && merged.contains("client") && merged.contains("server"),
        "{merged}"
    );
    let told = rig.json(&["conflicts"]);
    let one = &told["conflicts"][0];
    assert_eq!(
        (one["path"].as_str(), one["kind"].as_str()),
        (Some("c"), Some("content"))
    );
    for side in ["client", "server", "base"] {
        assert!(
            fs::read(one["variants"][side].as_str().unwrap()).is_ok(),
            "{side}: {one}"
        );
    }
    assert_eq!(
        sh("getfattr --only-values -n user.drift.state c", &rig.mnt),
        "conflict"
    );
    assert!(sh("getfattr --only-values -n user.drift.variants c", &rig.mnt).contains("server"));
    assert_eq!(
        sh("getfattr -d c", &rig.mnt),
        "",
        "virtual attributes are never listed"
    );
    // Goes on being writable, and stays through a second reconnect and a restart.
    sh("echo more >> c", &rig.mnt);
    rig.online().code(3);
    rig.umount().ok();
    rig.mount(&[]).ok();
    assert_eq!(
        rig.json(&["conflicts"])["conflicts"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(read(rig.mnt.join("c")), "client\nmore\n");
    assert_eq!(read(rig.lower.join("c")), "server\n");
}

fn resolved_by(word: &str, here: &str) {
    let rig = conflicted();
    rig.run(&[
        "resolve",
        "--take",
        word,
        "--",
        rig.mnt.join("c").to_str().unwrap(),
    ])
    .ok();
    rig.online().ok();
    assert_eq!(read(rig.mnt.join("c")), here, "{word}");
    assert_eq!(
        rig.json(&["conflicts"])["conflicts"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    trees::assert_equal(&rig.mnt, &rig.lower);
    if word == "both" {
        let other = fs::read_dir(&rig.mnt)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .find(|n| n.starts_with("c (server"));
        assert_eq!(
            read(
                rig.mnt
                    .join(other.expect("the server's version beside ours"))
            ),
            "server\n"
        );
    }
}

#[test]
fn resolve_takes_the_client() {
    if can_mount("conflicts::client") {
        resolved_by("client", "client\n");
    }
}

#[test]
fn resolve_takes_the_server() {
    if can_mount("conflicts::server") {
        resolved_by("server", "server\n");
    }
}

#[test]
fn resolve_takes_the_base() {
    if can_mount("conflicts::base") {
        resolved_by("base", "base\n");
    }
}

#[test]
fn resolve_takes_both() {
    if can_mount("conflicts::both") {
        resolved_by("both", "client\n");
    }
}

#[test]
fn the_xattr_is_another_door_to_resolve() {
    if !can_mount("conflicts::xattr") {
        return;
    }
    let rig = conflicted();
    sh("setfattr -n user.drift.resolve -v theirs c", &rig.mnt);
    rig.online().ok();
    assert_eq!(read(rig.mnt.join("c")), "server\n");
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn both_created_and_both_made_directories() {
    if !can_mount("conflicts::created") {
        return;
    }
    let rig = Rig::mounted(|_| {}, &[]);
    fs::read_dir(&rig.mnt).unwrap();
    rig.offline();
    sh(
        "echo c > both; echo same > same; mkdir d; echo 1 > d/one; mkdir kind",
        &rig.mnt,
    );
    sh(
        "echo s > both; echo same > same; mkdir d; echo 2 > d/two; echo file > kind",
        &rig.lower,
    );
    rig.online().code(3);
    assert_eq!(read(rig.mnt.join("both")), "c\n");
    assert_eq!(read(rig.lower.join("both")), "s\n");
    assert_eq!(read(rig.mnt.join("d/two")), "2\n");
    assert_eq!(read(rig.lower.join("d/one")), "1\n");
    let kinds: Vec<String> = rig.json(&["conflicts"])["conflicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            format!(
                "{}:{}",
                c["path"].as_str().unwrap(),
                c["kind"].as_str().unwrap()
            )
        })
        .collect();
    assert!(
        kinds.contains(&"both:created".to_string())
            && kinds.contains(&"kind:occupied".to_string())
            && kinds.len() == 2,
        "{kinds:?}"
    );
}

#[test]
fn a_deletion_can_still_be_chosen() {
    if !can_mount("conflicts::deleted") {
        return;
    }
    let rig = Rig::mounted(
        |lower| sh("echo base > f; echo base > g; echo more > h", lower).clear(),
        &[],
    );
    sh("cat f g", &rig.mnt);
    rig.offline();
    sh("rm f; echo edited > g", &rig.mnt);
    sh("echo edited > f; rm g", &rig.lower);
    rig.online().code(3);
    trees::assert_equal(&rig.mnt, &rig.lower);
    rig.run(&[
        "resolve",
        "--take",
        "client",
        "--",
        rig.mnt.join("f").to_str().unwrap(),
    ])
    .ok();
    rig.run(&[
        "resolve",
        "--take",
        "server",
        "--",
        rig.mnt.join("g").to_str().unwrap(),
    ])
    .ok();
    rig.online().ok();
    assert!(!rig.mnt.join("f").exists() && !rig.mnt.join("g").exists());
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn paths_are_typed_as_they_are_printed() {
    if !can_mount("conflicts::printed") {
        return;
    }
    let rig = conflicted();
    let run = |args: &[&str], dir: &Path| {
        let mut command = driftfs();
        command.args(args).current_dir(dir);
        run_limited(&mut command, Duration::from_secs(60))
    };
    let mnt = rig.mnt.to_str().unwrap();
    // In the root the path is enough; elsewhere the command to type says where it means what it says.
    let there = run(&["conflicts"], &rig.mnt).ok().out;
    assert!(there.contains("next: driftfs resolve"), "{there}");
    for dir in [rig.mnt.join("d"), rig.root.clone()] {
        let told = run(&["-m", mnt, "conflicts"], &dir).ok().out;
        let next = format!("next: cd {mnt} && driftfs resolve");
        assert!(told.contains(&next), "{told}");
    }
    // In a directory of the mount a path is that directory's, also when the root has a conflict of that name.
    let below = run(
        &["-m", mnt, "resolve", "--take", "client", "c"],
        &rig.mnt.join("d"),
    );
    assert!(below.code(5).out.contains("d/c: is not in conflict"));
    // Outside of it, and without -m, nothing says which mount is meant.
    run(&["resolve", "--take", "client", "c"], &rig.root).code(2);
    run(&["-m", mnt, "resolve", "--take", "client", "c"], &rig.root).ok();
    rig.online().ok();
    assert_eq!(read(rig.lower.join("c")), "client\n");
}

#[test]
fn a_conflict_is_listed_where_it_is_after_a_rename_above_it() {
    if !can_mount("conflicts::renamed_above") {
        return;
    }
    let rig = Rig::mounted(
        |lower| sh("mkdir d; echo base > d/f; echo base > d/g", lower).clear(),
        &[],
    );
    let outside = rig.root.join("outside");
    fs::create_dir(&outside).unwrap();
    sh("cat d/f d/g", &rig.mnt);
    rig.offline();
    sh("rm d/f d/g", &rig.mnt);
    sh("echo edited > d/f; echo edited > d/g", &rig.lower);
    rig.online().code(3);
    // The edited files came back. Now their directory gets another name, and a link elsewhere has the old one.
    sh("mv d e", &rig.lower);
    std::os::unix::fs::symlink(&outside, rig.lower.join("d")).unwrap();
    // The first look finds the new name on the server, the second one in what was agreed.
    rig.run(&["sync"]).code(3);
    rig.run(&["sync"]).code(3);
    let told = rig.json(&["conflicts"]);
    let paths = |told: &serde_json::Value| -> Vec<String> {
        let all = told["conflicts"].as_array().unwrap();
        all.iter()
            .map(|one| one["path"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(paths(&told), ["e/f", "e/g"]);
    for one in told["conflicts"].as_array().unwrap() {
        for (side, path) in one["variants"].as_object().unwrap() {
            assert!(fs::read(path.as_str().unwrap()).is_ok(), "{side}: {one}");
        }
    }
    for path in paths(&told) {
        rig.run(&["resolve", "--take", "client", "--", &path]).ok();
    }
    rig.online().ok();
    assert!(!rig.lower.join("e/f").exists());
    trees::assert_equal(&rig.mnt, &rig.lower);
}
