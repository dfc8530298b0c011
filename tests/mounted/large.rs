//! A large tree: it mounts, is walked online and offline, and costs the memory of what is kept, not of what is there.
//! `DRIFTFS_LARGE=1000000` gives it so many files.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Ran, Rig, can_mount, driftfs, measured, run_limited, scale};

/// Files in one directory, directories in one above.
const EACH: usize = 100;
/// Only to end a test that has failed.
const LIMIT: Duration = Duration::from_secs(3600);
/// Nodes kept in memory: fewer than there are.
const KEPT: usize = 1000;

fn size() -> usize {
    let asked = std::env::var("DRIFTFS_LARGE").ok();
    asked
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| scale(3_000, 100_000))
}

fn fill(lower: &Path, files: usize) {
    for dir in 0..files / EACH {
        let path = lower.join(format!("d{}/s{}", dir / EACH, dir % EACH));
        fs::create_dir_all(&path).unwrap();
        for file in 0..EACH {
            fs::File::create(path.join(format!("file{file}.txt"))).unwrap();
        }
    }
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    measured(&format!(
        "large tree: {what} {:.1} s",
        began.elapsed().as_secs_f32()
    ));
    done
}

fn count(rig: &Rig) -> usize {
    let mut find = Command::new("find");
    find.arg(&rig.mnt)
        .args(["-type", "f", "-size", "0", "-printf", "."]);
    let ran = run_limited(&mut find, LIMIT);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    ran.out.len()
}

/// Memory of the daemon's own in KiB.
fn memory(rig: &Rig) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", rig.pid().unwrap())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.trim().parse().unwrap()
}

fn mount(rig: &Rig) -> Ran {
    let mut command = driftfs();
    command
        .arg("mount")
        .args([&rig.lower, &rig.mnt])
        .arg("--state")
        .arg(&rig.state);
    command.args(["--push", "manual", "--inode-cache", &KEPT.to_string()]);
    run_limited(&mut command, LIMIT)
}

#[test]
fn a_large_tree_is_walked_online_and_offline_in_little_memory() {
    if !can_mount("large") {
        return;
    }
    let (rig, files) = (Rig::new(), size());
    timed("made in", || fill(&rig.lower, files));
    timed("first mount", || mount(&rig).ok());
    assert_eq!(timed("first walk", || count(&rig)), files);
    assert_eq!(timed("second walk", || count(&rig)), files);
    let walked = memory(&rig);
    measured(&format!(
        "large tree: {files} files, {walked} KiB after walks"
    ));
    rig.run_within(&["offline"], LIMIT).ok();
    assert_eq!(timed("walk offline", || count(&rig)), files);
    assert_eq!(timed("second walk offline", || count(&rig)), files);
    timed("umount", || rig.umount().ok());
    timed("mount again, offline", || mount(&rig).ok());
    assert_eq!(timed("cold walk offline", || count(&rig)), files);
    let cold = memory(&rig);
    // What the kernel holds is counted here too, one number for each; rows are kept for few.
    let most = 48 * 1024 + files / 8;
    assert!(
        cold < most,
        "{cold} KiB for {files} files, of which {KEPT} are kept"
    );
    measured(&format!("large tree: {cold} KiB after a cold walk"));
    rig.umount().ok();
}
