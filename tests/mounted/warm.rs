//! Offline the kernel keeps for a day what it was told. What changed meanwhile is seen all the same, as soon as it is
//! taken over.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Rig, can_mount, read, sh, wait_for, write};

/// Far below a day.
const TOLD: Duration = Duration::from_secs(20);

#[track_caller]
fn soon(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + TOLD;
    while !done() {
        assert!(Instant::now() < until, "the kernel still shows: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const FILES: &str = "bytes mode gone moved replaced kind twin";

fn fill(lower: &Path) {
    sh(
        &format!(
            "mkdir -p d/e d/dir; for f in {FILES}; do echo old > d/$f; done; ln d/twin d/e/twin; echo deep > d/e/deep"
        ),
        lower,
    );
}

/// Everything asked for once online, so that it is here, and again offline, so that the kernel keeps it.
fn warm(rig: &Rig) {
    let all = "ls -lR . > /dev/null; find . -type f -exec cat {} + > /dev/null; \
         stat no d/no d/e/no d/made > /dev/null 2>&1 || true";
    wait_for("all names and contents", || {
        sh(all, &rig.mnt);
        fs::read(rig.mnt.join("d/e/deep")).is_ok()
    });
    rig.offline();
    sh(all, &rig.mnt);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_changed_below_while_offline_is_seen_through_the_kernels_caches() {
    if !can_mount("warm::below") {
        return;
    }
    let rig = Rig::mounted(fill, &["--push", "manual"]);
    warm(&rig);
    let (d, below) = (rig.mnt.join("d"), rig.lower.join("d"));
    write(below.join("bytes"), "new bytes\n");
    write(below.join("twin"), "both of us\n");
    fs::set_permissions(below.join("mode"), fs::Permissions::from_mode(0o604)).unwrap();
    write(below.join("no"), "here\n");
    write(rig.lower.join("no"), "here\n");
    fs::remove_file(below.join("gone")).unwrap();
    sh(
        "mv moved e/moved; echo another > tmp; mv tmp replaced; rm kind; mkdir kind; echo x > kind/x; mv dir f; echo y > f/y",
        &below,
    );
    assert_eq!(read(d.join("bytes")), "old\n", "offline nothing moves");
    assert!(!d.join("no").exists() && d.join("gone").exists());
    rig.online().ok();
    soon("old bytes", || read(d.join("bytes")) == "new bytes\n");
    soon("old bytes by another name", || {
        read(d.join("e/twin")) == "both of us\n"
    });
    soon("an old mode", || mode(&d.join("mode")) == 0o604);
    soon("that there is nothing", || {
        d.join("no").exists() && rig.mnt.join("no").exists()
    });
    soon("what is gone", || !d.join("gone").exists());
    soon("an old place", || {
        d.join("e/moved").exists() && !d.join("moved").exists()
    });
    soon("what was replaced", || {
        read(d.join("replaced")) == "another\n"
    });
    soon("an old kind", || fs::read(d.join("kind/x")).is_ok());
    soon("an old directory name", || {
        d.join("f/y").exists() && !d.join("dir").exists()
    });
    let names = |dir: &Path| sh("ls -R", dir);
    soon("an old listing", || names(&d) == names(&below));
}

#[test]
fn what_is_done_offline_is_seen_at_once_and_lasts_through_the_return() {
    if !can_mount("warm::here") {
        return;
    }
    let rig = Rig::mounted(fill, &["--push", "manual"]);
    warm(&rig);
    let d = rig.mnt.join("d");
    // Asked for before, and known as missing.
    sh("mkdir made; cd made; echo in > made; ls ..", &d);
    assert_eq!(read(d.join("made/made")), "in\n");
    sh(
        "ln bytes linked; chmod 640 bytes; mv gone went; rm kind",
        &d,
    );
    assert_eq!(fs::metadata(d.join("linked")).unwrap().nlink(), 2);
    assert_eq!(mode(&d.join("bytes")), 0o640);
    assert!(d.join("went").exists() && !d.join("gone").exists() && !d.join("kind").exists());
    // A write by somebody without privilege takes set-id bits away: here, and in what the kernel keeps.
    sh(
        "cp mode priv; chmod 6777 priv; chown 1234:1234 priv; chmod 6777 priv",
        &d,
    );
    assert_eq!(mode(&d.join("priv")), 0o6777);
    sh(
        "setpriv --reuid=4321 --regid=4321 --clear-groups sh -c 'echo more >> priv'",
        &d,
    );
    soon("set-id bits", || mode(&d.join("priv")) == 0o777);
    // The return asks for everything anew, and still nobody loses the directory he is in.
    let mut inside = std::process::Command::new("sh")
        .args(["-c", "read line; pwd -P; cat made"])
        .current_dir(d.join("made"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    rig.online().ok();
    soon("nothing", || fs::metadata(d.join("made")).is_ok());
    std::io::Write::write_all(inside.stdin.as_mut().unwrap(), b"\n").unwrap();
    let out = inside.wait_with_output().unwrap();
    let out = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out, format!("{}\nin\n", d.join("made").display()));
}
