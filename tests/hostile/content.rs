//! What a server may hold: every kind, every name, every trap.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{Rig, can_mount, read, run_limited, sh, trees, wait_for, write};

const TRAPS: &str = r#"
    ln -s / root; ln -s .. up; ln -s ../outside outside; ln -s "$PWD/../outside/sentinel" absolute; ln -s loop loop
    ln -s /etc/passwd passwd
    mknod null c 1 3; mknod disk b 7 99; mkfifo fifo
    cp /bin/true suid; chmod 6755 suid
    mkdir dir; echo in > dir/file
"#;

fn names() -> Vec<Vec<u8>> {
    vec![
        b"new\nline".to_vec(),
        b"bad\xff\xfeutf8".to_vec(),
        vec![b'n'; 255],
        vec![0xe4; 255],
        b" ".to_vec(),
        b"-rf".to_vec(),
        b"\x1b[31mred".to_vec(),
        "\u{e9}".into(),
        "e\u{301}".into(),
        b"CASE".to_vec(),
        b"case".to_vec(),
        b"...".to_vec(),
    ]
}

fn named(dir: &Path, name: &[u8]) -> PathBuf {
    dir.join(OsStr::from_bytes(name))
}

/// A rig whose lower holds all traps, with a sentinel beside it.
fn trapped() -> Rig {
    let rig = Rig::new();
    fs::create_dir(rig.root.join("outside")).unwrap();
    write(rig.root.join("outside/sentinel"), "untouched");
    sh(TRAPS, &rig.lower);
    for name in names() {
        write(named(&rig.lower, &name), &name);
    }
    rig
}

#[test]
fn every_kind_and_name_is_shown_edited_and_merged() {
    if !can_mount("every_kind_and_name_is_shown_edited_and_merged") {
        return;
    }
    let rig = trapped();
    rig.mount(&[]).ok();
    for name in names() {
        assert_eq!(fs::read(named(&rig.mnt, &name)).unwrap(), name);
    }
    assert!(
        fs::symlink_metadata(rig.mnt.join("null"))
            .unwrap()
            .file_type()
            .is_char_device()
    );
    // The mount is nodev and nosuid: a device of the server opens nothing.
    let opened = fs::File::open(rig.mnt.join("null"));
    assert_eq!(opened.unwrap_err().raw_os_error(), Some(libc::EACCES));
    assert_eq!(
        fs::metadata(rig.mnt.join("suid")).unwrap().mode() & 0o7777,
        0o6755
    );
    trees::assert_equal(&rig.lower, &rig.mnt);
    rig.offline();
    sh(
        "rm root outside; mkdir outside; echo mine > outside/sentinel; ln -s / other; mknod zero c 1 5; mkfifo pipe
         echo more >> suid; mkdir -p absolute.d up.d; ln -sfn /etc up; mv dir moved",
        &rig.mnt,
    );
    for name in names() {
        write(named(&rig.mnt, &name), [&name[..], b" edited"].concat());
    }
    rig.online().ok();
    trees::assert_equal(&rig.lower, &rig.mnt);
    assert_eq!(read(rig.root.join("outside/sentinel")), "untouched");
    assert_eq!(fs::read_dir(rig.root.join("outside")).unwrap().count(), 1);
    rig.umount().ok();
    rig.mount(&[]).ok();
    trees::assert_equal(&rig.lower, &rig.mnt);
}

