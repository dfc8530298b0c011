//! Large files through a real mount: opened at once, read in parts, whole when somebody needs the whole.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Rig, can_mount, driftfs, run_limited, scale, sh, trees, wait_for, write};

const MB: u64 = 1 << 20;

fn pattern(at: u64, seed: u8) -> Vec<u8> {
    let byte = |at: u64| (at / 4096) as u8 ^ (at as u8) ^ seed;
    (at..at + 4096).map(byte).collect()
}

/// A sparse file with 4 KiB of data at each spot.
fn make(path: &Path, size: u64, spots: &[u64]) {
    let file = File::create(path).unwrap();
    for at in spots {
        file.write_all_at(&pattern(*at, 0), *at).unwrap();
    }
    file.set_len(size).unwrap();
    let old = std::time::SystemTime::now() - Duration::from_secs(100);
    file.set_modified(old).unwrap();
}

fn part_of(file: &File, at: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4096];
    let got = file.read_at(&mut bytes, at)?;
    bytes.truncate(got);
    Ok(bytes)
}

fn shows(file: &File, at: u64) -> bool {
    part_of(file, at).unwrap() == pattern(at, 0)
}

/// KiB on disk beneath a directory.
fn used(dir: &Path) -> u64 {
    let told = sh("du -sk . | cut -f1", dir);
    told.trim().parse().unwrap()
}

fn parts(rig: &Rig) -> usize {
    let told = sh("find part -type f | wc -l", &rig.state);
    told.trim().parse().unwrap()
}

#[test]
fn the_header_of_a_large_file_is_read_without_the_rest() {
    if !can_mount("parts::header") {
        return;
    }
    // Data everywhere would take minutes and gigabytes to move.
    let spots: Vec<u64> = (0..300).map(|n| n * 8 * MB).collect();
    let rig = Rig::mounted(|lower| make(&lower.join("big"), 10 << 30, &spots), &[]);
    let before = used(&rig.state);
    let file = File::open(rig.mnt.join("big")).unwrap();
    assert!(shows(&file, 0) && shows(&file, 1600 * MB));
    assert_eq!(file.metadata().unwrap().len(), 10 << 30);
    assert!(part_of(&file, 10 << 30).unwrap().is_empty());
    drop(file);
    // Each spot is 4 KiB: two of them and what lies around them is nothing of 300.
    let grown = used(&rig.state) - before;
    assert!(grown < 600, "{grown} KiB for a header");
    let ran = run_limited(
        Command::new("cmp")
            .args(["-n", "4096", "lower/big", "mnt/big"])
            .current_dir(&rig.root),
        Duration::from_secs(60),
    );
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_mapping_of_a_large_file_reads_what_it_touches() {
    if !can_mount("parts::mapping") {
        return;
    }
    let rig = Rig::mounted(
        |lower| make(&lower.join("big"), 200 * MB, &[0, 150 * MB]),
        &[],
    );
    let file = File::open(rig.mnt.join("big")).unwrap();
    let len = 200 * MB as usize;
    // SAFETY: a fresh read-only mapping of an open file, used within its length and unmapped at the end.
    unsafe {
        let map = libc::mmap(
            std::ptr::null_mut(),
            len,
            libc::PROT_READ,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        );
        assert_ne!(map, libc::MAP_FAILED);
        let bytes = std::slice::from_raw_parts(map.cast::<u8>(), len);
        let at = (150 * MB) as usize;
        assert!(bytes[at..at + 4096] == pattern(150 * MB, 0));
        assert!(bytes[..4096] == pattern(0, 0));
        assert!(bytes[at + 4096..at + 8192] == [0; 4096]);
        libc::munmap(map, len);
    }
    assert!(parts(&rig) == 1, "it did not come in parts");
}

#[test]
fn the_first_write_waits_for_the_whole_and_is_merged() {
    if !can_mount("parts::write") {
        return;
    }
    let spots = [0, 60 * MB, 119 * MB];
    let rig = Rig::mounted(
        |lower| make(&lower.join("big"), 120 * MB, &spots),
        &["--push", "manual"],
    );
    let path = rig.mnt.join("big");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let reader = File::open(&path).unwrap();
    assert!(shows(&file, 0));
    file.write_all_at(b"mine", 60 * MB + 100).unwrap();
    let mut want = pattern(60 * MB, 0);
    want[100..104].copy_from_slice(b"mine");
    for opened in [&file, &reader] {
        assert!(part_of(opened, 60 * MB).unwrap() == want);
        assert!(shows(opened, 119 * MB));
    }
    file.sync_all().unwrap();
    assert_eq!(parts(&rig), 0);
    drop((file, reader));
    let status = rig.json(&["st"]);
    assert_eq!(
        status["counts"]["unsent"].as_u64().or(Some(1)),
        Some(1),
        "{status}"
    );
    rig.run(&["sync"]).ok();
    let below = File::open(rig.lower.join("big")).unwrap();
    assert!(part_of(&below, 60 * MB).unwrap() == want && shows(&below, 119 * MB));
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn one_emptied_or_cut_while_it_is_read_in_parts_is_what_it_was_made() {
    if !can_mount("parts::emptied") {
        return;
    }
    let fill = |lower: &Path| {
        for name in ["emptied", "cut", "gone"] {
            make(&lower.join(name), 100 * MB, &[0, 60 * MB]);
        }
    };
    let rig = Rig::mounted(fill, &["--push", "manual"]);
    let open = |name: &str| File::open(rig.mnt.join(name)).unwrap();
    let (emptied, cut, gone) = (open("emptied"), open("cut"), open("gone"));
    assert!(shows(&emptied, 0) && shows(&cut, 0) && shows(&gone, 0));
    write(rig.mnt.join("emptied"), "new");
    assert_eq!(part_of(&emptied, 0).unwrap(), b"new");
    assert!(part_of(&emptied, 60 * MB).unwrap().is_empty());
    sh("truncate -s 62914660 cut; rm gone", &rig.mnt);
    assert!(part_of(&cut, 60 * MB).unwrap() == pattern(60 * MB, 0)[..100]);
    // Without a name it is still the file it was.
    assert!(shows(&gone, 60 * MB));
    drop((emptied, cut, gone));
    rig.run(&["sync"]).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
    wait_for("the parts to go", || parts(&rig) == 0);
}

#[test]
fn parts_outlive_the_daemon_and_serve_without_the_server() {
    if !can_mount("parts::offline") {
        return;
    }
    let spots = [0, 60 * MB, 110 * MB];
    let rig = Rig::mounted(|lower| make(&lower.join("big"), 120 * MB, &spots), &[]);
    let file = File::open(rig.mnt.join("big")).unwrap();
    assert!(shows(&file, 0) && shows(&file, 60 * MB));
    drop(file);
    // Stored within a second or so after they came; an orderly end stores them anyhow.
    rig.umount().ok();
    rig.mount(&[]).ok();
    rig.offline();
    for clean in [true, false] {
        if clean {
            rig.umount().ok();
        } else {
            rig.kill();
        }
        rig.mount(&[]).ok();
        let file = File::open(rig.mnt.join("big")).unwrap();
        assert!(shows(&file, 0) && shows(&file, 60 * MB), "{clean}");
        let away = part_of(&file, 110 * MB).unwrap_err();
        assert_eq!(away.raw_os_error(), Some(libc::ENODATA), "{clean}");
        drop(file);
        // A change needs the whole.
        let file = OpenOptions::new()
            .write(true)
            .open(rig.mnt.join("big"))
            .unwrap();
        let refused = file.write_all_at(b"x", 0).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ENODATA), "{clean}");
    }
    rig.online().ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
    let file = File::open(rig.mnt.join("big")).unwrap();
    assert!(spots.iter().all(|at| shows(&file, *at)));
}

