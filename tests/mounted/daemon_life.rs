//! How a daemon begins, is told things, and ends.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Rig, can_mount, driftfs, read, run_limited, sh, trees, wait_for, write};

/// A mount whose agents answer nothing while the returned file exists.
fn with_silent_server(rig: &Rig) -> (crate::support::Ran, std::path::PathBuf) {
    let hang = rig.root.join("hang");
    write(&hang, "");
    let mut command = driftfs();
    command
        .env("DRIFTFS_AGENT_TEST_HANG", &hang)
        .arg("mount")
        .args([&rig.lower, &rig.mnt])
        .arg("--state")
        .arg(&rig.state);
    (run_limited(&mut command, Duration::from_secs(60)), hang)
}

#[test]
fn a_first_mount_needs_the_server_and_a_later_one_does_not() {
    if !can_mount("daemon_life::silent") {
        return;
    }
    let rig = Rig::new();
    write(rig.lower.join("f"), "below\n");
    let (first, hang) = with_silent_server(&rig);
    assert_eq!(first.code, 4, "{first:?}");
    assert!(first.err.contains("never mounted here before"), "{first:?}");
    fs::remove_file(hang).unwrap();
    rig.mount(&[]).ok();
    read(rig.mnt.join("f"));
    rig.umount().ok();
    let (again, hang) = with_silent_server(&rig);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(read(rig.mnt.join("f")), "below\n");
    write(rig.mnt.join("g"), "offline\n");
    assert_eq!(rig.json(&["st"])["link"]["cause"], "lost");
    rig.online().code(4);
    fs::remove_file(hang).unwrap();
    rig.online().ok();
    assert_eq!(read(rig.lower.join("g")), "offline\n");
}

#[test]
fn going_offline_stops_a_merge_and_going_online_ends_it() {
    if !can_mount("daemon_life::offline") {
        return;
    }
    let rig = Rig::mounted(|_| {}, &[]);
    rig.offline();
    sh(
        "mkdir many; for i in $(seq 600); do echo $i > many/$i; done",
        &rig.mnt,
    );
    let sent = || fs::read_dir(rig.lower.join("many")).map_or(0, Iterator::count);
    rig.run(&["online"]).ok();
    wait_for("the merge to begin", || sent() > 0);
    rig.offline();
    // A call that was under way when its agent was killed may still take effect, but no further one is begun.
    let then = sent();
    std::thread::sleep(Duration::from_secs(2));
    assert!(
        sent() <= then + 8,
        "{then} files had been sent, now {}",
        sent()
    );
    rig.online().ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn another_share_is_taken_only_when_a_person_says_so() {
    if !can_mount("daemon_life::identity") {
        return;
    }
    let rig = Rig::mounted(
        |lower| sh("echo a > a; echo b > b; mkdir d", lower).clear(),
        &[],
    );
    sh("cat a b; ls d", &rig.mnt);
    // Restored from a backup: the same files with other numbers, and one that is newer here.
    rig.offline();
    write(rig.mnt.join("a"), "newer here\n");
    sh(
        "cp -a lower restored; rm -r lower; mv restored lower; rm -rf lower/.driftfs",
        &rig.root,
    );
    rig.online().code(4);
    assert_eq!(rig.json(&["st"])["link"]["cause"], "identity");
    assert_eq!(read(rig.lower.join("a")), "a\n");
    let wrong = rig.run(&["approve"]).code(2);
    assert!(wrong.err.contains("--identity"), "{wrong:?}");
    rig.run(&["approve", "--identity"]).ok();
    rig.online().ok();
    assert_eq!(read(rig.lower.join("a")), "newer here\n");
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn in_the_foreground_it_ends_by_a_signal() {
    if !can_mount("daemon_life::foreground") {
        return;
    }
    let rig = Rig::new();
    write(rig.lower.join("f"), "below\n");
    let mut daemon = driftfs()
        .arg("mount")
        .arg("--foreground")
        .args([&rig.lower, &rig.mnt])
        .arg("--state")
        .arg(&rig.state)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the mount", || rig.mnt.join("f").exists());
    assert_eq!(read(rig.mnt.join("f")), "below\n");
    let _ = Command::new("kill")
        .args(["-TERM", &daemon.id().to_string()])
        .status();
    let until = Instant::now() + Duration::from_secs(20);
    let ended = loop {
        match daemon.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() > until => break None,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    if ended.is_none() {
        let _ = daemon.kill();
    }
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    assert!(!rig.mnt.join("f").exists(), "nothing stays mounted");
}

#[test]
fn a_mount_keeps_nothing_of_its_caller() {
    if !can_mount("daemon_life::descriptors") {
        return;
    }
    let rig = Rig::new();
    // The pipe to `cat`, descriptor 7 and the directory would keep this waiting, or busy, if the daemon kept them.
    let script = format!(
        "cd sub; exec 7> ../held; {} mount {} {} --state {} | cat; cd ..; rmdir sub",
        driftfs().get_program().to_str().unwrap(),
        rig.lower.display(),
        rig.mnt.display(),
        rig.state.display()
    );
    fs::create_dir(rig.root.join("sub")).unwrap();
    let told = sh(&script, &rig.root);
    assert!(told.contains("is shown at"), "{told}");
    let pid = rig.pid().unwrap();
    let links: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|fd| fs::read_link(fd.unwrap().path()).ok())
        .map(|path| path.display().to_string())
        .collect();
    assert!(
        !links.iter().any(|link| link.ends_with("held")),
        "{links:?}"
    );
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(cwd, std::path::Path::new("/"));
}

#[test]
fn read_only_mounts_change_nothing() {
    if !can_mount("daemon_life::ro") {
        return;
    }
    let rig = Rig::mounted(
        |lower| write(lower.join("f"), "below\n"),
        &["-o", "ro,noatime"],
    );
    assert_eq!(read(rig.mnt.join("f")), "below\n");
    let error = fs::write(rig.mnt.join("g"), "x").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(30), "EROFS: {error}");
}
