//! Rules: what is made under some paths stays on this host.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::support::{Ran, Rig, can_mount, driftfs, read, run_limited, sh, trees, wait_for, write};

/// A rig whose person has these rules.
fn ruled(rules: &str) -> Rig {
    let rig = Rig::new();
    fs::create_dir_all(rig.root.join("config/driftfs")).unwrap();
    write(rig.root.join("config/driftfs/config.toml"), rules);
    rig
}

fn mount(rig: &Rig, args: &[&str]) -> Ran {
    let mut command = driftfs();
    command
        .arg("mount")
        .args([&rig.lower, &rig.mnt])
        .arg("--state")
        .arg(&rig.state)
        .args(args)
        .env("XDG_CONFIG_HOME", rig.root.join("config"));
    run_limited(&mut command, Duration::from_secs(60))
}

fn state(rig: &Rig, path: &str) -> String {
    let mut command = Command::new("getfattr");
    command
        .args(["--only-values", "-n", "user.drift.state"])
        .arg(rig.mnt.join(path));
    run_limited(&mut command, Duration::from_secs(20)).ok().out
}

const TARGET: &str = "[[rule]]\nglob = 'target'\nlocal-only = true\n";

#[test]
fn what_is_made_under_a_rule_is_never_sent_and_survives() {
    if !can_mount("local_only::stays") {
        return;
    }
    let rig = ruled(TARGET);
    write(rig.lower.join("src"), "shared\n");
    mount(&rig, &["--push", "manual"]).ok();
    sh(
        "mkdir -p target/deep work; echo o > target/a.o; echo o > target/deep/b.o; ln -s a.o target/l; echo new > work/new; echo more >> src",
        &rig.mnt,
    );
    assert_eq!(state(&rig, "target/deep/b.o"), "local-only");
    assert_eq!(state(&rig, "work/new"), "new");
    let st = rig.json(&["st"]);
    assert_eq!(st["local_only"], 5);
    assert_eq!(st["changes"]["created"], 2);
    assert!(!rig.run(&["plan"]).ok().out.contains("target"));
    rig.run(&["sync"]).ok();
    assert!(!rig.lower.join("target").exists());
    assert_eq!(read(rig.lower.join("work/new")), "new\n");
    assert_eq!(rig.run(&["st", "--check"]).code, 0, "nothing waits");
    rig.kill();
    mount(&rig, &["--push", "manual"]).ok();
    assert_eq!(read(rig.mnt.join("target/deep/b.o")), "o\n");
    // Moved out of there it is like anything else that is new.
    sh("mv target/a.o out.o", &rig.mnt);
    rig.run(&["sync"]).ok();
    assert_eq!(read(rig.lower.join("out.o")), "o\n");
    // Without the rule all of it goes up.
    rig.umount().ok();
    write(rig.root.join("config/driftfs/config.toml"), "");
    mount(&rig, &["--push", "manual"]).ok();
    rig.run(&["sync"]).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn pushing_by_itself_leaves_it_too() {
    if !can_mount("local_only::auto") {
        return;
    }
    let rig = ruled(TARGET);
    mount(&rig, &[]).ok();
    sh("mkdir target; echo o > target/o; echo new > new", &rig.mnt);
    wait_for("the push of the other file", || {
        fs::read(rig.lower.join("new")).is_ok_and(|bytes| bytes == b"new\n")
    });
    rig.run(&["sync"]).ok();
    assert!(!rig.lower.join("target").exists());
}

#[test]
fn what_the_server_has_there_is_shown_beside_it() {
    if !can_mount("local_only::both") {
        return;
    }
    let rig = ruled(TARGET);
    mount(&rig, &["--push", "manual"]).ok();
    sh(
        "mkdir target; echo mine > target/same; echo mine > target/only",
        &rig.mnt,
    );
    sh(
        "mkdir target; echo theirs > target/same; echo theirs > target/theirs",
        &rig.lower,
    );
    let synced = rig.json(&["sync"]);
    assert_eq!(read(rig.mnt.join("target/theirs")), "theirs\n");
    assert_eq!(read(rig.mnt.join("target/same")), "mine\n");
    assert_eq!(read(rig.lower.join("target/same")), "theirs\n");
    assert!(!rig.lower.join("target/only").exists());
    assert!(
        synced["notes"].to_string().contains("target/same"),
        "{synced}"
    );
    // The server's directory goes: ours in it stay.
    sh("rm -r target", &rig.lower);
    rig.run(&["sync"]);
    rig.run(&["sync"]);
    assert_eq!(read(rig.mnt.join("target/only")), "mine\n");
    assert_eq!(read(rig.mnt.join("target/same")), "mine\n");
    assert!(!rig.lower.join("target/only").exists());
}

#[test]
fn what_is_shared_waits_when_it_is_moved_under_a_rule() {
    if !can_mount("local_only::moved") {
        return;
    }
    let rig = ruled(TARGET);
    write(rig.lower.join("shared"), "theirs too\n");
    mount(&rig, &["--push", "manual"]).ok();
    sh("mkdir target; mv shared target/shared", &rig.mnt);
    let synced = rig.json(&["sync"]);
    assert_eq!(read(rig.lower.join("shared")), "theirs too\n");
    assert_eq!(read(rig.mnt.join("target/shared")), "theirs too\n");
    assert!(
        synced["pending"].to_string().contains("a rule keeps"),
        "{synced}"
    );
    sh("mv target/shared shared", &rig.mnt);
    rig.run(&["sync"]).ok();
    assert_eq!(read(rig.lower.join("shared")), "theirs too\n");
}

#[test]
fn a_misspelt_rule_is_refused() {
    if !can_mount("local_only::misspelt") {
        return;
    }
    let rig = ruled("[[rule]]\nglob = 'target'\nlocal_only = true\n");
    let refused = mount(&rig, &[]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.err.contains("local_only") && refused.err.contains("config.toml"),
        "{}",
        refused.err
    );
}