#[test]
fn who_waits_for_a_part_of_a_silent_server_can_be_killed() {
    if !can_mount("parts::killed") {
        return;
    }
    let rig = Rig::new();
    make(&rig.lower.join("big"), 120 * MB, &[0, 60 * MB]);
    let hang = rig.root.join("hang");
    let mut command = driftfs();
    command
        .env("DRIFTFS_AGENT_TEST_HANG", &hang)
        .arg("mount")
        .args([&rig.lower, &rig.mnt])
        .arg("--state")
        .arg(&rig.state);
    run_limited(&mut command, Duration::from_secs(60)).ok();
    let mut file = File::open(rig.mnt.join("big")).unwrap();
    let mut first = [0; 16];
    file.read_exact(&mut first).unwrap();
    write(rig.root.join("hang.read"), "");
    let mut waits = Command::new("dd")
        .args(["if=big", "of=/dev/null", "bs=4k", "count=1", "skip=15360"])
        .current_dir(&rig.mnt)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(700));
    waits.kill().unwrap();
    wait_for("the killed reader to end", || {
        waits.try_wait().unwrap().is_some()
    });
    // What is here is read all the while.
    assert!(shows(&file, 0));
    fs::remove_file(rig.root.join("hang.read")).unwrap();
    wait_for("the return", || part_of(&file, 60 * MB).is_ok());
    assert!(shows(&file, 60 * MB));
}

#[test]
fn a_daemon_killed_while_parts_come_never_shows_other_bytes() {
    if !can_mount("parts::kill") {
        return;
    }
    let rig = Rig::new();
    let spots: Vec<u64> = (0..60).map(|n| n * MB + 4096 * n).collect();
    make(&rig.lower.join("big"), 60 * MB, &spots);
    for round in 0..scale(4, 30) {
        rig.mount(&[]).ok();
        let path = rig.mnt.join("big");
        let wanted = spots.clone();
        let reader = std::thread::spawn(move || {
            let Ok(file) = File::open(path) else { return };
            for (n, at) in wanted.iter().rev().enumerate() {
                // The mount may die in between; what is read is right.
                match part_of(&file, *at) {
                    Ok(bytes) => assert!(bytes == pattern(*at, 0), "{n}"),
                    Err(_) => return,
                }
            }
        });
        std::thread::sleep(Duration::from_millis(30 + 90 * (round as u64 % 7)));
        rig.kill();
        reader.join().unwrap();
        sh("umount -l mnt 2>/dev/null || true", &rig.root);
    }
    rig.mount(&[]).ok();
    let file = File::open(rig.mnt.join("big")).unwrap();
    assert!(spots.iter().all(|at| shows(&file, *at)));
    drop(file);
    rig.umount().ok();
    let checked = run_limited(
        driftfs().arg("check").arg("--state").arg(&rig.state),
        Duration::from_secs(60),
    );
    assert_eq!(checked.code, 0, "{checked:?}");
}
