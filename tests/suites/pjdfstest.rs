//! POSIX by pjdfstest 0.2.2: the mount must pass, skip and fail exactly what the file system underneath does.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::user::User;
use crate::support::{Ran, Rig, can_mount, measured, run_limited, write};

/// Names whose outcome may differ from the file system underneath, each with its reason.
const EXPECTED: &[(&str, &str)] = &[(
    "link::link_count_max",
    "the C library knows the most links a file may have by the type of the file system, and has no number for FUSE: skipped",
)];

const SETTINGS: &str = r#"
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}

[settings]
naptime = 0.02
allow_remount = false

[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
"#;

/// Outcome by test name.
fn outcomes(tool: &Path, settings: &Path, place: &Path) -> BTreeMap<String, String> {
    let mut command = Command::new(tool);
    command
        .arg("-c")
        .arg(settings)
        .arg("-p")
        .arg(place)
        .env("RUST_BACKTRACE", "0");
    told(&run_limited(&mut command, Duration::from_secs(900)))
}

fn told(ran: &Ran) -> BTreeMap<String, String> {
    assert_ne!(ran.code, 124, "pjdfstest did not end; so far:\n{}", ran.out);
    let mut found = BTreeMap::new();
    for line in ran
        .out
        .lines()
        .filter(|line| !line.starts_with(char::is_whitespace))
    {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(outcome @ ("ok" | "FAILED" | "skipped"))) =
            (words.next(), words.next())
        {
            found.insert(name.to_string(), outcome.to_string());
        }
    }
    assert!(
        found.len() > 390,
        "only {} tests ran: {}\n{}",
        found.len(),
        ran.out,
        ran.err
    );
    found
}

fn count(found: &BTreeMap<String, String>, outcome: &str) -> usize {
    found.values().filter(|o| *o == outcome).count()
}

fn compare(name: &str, args: &[&str], offline: bool) {
    if !can_mount(&format!("pjdfstest::{name}")) {
        return;
    }
    let Some(tool) = crate::tool(&format!("pjdfstest::{name}"), "pjdfstest") else {
        return;
    };
    let rig = Rig::new();
    let settings = rig.root.join("settings.toml");
    write(&settings, SETTINGS);
    for dir in [&rig.root, &rig.lower, &rig.mnt] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // Some of its tests need a base path that is not too short; both places have the same length.
    let native = rig.root.join("nat");
    fs::create_dir(&native).unwrap();
    fs::set_permissions(&native, fs::Permissions::from_mode(0o777)).unwrap();
    let below = outcomes(&tool, &settings, &native);
    fs::set_permissions(&rig.lower, fs::Permissions::from_mode(0o777)).unwrap();
    rig.mount(args).ok();
    if offline {
        rig.offline();
    }
    let here = outcomes(&tool, &settings, &rig.mnt);
    must_equal(name, &below, &here);
}

fn must_equal(name: &str, below: &BTreeMap<String, String>, here: &BTreeMap<String, String>) {
    measured(&format!(
        "pjdfstest {name}: here {} passed, {} failed, {} skipped; underneath {} passed, {} failed, {} skipped",
        count(here, "ok"),
        count(here, "FAILED"),
        count(here, "skipped"),
        count(below, "ok"),
        count(below, "FAILED"),
        count(below, "skipped"),
    ));
    let differing: Vec<String> = below
        .iter()
        .filter(|(test, outcome)| {
            here.get(*test) != Some(outcome) && !EXPECTED.iter().any(|(known, _)| known == test)
        })
        .map(|(test, outcome)| format!("{test}: underneath {outcome}, here {:?}", here.get(test)))
        .collect();
    assert!(
        differing.is_empty(),
        "{} differ:\n{}",
        differing.len(),
        differing.join("\n")
    );
}

#[test]
fn connected() {
    compare("connected", &["--push", "manual"], false);
}

#[test]
fn offline() {
    compare("offline", &["--push", "manual"], true);
}

/// A mount through `fusermount3`; what needs root is skipped by both.
#[test]
fn of_a_user() {
    let Some(user) = User::new("pjdfstest::of_a_user") else {
        return;
    };
    let Some(installed) = crate::tool("pjdfstest::of_a_user", "pjdfstest") else {
        return;
    };
    let root = &user.rig.root;
    let tool = root.join("pjdfstest");
    fs::copy(installed, &tool).unwrap();
    write(root.join("settings.toml"), SETTINGS);
    user.sh("mkdir ../nat", &user.rig.lower);
    user.mount(&["--push", "manual"]).ok();
    let outcomes = |place: &Path| {
        let args = ["-c", "settings.toml", "-p", place.to_str().unwrap()];
        told(&user.program(&tool, &args, root))
    };
    must_equal(
        "of a user",
        &outcomes(&root.join("nat")),
        &outcomes(&user.rig.mnt),
    );
}
