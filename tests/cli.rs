//! What a person types, without a mount: help, usage, refusals, exit codes, and the rescue commands.

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::{Ran, driftfs, run_limited, write};

fn run(args: &[&str]) -> Ran {
    run_in(args, Path::new("/"))
}

fn run_in(args: &[&str], dir: &Path) -> Ran {
    let mut command = driftfs();
    command.args(args).current_dir(dir);
    run_limited(&mut command, Duration::from_secs(60))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Every command of the program, with arguments that parse.
const COMMANDS: &[&str] = &[
    "mount",
    "umount",
    "st",
    "ls",
    "doctor",
    "offline",
    "online",
    "sync",
    "approve",
    "diff",
    "plan",
    "log",
    "conflicts",
    "resolve",
    "cat",
    "check",
    "export",
];

#[test]
fn help_names_every_command_and_every_command_helps() {
    let help = run(&["--help"]).ok().out;
    for command in COMMANDS {
        let listed = help
            .lines()
            .any(|line| line.trim_start().starts_with(command));
        assert!(listed, "{command} is missing in:\n{help}");
        let own = run(&[command, "--help"]).ok().out;
        assert!(own.contains("Usage:"), "{command}: {own}");
    }
    assert!(help.contains("Exit codes"), "{help}");
    assert!(!help.contains("look-at"), "inner commands are hidden");
}

#[test]
fn without_arguments_it_teaches() {
    let ran = run(&[]).code(2);
    assert!(ran.err.contains("driftfs mount"), "{ran:?}");
}

#[test]
fn wrong_usage_is_exit_two() {
    for args in [
        &["frobnicate"][..],
        &["mount", "/tmp"],
        &["mount", "--push", "never", "/a", "/b"],
        &["mount", "--probe", "0", "/a", "/b"],
        &["resolve", "--take", "mine", "x"],
        &["resolve", "x"],
        &["resolve", "--take", "client"],
        &["cat", "x"],
        &["cat", "--server", "--base", "x"],
        &["export", "--state", "/x", "/y"],
        &["check"],
    ] {
        let ran = run(args).code(2);
        assert!(!ran.err.is_empty(), "{args:?} says nothing");
    }
}

#[test]
fn commands_outside_of_a_mount_say_what_to_type() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["st"][..],
        &["offline"],
        &["online", "--wait"],
        &["sync"],
        &["approve"],
        &["diff"],
        &["plan"],
        &["log"],
        &["conflicts"],
        &["resolve", "--take", "client", "x"],
        &["cat", "--server", "x"],
        &["umount", "."],
    ] {
        let ran = run_in(args, dir.path()).code(2);
        assert!(ran.err.contains("driftfs ls"), "{args:?}: {}", ran.err);
    }
}

#[test]
fn errors_are_objects_too_when_asked_for_json() {
    let ran = run(&["--json", "st"]).code(2);
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["schema"], 1);
    assert_eq!(told["error"]["code"], 2);
    assert!(
        told["error"]["message"]
            .as_str()
            .unwrap()
            .contains("driftfs mount")
    );
}

#[test]
fn ls_and_doctor_speak_json() {
    let ls: serde_json::Value = serde_json::from_str(&run(&["--json", "ls"]).ok().out).unwrap();
    assert_eq!(ls["schema"], 1);
    assert!(ls["mounts"].is_array());
    let dir = tempfile::tempdir().unwrap();
    let ran = run(&["--json", "doctor", text(dir.path())]);
    let doctor: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let names: Vec<&str> = doctor["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|finding| finding["name"].as_str())
        .collect();
    for name in ["kernel", "fuse", "passthrough", "reflink", "share"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 0, "doctor writes nothing");
}

#[test]
fn doctor_says_that_a_share_is_not_there() {
    let ran = run(&["doctor", "/nonexistent/share"]).code(1);
    assert!(ran.out.contains("does not exist"), "{ran:?}");
}

/// A lower, a mount point, and arguments of a mount that must be refused before anything is mounted.
fn refused(name: &str, args: impl Fn(&Path) -> Vec<String>, says: &str) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    std::fs::create_dir_all(root.join("lower/inside")).unwrap();
    std::fs::create_dir(root.join("mnt")).unwrap();
    write(root.join("file"), "x");
    for foreground in [false, true] {
        let mut command = driftfs();
        command.arg("mount").args(args(&root)).current_dir(&root);
        command.args(foreground.then_some("--foreground"));
        let ran = run_limited(&mut command, Duration::from_secs(60));
        assert!(matches!(ran.code, 1 | 2 | 4), "{name}: {ran:?}");
        assert!(ran.err.contains(says), "{name}: {ran:?}");
    }
    assert!(
        !root.join("state/meta.db").exists(),
        "{name}: nothing was begun"
    );
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn mounts_that_cannot_be_are_refused_with_a_sentence() {
    refused(
        "a file as lower",
        |_| words("file mnt --state state"),
        "not a directory",
    );
    refused(
        "no lower",
        |_| words("nowhere mnt --state state"),
        "does not exist",
    );
    refused(
        "no mount point",
        |_| words("lower nowhere --state state"),
        "mkdir",
    );
    refused(
        "inside the lower",
        |_| words("lower lower/inside --state state"),
        "show itself",
    );
    refused(
        "the lower inside",
        |_| words("lower/inside lower --state state"),
        "hide it",
    );
    refused(
        "state in the lower",
        |_| words("lower mnt --state lower/state"),
        "--state",
    );
    refused(
        "state in the mount",
        |_| words("lower mnt --state mnt/state"),
        "--state",
    );
    refused(
        "option",
        |_| words("lower mnt --state state -o nonsense"),
        "nonsense",
    );
    refused(
        "a file as state",
        |_| words("lower mnt --state file"),
        "not a directory",
    );
}

#[test]
fn a_detached_start_is_for_driftfs_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("bash");
    command.args([
        "-c",
        "exec 3>&-; exec \"$0\" mount --detached /tmp /mnt",
        text(Path::new(env!("CARGO_BIN_EXE_driftfs"))),
    ]);
    let ran = run_limited(command.current_dir(dir.path()), Duration::from_secs(60)).code(1);
    assert!(ran.err.contains("driftfs mount"), "{ran:?}");
}

#[test]
fn check_and_export_of_no_state_directory_fail_and_make_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (state, out) = (dir.path().join("state"), dir.path().join("out"));
    let check = run(&["check", "--state", text(&state)]).code(1);
    assert!(check.err.contains("state"), "{check:?}");
    run(&["export", "--all-dirty", "--state", text(&state), text(&out)]).code(1);
    assert!(!state.exists() && !out.exists());
}
