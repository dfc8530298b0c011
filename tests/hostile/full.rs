//! A server without room, a server that may not be written, a cache disk without room.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{Rig, can_mount, read, run_limited, sh, skip, trees, write};

const MIB: usize = 1 << 20;

/// A small file system of its own, unmounted at the end.
struct Disk(PathBuf);

impl Disk {
    fn new(rig: &Rig, at: &Path, mkfs: &str) -> Option<Disk> {
        let image = rig.root.join("disk.img");
        fs::create_dir_all(at).unwrap();
        let script = format!(
            "{mkfs} {0} >/dev/null && mount -o loop {0} {1}",
            image.display(),
            at.display()
        );
        let ran = run_limited(
            Command::new("bash").args(["-c", &script]),
            Duration::from_secs(60),
        );
        (ran.code == 0).then(|| Disk(at.into()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        run_limited(umount.arg("-l").arg(&self.0), Duration::from_secs(20));
    }
}

/// Writes and syncs; what is acknowledged must be read again for ever.
fn put(path: PathBuf, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[test]
fn a_full_server_takes_what_it_can_and_the_rest_waits() {
    const TEST: &str = "a_full_server_takes_what_it_can_and_the_rest_waits";
    if !can_mount(TEST) {
        return;
    }
    let rig = Rig::new();
    let mkfs = "f() { truncate -s 24M $1; mkfs.ext4 -q $1; }; f";
    let Some(_disk) = Disk::new(&rig, &rig.lower, mkfs) else {
        return skip(TEST, "needs loop devices");
    };
    let _ = fs::remove_dir(rig.lower.join("lost+found"));
    write(rig.lower.join("a"), "server");
    rig.mount(&[]).ok();
    read(rig.mnt.join("a"));
    rig.offline();
    for n in 0..30 {
        write(rig.mnt.join(format!("big{n}")), vec![n; MIB]);
    }
    write(rig.mnt.join("a"), "client");
    rig.online().code(5);
    let pending = rig.json(&["st"])["pending"].clone();
    assert!(
        pending[0]["reason"].as_str().unwrap().contains("make room"),
        "{pending}"
    );
    assert_eq!(read(rig.lower.join("a")), "client");
    for n in 0..30 {
        assert_eq!(
            fs::read(rig.mnt.join(format!("big{n}"))).unwrap(),
            vec![n; MIB]
        );
        let there = fs::read(rig.lower.join(format!("big{n}")));
        assert!(
            there.is_err() || there.unwrap() == vec![n; MIB],
            "half a file"
        );
    }
    sh("rm big1? big2?", &rig.mnt);
    if rig.run(&["sync"]).code == 6 {
        rig.run(&["approve"]).ok();
    }
    sh("rm -rf .driftfs/retained/*", &rig.lower);
    rig.online().ok();
    trees::assert_equal(&rig.lower, &rig.mnt);
}

#[test]
fn a_read_only_server_is_read_and_changes_wait() {
    if !can_mount("a_read_only_server_is_read_and_changes_wait") {
        return;
    }
    let rig = Rig::new();
    write(rig.lower.join("a"), "server");
    sh(
        "mount --bind lower lower && mount -o remount,bind,ro lower",
        &rig.root,
    );
    let _disk = Disk(rig.lower.clone());
    rig.mount(&[]).ok();
    assert_eq!(read(rig.mnt.join("a")), "server");
    write(rig.mnt.join("a"), "client");
    write(rig.mnt.join("new"), "new");
    rig.run(&["sync"]).code(5);
    assert_eq!(read(rig.lower.join("a")), "server");
    assert_eq!(
        (read(rig.mnt.join("a")), read(rig.mnt.join("new"))),
        ("client".into(), "new".into())
    );
    assert_eq!(rig.json(&["st"])["link"]["state"], "connected");
    sh("mount -o remount,bind,rw lower", &rig.root);
    rig.online().ok();
    trees::assert_equal(&rig.lower, &rig.mnt);
}

#[test]
fn a_full_cache_disk_refuses_bytes_and_loses_none() {
    const TEST: &str = "a_full_cache_disk_refuses_bytes_and_loses_none";
    if !can_mount(TEST) {
        return;
    }
    let mut rig = Rig::new();
    let at = rig.root.join("cache");
    let Some(_disk) = Disk::new(&rig, &at, "f() { truncate -s 310M $1; mkfs.xfs -q $1; }; f")
    else {
        return skip(TEST, "needs loop devices");
    };
    rig.state = at.join("state");
    write(rig.lower.join("a"), "server");
    write(rig.lower.join("b"), "server");
    rig.mount(&[]).ok();
    sh("cat a b", &rig.mnt);
    rig.offline();
    let full = fill(&rig, "w", 1);
    // What frees room, or costs only rows, still works.
    sh("rm w0; mv b c; mkdir dir; chmod 600 a", &rig.mnt);
    check(&rig, &full[1..], 1);
    // Somebody else fills the rest of the disk: all that is left is to refuse and to read.
    let ballast = fs::File::create(at.join("ballast")).unwrap();
    let chunk = vec![9; 64 << 10];
    while (&ballast).write_all(&chunk).is_ok() {}
    while (&ballast).write_all(&chunk[..512]).is_ok() {}
    let refused = put(rig.mnt.join("late"), b"late").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::ENOSPC));
    check(&rig, &full[1..], 1);
    let code = rig.online().code;
    assert!([0, 1, 5].contains(&code), "{code}");
    assert!(rig.json(&["st"])["pid"].is_number(), "the daemon is gone");
    drop(ballast);
    fs::remove_file(at.join("ballast")).unwrap();
    rig.online().ok();
    trees::assert_equal(&rig.lower, &rig.mnt);
    assert_eq!(read(rig.lower.join("c")), "server");
}

/// Writes files until the disk is full; gives the numbers of those acknowledged.
fn fill(rig: &Rig, prefix: &str, byte: u8) -> Vec<usize> {
    let mut full = Vec::new();
    for n in 0..400 {
        match put(rig.mnt.join(format!("{prefix}{n}")), &vec![byte; MIB]) {
            Ok(()) => full.push(n),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::ENOSPC), "{error}");
                return full;
            }
        }
    }
    panic!("a small disk took 400 MiB")
}

fn check(rig: &Rig, full: &[usize], byte: u8) {
    assert!(full.len() > 10);
    for n in full {
        assert_eq!(
            fs::read(rig.mnt.join(format!("w{n}"))).unwrap(),
            vec![byte; MIB],
            "w{n}"
        );
    }
}
