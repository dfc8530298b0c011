//! A daemon that is killed while the kernel is being told to forget a name, and a program waits in the same directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Rig, can_mount, read, run_limited, sh, wait_for, write};

/// The one child of the daemon that tells the kernel.
fn teller(daemon: u32) -> u32 {
    let found = run_limited(
        Command::new("pgrep").args(["-P", &daemon.to_string(), "-f", " teller "]),
        Duration::from_secs(10),
    );
    found.out.trim().parse().expect("one teller")
}

fn threads(pid: u32) -> Vec<PathBuf> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    tasks
        .into_iter()
        .flatten()
        .flatten()
        .map(|task| task.path())
        .collect()
}

/// The single letter `ps` shows for a thread, and where in the kernel it waits.
fn state(thread: &Path) -> (char, String) {
    let stat = fs::read_to_string(thread.join("stat")).unwrap_or_default();
    let letter = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    (
        letter.unwrap_or('?'),
        fs::read_to_string(thread.join("wchan")).unwrap_or_default(),
    )
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(sent.unwrap().success(), "kill {name} {pid}");
}

#[test]
fn a_name_being_forgotten_does_not_keep_a_dead_mount_waiting() {
    if !can_mount("killed::forgotten") {
        return;
    }
    let rig = Rig::mounted(|lower| drop(sh("mkdir d; echo x > d/x", lower)), &[]);
    sh("cat d/x", &rig.mnt);
    rig.offline();
    // The kernel keeps it that there is no such name, until the server may be asked again.
    assert!(!rig.mnt.join("d/none").exists());
    let (daemon, teller) = (rig.pid().unwrap(), teller(rig.pid().unwrap()));
    signal("-STOP", teller);
    rig.online().ok();
    // The message is with the teller when the daemon's thread waits for its answer.
    wait_for("the message", || {
        threads(daemon).iter().any(|thread| {
            let name = fs::read_to_string(thread.join("comm")).unwrap_or_default();
            name.trim() == "driftfs-notify" && state(thread).1.starts_with("unix_stream")
        })
    });
    signal("-STOP", daemon);
    // It holds the lock of `d` and waits for a reply that will not come.
    let writer = Command::new("bash")
        .args(["-c", "echo y > d/none"])
        .current_dir(&rig.mnt)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let waits = PathBuf::from(format!("/proc/{}", writer.id()));
    wait_for("the program to wait", || {
        state(&waits).1.contains("request_wait")
    });
    signal("-CONT", teller);
    wait_for("the teller to wait for the lock", || {
        threads(teller).iter().any(|thread| state(thread).0 == 'D')
    });
    rig.kill();
    wait_for("the program to be refused and the teller to end", || {
        threads(teller).is_empty() && state(&waits).0 == 'Z'
    });
    let ended = writer.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("not connected"), "{said}");
    rig.mount(&[]).ok();
    write(rig.mnt.join("d/none"), "again\n");
    rig.online().ok();
    assert_eq!(read(rig.lower.join("d/none")), "again\n");
}

#[test]
fn a_teller_that_is_killed_is_replaced_and_nothing_stays_untold() {
    if !can_mount("killed::teller") {
        return;
    }
    let rig = Rig::mounted(|lower| drop(sh("mkdir d; echo x > d/x", lower)), &[]);
    sh("cat d/x", &rig.mnt);
    for round in 0..5 {
        rig.offline();
        let new = format!("d/new{round}");
        assert!(!rig.mnt.join(&new).exists());
        signal("-KILL", teller(rig.pid().unwrap()));
        write(rig.lower.join(&new), "new\n");
        write(rig.lower.join("d/x"), &format!("round {round}\n"));
        rig.online().ok();
        wait_for("the name to be seen", || rig.mnt.join(&new).exists());
        wait_for("the bytes to be seen", || {
            read(rig.mnt.join("d/x")) == format!("round {round}\n")
        });
    }
}
