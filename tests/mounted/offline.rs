//! Offline: everything here works; back online, one-sided changes arrive exactly.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::support::{Rig, can_mount, read, run_limited, sh, trees, write};

fn fill(lower: &std::path::Path) {
    sh(
        "mkdir -p docs/deep src; for i in 1 2 3 4 5; do echo text $i > docs/f$i; done; echo deep > docs/deep/d; head -c 300000 /dev/urandom > src/big; echo main > src/main; ln -s ../docs src/link; ln docs/f1 docs/twin",
        lower,
    );
}

#[test]
fn one_sided_changes_travel_both_ways() {
    if !can_mount("offline::one_sided") {
        return;
    }
    let rig = Rig::mounted(fill, &[]);
    sh(
        "cat docs/* docs/deep/* src/* > /dev/null 2>&1 || true",
        &rig.mnt,
    );
    let untouched = fs::metadata(rig.lower.join("docs/f5")).unwrap();
    rig.offline();
    assert_eq!(rig.json(&["st"])["link"]["state"], "disconnected");
    sh(
        "echo mine >> docs/f2; rm docs/f3; mv docs/deep docs/deeper; mkdir new; echo n > new/n; ln -s x new/sym; chmod 750 src/main; setfattr -n user.a -v b src/main",
        &rig.mnt,
    );
    sh(
        "echo theirs > docs/f4; rm src/big; mkdir -p theirs/x; echo t > theirs/x/t; chmod 600 docs/f1",
        &rig.lower,
    );
    assert_eq!(read(rig.mnt.join("docs/f4")), "text 4\n");
    // Whoever asks is told of all that moved, also when the daemon had begun by itself.
    let told = rig.online();
    assert_eq!(told.code, 0, "{}", told.out);
    assert!(
        told.out.contains(" sent, ") && told.out.contains("taken from the server"),
        "{}",
        told.out
    );
    trees::assert_equal(&rig.mnt, &rig.lower);
    assert_eq!(read(rig.lower.join("docs/f2")), "text 2\nmine\n");
    assert_eq!(read(rig.mnt.join("docs/f4")), "theirs\n");
    assert!(!rig.lower.join("docs/f3").exists() && !rig.mnt.join("src/big").exists());
    assert_eq!(read(rig.lower.join("docs/deeper/d")), "deep\n");
    let now = fs::metadata(rig.lower.join("docs/f5")).unwrap();
    assert_eq!(
        (
            untouched.ino(),
            untouched.mtime_nsec(),
            untouched.ctime_nsec()
        ),
        (now.ino(), now.mtime_nsec(), now.ctime_nsec())
    );
    let before = trees::shapes(&rig.lower);
    rig.online().ok();
    assert_eq!(
        before,
        trees::shapes(&rig.lower),
        "a second online must change nothing"
    );
    assert_eq!(rig.json(&["st"])["changes"]["stored"], 0);
}

#[test]
fn what_is_not_here_is_refused_at_once_and_never_absent() {
    if !can_mount("offline::absent") {
        return;
    }
    let rig = Rig::mounted(fill, &[]);
    // Names are fetched in the background after mounting; contents are not.
    crate::support::wait_for("all names", || {
        fs::read_dir(rig.mnt.join("docs/deep")).is_ok()
    });
    rig.offline();
    let error = fs::read(rig.mnt.join("src/big")).unwrap_err();
    assert_eq!(
        error.raw_os_error(),
        Some(61),
        "ENODATA for contents that are not here: {error}"
    );
    assert_eq!(
        fs::metadata(rig.mnt.join("src/big")).unwrap().len(),
        300_000
    );
    let why = sh("getfattr --only-values -n user.drift.why src/big", &rig.mnt);
    assert!(
        why.contains("driftfs"),
        "the sentence names the next command: {why}"
    );
}

#[test]
fn a_removed_and_recreated_file_and_an_editors_save_are_edits() {
    if !can_mount("offline::editor") {
        return;
    }
    let rig = Rig::mounted(fill, &[]);
    sh("cat docs/* > /dev/null 2>&1 || true", &rig.mnt);
    rig.offline();
    sh(
        "cp docs/f2 docs/.f2.tmp; echo saved >> docs/.f2.tmp; mv docs/.f2.tmp docs/f2; rm docs/f3; echo anew > docs/f3; mv docs/f4 docs/f4~; echo v4 > docs/f4",
        &rig.mnt,
    );
    let diff = rig.run(&["diff"]).ok().out;
    assert!(
        diff.contains("M docs/f2") || diff.contains("M\tdocs/f2") || diff.contains("M  docs/f2"),
        "{diff}"
    );
    rig.online().ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
    assert_eq!(read(rig.lower.join("docs/f4")), "v4\n");
    assert_eq!(read(rig.lower.join("docs/f4~")), "text 4\n");
}

#[test]
fn both_sides_edit_different_lines_of_a_text() {
    if !can_mount("offline::text") {
        return;
    }
    let rig = Rig::mounted(
        |lower| write(lower.join("t"), "one\ntwo\nthree\nfour\nfive\n"),
        &[],
    );
    read(rig.mnt.join("t"));
    rig.offline();
    write(rig.mnt.join("t"), "ONE\ntwo\nthree\nfour\nfive\n");
    write(rig.lower.join("t"), "one\ntwo\nthree\nfour\nFIVE\n");
    rig.online().ok();
    assert_eq!(read(rig.mnt.join("t")), "ONE\ntwo\nthree\nfour\nFIVE\n");
    assert_eq!(read(rig.lower.join("t")), "ONE\ntwo\nthree\nfour\nFIVE\n");
}

#[test]
fn edit_beats_delete_on_both_sides() {
    if !can_mount("offline::edit_delete") {
        return;
    }
    let rig = Rig::mounted(fill, &[]);
    sh("cat docs/* > /dev/null 2>&1 || true", &rig.mnt);
    rig.offline();
    sh(
        "echo edited > docs/f2; rm docs/f3; rm -r docs/deep",
        &rig.mnt,
    );
    sh(
        "rm docs/f2; echo edited > docs/f3; echo added > docs/deep/added",
        &rig.lower,
    );
    rig.online().code(3);
    assert_eq!(read(rig.mnt.join("docs/f2")), "edited\n");
    assert_eq!(read(rig.lower.join("docs/f2")), "edited\n");
    assert_eq!(read(rig.mnt.join("docs/f3")), "edited\n");
    assert_eq!(read(rig.mnt.join("docs/deep/added")), "added\n");
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn real_programs_work_offline() {
    if !can_mount("offline::programs") {
        return;
    }
    let rig = Rig::mounted(fill, &[]);
    sh("find docs src -type f -exec cat {} + > /dev/null", &rig.mnt);
    rig.offline();
    sh(
        "git init -q repo; cd repo; git config user.email a@b; git config user.name n; for i in $(seq 50); do echo $i > f$i; done; git add .; git commit -qm one; git gc -q; git status --porcelain | wc -l | grep -qx 0; cd ..; tar cf a.tar docs; mkdir x; tar xf a.tar -C x; sqlite3 db 'create table t(a); insert into t values(1),(2);'; sqlite3 db 'select count(*) from t' | grep -qx 2",
        &rig.mnt,
    );
    rig.online().ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
    let git = run_limited(
        std::process::Command::new("git")
            .args(["-C"])
            .arg(rig.lower.join("repo"))
            .args(["-c", "safe.directory=*", "fsck", "--strict"]),
        std::time::Duration::from_secs(60),
    );
    assert_eq!(git.code, 0, "{}", git.err);
}
