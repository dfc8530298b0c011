//! What a person types and sees.

use crate::support::{Rig, can_mount, driftfs, read, run_limited, sh, write};
use std::path::Path;
use std::time::Duration;

#[test]
fn diff_plan_log_and_ls_tell_what_happened() {
    if !can_mount("commands::tell") {
        return;
    }
    let rig = Rig::mounted(
        |lower| sh("echo a > a; echo b > b; echo c > c; echo d > d", lower).clear(),
        &["--push", "manual"],
    );
    sh(
        "cat a b c d; echo more >> a; rm b; mv c c2; chmod 600 d; echo n > n",
        &rig.mnt,
    );
    let diff = rig.json(&["diff"]);
    let letters: Vec<String> = diff["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            format!(
                "{}{}",
                c["letter"].as_str().unwrap(),
                c["path"].as_str().unwrap()
            )
        })
        .collect();
    for one in ["Ma", "Db", "Rc2", "ad", "An"] {
        assert!(
            letters.contains(&one.to_string()),
            "{one} is missing in {letters:?}"
        );
    }
    let st = rig.json(&["st"]);
    assert_eq!(
        (
            st["changes"]["created"].as_u64(),
            st["changes"]["removed"].as_u64(),
            st["changes"]["renamed"].as_u64()
        ),
        (Some(1), Some(1), Some(1))
    );
    assert!(st["bytes_waiting"].as_u64().unwrap() > 0);
    let plan = rig.run(&["plan"]).ok().out;
    assert!(plan.contains("c2") && plan.contains('b'), "{plan}");
    assert!(
        rig.run(&["log"]).ok().out.contains("rename"),
        "the journal tells of the rename"
    );
    let ls = run_limited(driftfs().arg("ls"), Duration::from_secs(20));
    assert!(ls.out.contains(rig.mnt.to_str().unwrap()), "{ls:?}");
    let doctor = run_limited(
        driftfs().arg("doctor").arg(&rig.lower),
        Duration::from_secs(20),
    )
    .ok();
    assert!(doctor.out.to_lowercase().contains("reflink"), "{doctor:?}");
    rig.run(&["sync"]).ok();
    assert_eq!(rig.json(&["diff"])["changes"].as_array().unwrap().len(), 0);
}

#[test]
fn the_mount_is_found_from_the_current_directory() {
    if !can_mount("commands::cwd") {
        return;
    }
    let rig = Rig::mounted(|lower| sh("mkdir d", lower).clear(), &[]);
    write(rig.mnt.join("d/f"), "x");
    let ran = run_limited(
        driftfs().arg("st").current_dir(rig.mnt.join("d")),
        Duration::from_secs(20),
    )
    .ok();
    assert!(
        ran.out.contains("online") || ran.out.contains("connected"),
        "{ran:?}"
    );
    let none = run_limited(
        driftfs().arg("st").current_dir("/"),
        Duration::from_secs(20),
    );
    assert!(none.code != 0 && none.err.contains("driftfs"), "{none:?}");
}

#[test]
fn check_and_export_work_without_a_daemon() {
    if !can_mount("commands::rescue") {
        return;
    }
    let rig = Rig::mounted(
        |lower| sh("echo a > a; echo b > b", lower).clear(),
        &["--push", "manual"],
    );
    sh(
        "cat a b; echo edited > a; mkdir d; echo new > d/new",
        &rig.mnt,
    );
    rig.kill();
    let state = rig.state.to_str().unwrap();
    run_limited(
        driftfs().args(["check", "--read-data", "--state", state]),
        Duration::from_secs(60),
    )
    .ok();
    let out = rig.root.join("out");
    run_limited(
        driftfs()
            .args(["export", "--all-dirty", "--state", state])
            .arg(&out),
        Duration::from_secs(60),
    )
    .ok();
    let found = sh("find . -type f -print0 | xargs -0 cat", &out);
    assert!(found.contains("edited") && found.contains("new"), "{found}");
}

#[test]
fn every_path_of_a_version_that_is_told_can_be_read() {
    if !can_mount("every_path_of_a_version_that_is_told_can_be_read") {
        return;
    }
    let fill = "echo base > renamed; echo base > became; echo base > $'odd\\xff'";
    let rig = Rig::mounted(|lower| drop(sh(fill, lower)), &[]);
    sh("cat *", &rig.mnt);
    rig.offline();
    sh(
        "mv renamed ours; rm became; mkdir became; echo client > $'odd\\xff'",
        &rig.mnt,
    );
    sh(
        "mv renamed theirs; echo server > became; echo server > $'odd\\xff'",
        &rig.lower,
    );
    rig.online().code(3);
    let found = rig.json(&["conflicts"]);
    let mut kinds: Vec<_> = Vec::new();
    for conflict in found["conflicts"].as_array().unwrap() {
        kinds.push(conflict["kind"].as_str().unwrap());
        if let Some(exact) = conflict["variants_b64"].as_object() {
            assert_eq!(conflict["path"], "odd\u{fffd}");
            assert_eq!(exact.len(), conflict["variants"].as_object().unwrap().len());
            continue;
        }
        for (word, path) in conflict["variants"].as_object().unwrap() {
            let path = Path::new(path.as_str().unwrap());
            assert!(path.symlink_metadata().is_ok(), "{word}: {conflict}");
        }
    }
    kinds.sort();
    assert_eq!(kinds, ["content", "name", "occupied"]);
    let other = rig.mnt.join("became");
    let server = found["conflicts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["path"] == "became");
    assert_eq!(
        read(server.unwrap()["variants"]["server"].as_str().unwrap()),
        "server\n"
    );
    assert!(other.is_dir());
    let ours = rig.mnt.join("ours");
    for side in ["--server", "--base", "--client"] {
        assert_eq!(
            rig.run(&["cat", side, ours.to_str().unwrap()]).ok().out,
            "base\n",
            "{side}"
        );
    }
}
