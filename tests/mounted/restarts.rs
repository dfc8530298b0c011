//! Ends, clean and unclean: what was acknowledged is there afterwards.

use std::fs;

use crate::support::{Rig, can_mount, driftfs, read, run_limited, sh, trees, wait_for, write};

#[test]
fn kill_nine_and_come_back() {
    if !can_mount("restarts::kill") {
        return;
    }
    let rig = Rig::mounted(
        |lower| write(lower.join("f"), "below\n"),
        &["--push", "manual"],
    );
    sh(
        "cat f; echo here >> f; mkdir d; echo new > d/n; ln -s q d/s",
        &rig.mnt,
    );
    rig.kill();
    // ENOTCONN, or ECONNABORTED when the kernel is just taking it down.
    let dead = fs::metadata(&rig.mnt).unwrap_err().raw_os_error();
    assert!(
        matches!(dead, Some(107 | 103)),
        "a dead mount is in the way: {dead:?}"
    );
    rig.mount(&["--push", "manual"]).ok();
    assert_eq!(read(rig.mnt.join("f")), "below\nhere\n");
    assert_eq!(read(rig.mnt.join("d/n")), "new\n");
    rig.run(&["sync"]).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn offline_by_hand_survives_a_restart_and_mounting_needs_no_server() {
    if !can_mount("restarts::offline") {
        return;
    }
    let rig = Rig::mounted(|lower| write(lower.join("f"), "below\n"), &[]);
    read(rig.mnt.join("f"));
    rig.offline();
    rig.umount().ok();
    let away = rig.root.join("away");
    fs::rename(&rig.lower, &away).unwrap();
    rig.mount(&[]).ok();
    assert_eq!(rig.json(&["st"])["link"]["state"], "disconnected");
    assert_eq!(read(rig.mnt.join("f")), "below\n");
    write(rig.mnt.join("g"), "offline\n");
    fs::rename(&away, &rig.lower).unwrap();
    rig.online().ok();
    assert_eq!(read(rig.lower.join("g")), "offline\n");
}

#[test]
fn unmounting_names_programs_and_lets_them_finish() {
    if !can_mount("restarts::busy") {
        return;
    }
    let rig = Rig::mounted(|_| {}, &["--push", "manual"]);
    write(rig.mnt.join("f"), "1\n");
    let mut sleeper = std::process::Command::new("bash")
        .args(["-c", "exec 3>>f; sleep 3; echo 2 >&3"])
        .current_dir(&rig.mnt)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the program to open it", || {
        fs::read_link(format!("/proc/{}/fd/3", sleeper.id())).is_ok()
    });
    let told = rig.umount().ok();
    assert!(
        format!("{}{}", told.out, told.err).contains(&sleeper.id().to_string()),
        "{told:?}"
    );
    sleeper.wait().unwrap();
    rig.mount(&["--push", "manual"]).ok();
    assert_eq!(read(rig.mnt.join("f")), "1\n2\n");
}

#[test]
fn refusals_say_why() {
    if !can_mount("restarts::refusals") {
        return;
    }
    let rig = Rig::mounted(|_| {}, &[]);
    let second = rig.root.join("second");
    fs::create_dir(&second).unwrap();
    let mount = |args: &[&str]| {
        run_limited(
            driftfs().arg("mount").args(args),
            std::time::Duration::from_secs(60),
        )
    };
    let path = |p: &std::path::Path| p.to_str().unwrap().to_string();
    let (lower, state) = (path(&rig.lower), path(&rig.state));
    let inside = path(&rig.lower.join("inside"));
    fs::create_dir(&inside).unwrap();
    write(rig.root.join("file"), "");
    for args in [
        vec![lower.as_str(), &path(&second), "--state", &state],
        vec![&lower, &inside, "--state", &path(&rig.root.join("s2"))],
        vec![&inside, &lower, "--state", &path(&rig.root.join("s3"))],
        vec![
            &lower,
            &path(&second),
            "--state",
            &path(&rig.lower.join("s4")),
        ],
        vec![
            &path(&rig.root.join("file")),
            &path(&second),
            "--state",
            &path(&rig.root.join("s5")),
        ],
        vec![
            &lower,
            &path(&second),
            "--state",
            &path(&rig.root.join("s6")),
            "-o",
            "nonsense",
        ],
    ] {
        let ran = mount(&args);
        assert!(ran.code == 1 || ran.code == 2, "{args:?}: {ran:?}");
        assert!(ran.err.len() > 30, "{args:?}: {ran:?}");
    }
}

#[test]
fn a_mount_over_its_own_lower_works() {
    if !can_mount("restarts::covered") {
        return;
    }
    let mut rig = Rig::new();
    rig.mnt = rig.lower.clone();
    write(rig.lower.join("f"), "below\n");
    rig.mount(&[]).ok();
    assert_eq!(read(rig.mnt.join("f")), "below\n");
    write(rig.mnt.join("g"), "new\n");
    rig.run(&["sync"]).ok();
    rig.umount().ok();
    assert_eq!(read(rig.lower.join("g")), "new\n");
}

#[test]
fn the_program_may_lie_under_its_own_mount() {
    if !can_mount("restarts::own_program") {
        return;
    }
    let rig = Rig::new();
    let program = rig.lower.join("driftfs");
    std::fs::copy(crate::support::driftfs().get_program(), &program).unwrap();
    let over = |args: &[&str]| {
        let mut command = std::process::Command::new(&program);
        crate::support::run_limited(command.args(args), std::time::Duration::from_secs(60))
    };
    let (lower, state) = (rig.lower.to_str().unwrap(), rig.state.to_str().unwrap());
    over(&["mount", lower, lower, "--state", state]).ok();
    write(rig.lower.join("f"), "over\n");
    over(&["-m", lower, "online", "--wait"]).ok();
    over(&["umount", lower]).ok();
    assert_eq!(read(rig.lower.join("f")), "over\n");
}