#[test]
fn bytes_no_disk_can_hold_are_refused_on_both_sides_at_once() {
    if !can_mount("bytes_no_disk_can_hold_are_refused_on_both_sides_at_once") {
        return;
    }
    let rig = Rig::new();
    let largest = 1 << 43;
    fs::File::create(rig.lower.join("huge"))
        .unwrap()
        .set_len(largest)
        .unwrap();
    // As large as a file may be, where the disk of the server allows it.
    let vast = fs::File::create(rig.lower.join("vast")).unwrap();
    let named = vast.set_len(i64::MAX as u64).is_ok();
    write(rig.lower.join("small"), "small");
    rig.mount(&["--push", "manual"]).ok();
    for name in ["huge", "vast"].into_iter().take(1 + usize::from(named)) {
        let ran = run_limited(
            Command::new("head")
                .args(["-c1", name])
                .current_dir(&rig.mnt),
            Duration::from_secs(20),
        );
        assert!(
            ran.code == 1 && ran.err.contains("File too large"),
            "{ran:?}"
        );
    }
    let why = sh("getfattr --only-values -n user.drift.why huge", &rig.mnt);
    assert!(why.contains("larger than the whole disk"), "{why}");
    fs::File::create(rig.mnt.join("mine"))
        .unwrap()
        .set_len(largest)
        .unwrap();
    write(rig.mnt.join("small"), "edited");
    rig.run(&["sync"]).code(5);
    assert_eq!(rig.json(&["st"])["pending"][0]["path"], "mine");
    assert_eq!(read(rig.lower.join("small")), "edited");
    fs::remove_file(rig.mnt.join("mine")).unwrap();
    rig.run(&["sync"]).ok();
}

#[test]
fn a_tree_deeper_than_any_path_is_listed_read_and_merged() {
    if !can_mount("a_tree_deeper_than_any_path_is_listed_read_and_merged") {
        return;
    }
    const DOWN: &str = "d=$(printf %0250d 7); for i in $(seq 20); do cd -P $d; done";
    const MAKE: &str = "d=$(printf %0250d 7); for i in $(seq 20); do mkdir $d; cd -P $d; done";
    let rig = Rig::new();
    sh(&format!("{MAKE}; echo bottom > f"), &rig.lower);
    rig.mount(&[]).ok();
    wait_for("all names are here", || rig.json(&["st"])["unlisted"] == 0);
    let said = sh(
        &format!("{DOWN}; cat f; echo mine >> f; echo new > g"),
        &rig.mnt,
    );
    assert_eq!(said, "bottom\n");
    rig.run(&["sync"]).ok();
    assert_eq!(
        sh(&format!("{DOWN}; cat f g"), &rig.lower),
        "bottom\nmine\nnew\n"
    );
}

#[test]
fn names_that_driftfs_needs_may_be_taken_on_the_server() {
    if !can_mount("names_that_driftfs_needs_may_be_taken_on_the_server") {
        return;
    }
    type Trap = fn(&Rig);
    let traps: [(&str, Trap); 4] = [
        ("a file", |rig| write(rig.lower.join(".driftfs"), "theirs")),
        ("a symlink", |rig| {
            std::os::unix::fs::symlink("../outside", rig.lower.join(".driftfs")).unwrap();
        }),
        ("links inside", |rig| {
            fs::create_dir(rig.lower.join(".driftfs")).unwrap();
            for name in ["tx", "retained"] {
                std::os::unix::fs::symlink("../../outside", rig.lower.join(".driftfs").join(name))
                    .unwrap();
            }
        }),
        ("a foreign directory", |rig| {
            let dir = rig.lower.join(".driftfs");
            fs::create_dir(&dir).unwrap();
            write(dir.join("theirs"), "theirs");
            std::os::unix::fs::chown(&dir, Some(1234), Some(1234)).unwrap();
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        }),
    ];
    for (what, trap) in traps {
        let rig = Rig::new();
        fs::create_dir(rig.root.join("outside")).unwrap();
        write(rig.lower.join("f"), "server");
        write(rig.lower.join(".drift"), "a file of theirs");
        trap(&rig);
        rig.mount(&[]).ok();
        write(rig.mnt.join("f"), "client");
        let ran = rig.run(&["sync"]);
        assert!([0, 5].contains(&ran.code), "{what}: {ran:?}");
        let server = read(rig.lower.join("f"));
        assert_eq!(
            server == "client",
            ran.code == 0,
            "{what}: {server} {ran:?}"
        );
        assert_eq!(read(rig.mnt.join("f")), "client", "{what}");
        assert_eq!(read(rig.lower.join(".drift")), "a file of theirs");
        assert_eq!(
            fs::read_dir(rig.root.join("outside")).unwrap().count(),
            0,
            "{what}"
        );
        rig.umount().ok();
    }
}
