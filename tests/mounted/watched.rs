//! Connected to a lower on a disk of this host: what changes there is told, and seen through caches that last long.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Rig, can_mount, read, run_limited, sh, skip, wait_for, write};

/// Well below the time a look counts for where changes are told: what is seen within it was told.
const TOLD: Duration = Duration::from_secs(20);

#[track_caller]
fn soon(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + TOLD;
    while !done() {
        assert!(Instant::now() < until, "not told: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads everything until the root and `d` need not be looked at any more.
fn warm(rig: &Rig, dirs: u64) {
    wait_for("the directories to be watched", || {
        sh(
            "ls -lR . > /dev/null; find . -type f -exec cat {} + > /dev/null; stat no || true",
            &rig.mnt,
        );
        rig.json(&["st"])["watched"].as_u64().unwrap() >= dirs
    });
    sh(
        "ls -lR . > /dev/null; find . -type f -exec cat {} + > /dev/null; stat no d/no || true",
        &rig.mnt,
    );
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn fill(lower: &Path) {
    sh(
        "mkdir -p d/e; for f in bytes mode gone moved replaced kind; do echo old > d/$f; done; echo deep > d/e/deep; echo top > top",
        lower,
    );
}

#[test]
fn what_changes_below_is_seen_through_a_warm_cache() {
    if !can_mount("watched::warm") {
        return;
    }
    let rig = Rig::mounted(fill, &["--push", "manual"]);
    warm(&rig, 3);
    let (d, below) = (rig.mnt.join("d"), rig.lower.join("d"));
    assert_eq!(read(d.join("bytes")), "old\n");
    write(below.join("bytes"), "new bytes\n");
    soon("bytes", || read(d.join("bytes")) == "new bytes\n");
    fs::set_permissions(below.join("mode"), fs::Permissions::from_mode(0o604)).unwrap();
    soon("mode", || mode(&d.join("mode")) == 0o604);
    assert!(!d.join("no").exists());
    write(below.join("no"), "here\n");
    soon("a new name", || {
        fs::read(d.join("no")).is_ok_and(|b| b == b"here\n")
    });
    fs::remove_file(below.join("gone")).unwrap();
    soon("a removal", || !d.join("gone").exists());
    fs::rename(below.join("moved"), below.join("e/moved")).unwrap();
    soon("a move", || {
        d.join("e/moved").exists() && !d.join("moved").exists()
    });
    sh("echo another > tmp; mv tmp replaced", &below);
    soon("a replacement", || read(d.join("replaced")) == "another\n");
    sh("rm kind; mkdir kind; echo x > kind/x", &below);
    soon("another kind", || fs::read(d.join("kind/x")).is_ok());
    sh("mv e f", &below);
    soon("a moved directory", || {
        d.join("f/deep").exists() && !d.join("e").exists()
    });
    write(below.join("f/deep"), "deeper\n");
    soon("bytes in it", || read(d.join("f/deep")) == "deeper\n");
}

#[test]
fn the_times_of_a_directory_nobody_entered_are_seen() {
    if !can_mount("watched::times") {
        return;
    }
    let rig = Rig::mounted(fill, &["--push", "manual"]);
    let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    wait_for("the root to be watched", || {
        sh("ls > /dev/null; stat top d > /dev/null", &rig.mnt);
        rig.json(&["st"])["watched"].as_u64().unwrap() >= 1
    });
    let before = modified(&rig.mnt.join("d"));
    write(rig.lower.join("d/one-more"), "");
    soon("the time of the directory", || {
        modified(&rig.mnt.join("d")) != before
    });
    assert_eq!(modified(&rig.mnt.join("d")), modified(&rig.lower.join("d")));
}

#[test]
fn a_new_agent_hears_what_the_old_one_did_not() {
    if !can_mount("watched::agent") {
        return;
    }
    let rig = Rig::mounted(fill, &["--push", "manual"]);
    warm(&rig, 3);
    let agents = || {
        let pid = rig.pid().unwrap().to_string();
        run_limited(Command::new("pgrep").args(["-P", &pid]), TOLD).out
    };
    let old = agents();
    for pid in old.split_whitespace() {
        sh(&format!("kill -KILL {pid}"), &rig.root);
    }
    write(rig.lower.join("d/bytes"), "unheard\n");
    soon("what nobody heard", || {
        read(rig.mnt.join("d/bytes")) == "unheard\n"
    });
    warm(&rig, 3);
    write(rig.lower.join("d/bytes"), "heard again\n");
    soon("what the new one heard", || {
        read(rig.mnt.join("d/bytes")) == "heard again\n"
    });
}

#[test]
fn files_with_further_names_are_looked_at_every_second() {
    if !can_mount("watched::linked") {
        return;
    }
    let rig = Rig::mounted(
        |lower| {
            sh("mkdir d e; echo old > d/f; ln d/f e/f", lower);
        },
        &["--push", "manual"],
    );
    warm(&rig, 1);
    // No event names `d`.
    write(rig.lower.join("e/f"), "through the other name\n");
    soon("bytes written through another name", || {
        read(rig.mnt.join("d/f")) == "through the other name\n"
    });
    assert_eq!(rig.json(&["st"])["watched"], 1);
}

#[test]
fn an_unknown_file_system_is_not_watched() {
    if !can_mount("watched::unknown") {
        return;
    }
    let rig = Rig::new();
    let overlay = format!(
        "mkdir up work below; mount -t overlay overlay -o lowerdir=below,upperdir=up,workdir=work {}",
        rig.lower.display()
    );
    if run_limited(
        Command::new("bash")
            .args(["-euc", &overlay])
            .current_dir(&rig.root),
        TOLD,
    )
    .code
        != 0
    {
        return skip("watched::unknown", "overlayfs cannot be mounted here");
    }
    fill(&rig.lower);
    rig.mount(&["--push", "manual"]).ok();
    sh("ls -lR . > /dev/null; cat d/bytes > /dev/null", &rig.mnt);
    write(rig.lower.join("d/bytes"), "new bytes\n");
    soon("bytes, by asking", || {
        read(rig.mnt.join("d/bytes")) == "new bytes\n"
    });
    assert_eq!(rig.json(&["st"])["watched"], 0);
    rig.umount().ok();
    sh("umount lower", &rig.root);
}

#[test]
fn what_changes_right_after_a_directory_was_first_listed_is_seen() {
    if !can_mount("watched::first") {
        return;
    }
    let rig = Rig::mounted(fill, &["--push", "manual"]);
    warm(&rig, 3);
    for n in 0..10 {
        let (here, below) = (
            rig.mnt.join(format!("n{n}")),
            rig.lower.join(format!("n{n}")),
        );
        sh(
            &format!("mkdir n{n}.new; echo first > n{n}.new/f; mv n{n}.new n{n}"),
            &rig.lower,
        );
        soon("the directory", || here.join("f").exists());
        // Whoever looked may keep it for long by now.
        write(below.join("f"), "second\n");
        write(below.join("g"), "more\n");
        soon("new bytes", || read(here.join("f")) == "second\n");
        soon("a new name", || here.join("g").exists());
        fs::remove_dir_all(&below).unwrap();
        soon("the end of it", || !here.exists());
    }
}
