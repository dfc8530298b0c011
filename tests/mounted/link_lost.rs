//! The server goes: nothing hangs, nothing unreachable is taken for deleted.

use std::fs;
use std::time::Duration;

use crate::support::{Rig, can_mount, read, run_limited, sh, trees, wait_for, write};

fn filled() -> Rig {
    let rig = Rig::mounted(
        |lower| {
            sh(
                "mkdir d; echo a > a; echo b > d/b; for i in $(seq 30); do echo $i > d/f$i; done",
                lower,
            )
            .clear()
        },
        &[],
    );
    sh("cat a d/*", &rig.mnt);
    rig
}

#[test]
fn an_empty_root_is_not_a_mass_removal() {
    if !can_mount("link_lost::empty") {
        return;
    }
    let rig = filled();
    let away = rig.root.join("away");
    fs::rename(&rig.lower, &away).unwrap();
    fs::create_dir(&rig.lower).unwrap();
    wait_for("the link to notice", || {
        rig.json(&["st"])["link"]["state"] == "disconnected"
    });
    assert_eq!(read(rig.mnt.join("d/b")), "b\n");
    sh("echo more >> a; ls d | wc -l | grep -qx 31", &rig.mnt);
    rig.online().code(4);
    assert!(
        fs::read_dir(&rig.lower).unwrap().next().is_none(),
        "nothing may be written to a foreign directory"
    );
    fs::remove_dir(&rig.lower).unwrap();
    fs::rename(&away, &rig.lower).unwrap();
    wait_for("the return", || rig.online().code == 0);
    trees::assert_equal(&rig.mnt, &rig.lower);
    assert_eq!(read(rig.lower.join("a")), "a\nmore\n");
}

#[test]
fn a_lower_that_is_gone_and_comes_back() {
    if !can_mount("link_lost::gone") {
        return;
    }
    let rig = filled();
    let away = rig.root.join("away");
    fs::rename(&rig.lower, &away).unwrap();
    wait_for("the link to notice", || {
        rig.json(&["st"])["link"]["state"] == "disconnected"
    });
    sh("echo x > d/new; rm a", &rig.mnt);
    fs::rename(&away, &rig.lower).unwrap();
    wait_for("the return by itself", || {
        rig.json(&["st"])["link"]["state"] == "connected"
    });
    rig.run(&["sync"]).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
    assert!(!rig.lower.join("a").exists());
}

#[test]
fn a_silent_server_hangs_nobody() {
    if !can_mount("link_lost::silent") {
        return;
    }
    let rig = filled();
    // Stopped agents answer nothing, like a dead hard mount.
    let pid = rig.pid().unwrap();
    let stop = format!(
        "for i in $(seq 100); do pkill -STOP -P {pid} -f ' agent ' || true; sleep 0.1; done"
    );
    let mut stopper = std::process::Command::new("bash")
        .args(["-c", &stop])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    for script in [
        "cat a",
        "ls -l d",
        "echo y > d/y",
        "mv d/y d/z",
        "df .",
        "stat d/z",
        "rm d/z",
    ] {
        let ran = run_limited(
            std::process::Command::new("bash")
                .args(["-c", script])
                .current_dir(&rig.mnt),
            Duration::from_secs(60),
        );
        assert_eq!(ran.code, 0, "{script}: {}", ran.err);
    }
    let _ = stopper.kill();
    let _ = stopper.wait();
    sh(
        &format!("pkill -CONT -P {pid} -f ' agent ' || true"),
        &rig.root,
    );
    wait_for("the return", || rig.online().code == 0);
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn the_brake_holds_a_mass_removal_until_approved() {
    if !can_mount("link_lost::brake") {
        return;
    }
    let rig = Rig::mounted(
        |lower| {
            sh(
                "mkdir d; for i in $(seq 200); do echo $i > d/f$i; done; echo keep > keep",
                lower,
            )
            .clear()
        },
        &[],
    );
    sh("cat d/* keep > /dev/null", &rig.mnt);
    rig.offline();
    sh("rm -r d", &rig.lower);
    write(rig.mnt.join("mine"), "mine\n");
    rig.online().code(6);
    assert!(rig.mnt.join("d/f7").exists());
    rig.run(&["approve"]).ok();
    rig.online().ok();
    assert!(!rig.mnt.join("d").exists());
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn umount_returns_with_a_silent_server() {
    if !can_mount("link_lost::umount") {
        return;
    }
    let rig = filled();
    let pid = rig.pid().unwrap();
    sh(
        &format!("pkill -STOP -P {pid} -f ' agent ' || true"),
        &rig.root,
    );
    let ran = run_limited(
        crate::support::driftfs().arg("umount").arg(&rig.mnt),
        Duration::from_secs(30),
    );
    sh(
        &format!("pkill -CONT -P {pid} -f ' agent ' || true"),
        &rig.root,
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
}
