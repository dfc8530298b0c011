//! What a server says of set-id bits, capabilities and devices gives nobody rights here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{Ran, Rig, can_mount, run_limited, sh};

/// A user with no rights.
const NOBODY: u32 = 65534;

/// `cap_dac_override`, permitted and effective.
const CAPABILITY: &str = "0x0100000202000000000000000000000000000000";

fn as_nobody(script: &str, dir: &Path) -> Ran {
    let mut command = Command::new("bash");
    command
        .args(["-c", script])
        .current_dir(dir)
        .uid(NOBODY)
        .gid(NOBODY);
    run_limited(&mut command, Duration::from_secs(30))
}

/// A lower with everything that could give rights, within reach of everybody.
fn tempting() -> Rig {
    let rig = Rig::new();
    for dir in [&rig.root, &rig.lower, &rig.mnt] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
    sh(
        &format!(
            "cp /usr/bin/id suid; chmod 6755 suid; cp /usr/bin/cat able; setfattr -n security.capability -v {CAPABILITY} able; \
             mknod null c 1 3; mknod disk b 7 99; chmod 666 null disk; touch ../secret; chmod 600 ../secret"
        ),
        &rig.lower,
    );
    rig
}

/// The effective user and group of a set-id program.
fn who(dir: &Path) -> String {
    as_nobody("./suid -u; ./suid -g", dir).ok().out
}

const READ_SECRET: &str = "./able ../secret";

#[test]
fn bits_and_devices_of_a_server_give_no_rights() {
    if !can_mount("power::no_rights") {
        return;
    }
    let rig = tempting();
    // They would, where they are.
    assert_eq!(who(&rig.lower), "0\n0\n");
    assert_eq!(as_nobody(READ_SECRET, &rig.lower).code, 0);
    rig.mount(&[]).ok();
    let nobody = format!("{NOBODY}\n{NOBODY}\n");
    let harmless = |state: &str| {
        assert_eq!(who(&rig.mnt), nobody, "{state}");
        let ran = as_nobody(READ_SECRET, &rig.mnt);
        assert!(ran.err.contains("Permission denied"), "{state}: {ran:?}");
        for device in ["null", "disk"] {
            for mut command in [Command::new("cat"), Command::new("tee")] {
                let ran = run_limited(
                    command.arg(device).current_dir(&rig.mnt),
                    Duration::from_secs(10),
                );
                assert!(ran.err.contains("Permission denied"), "{state}: {ran:?}");
            }
        }
        assert_eq!(
            sh("stat -c %a suid; getfattr -d -m security able", &rig.mnt),
            "6755\n",
            "{state}"
        );
    };
    harmless("connected");
    rig.offline();
    harmless("offline");
    // Copied up, and moved about.
    sh(
        "touch suid able; mv able able2; mv able2 able; ln suid again; rm again",
        &rig.mnt,
    );
    harmless("copied up");
    rig.online().ok();
    harmless("merged");
    rig.umount().ok();
    rig.mount(&[]).ok();
    harmless("mounted again");
}

#[test]
fn asked_for_set_id_bits_work_and_capabilities_do_not() {
    if !can_mount("power::asked_for") {
        return;
    }
    let rig = tempting();
    rig.mount(&["-o", "suid,dev"]).ok();
    assert_eq!(who(&rig.mnt), "0\n0\n");
    sh(
        "head -c1 disk 2>&1 | grep -v denied || true; echo x > null",
        &rig.mnt,
    );
    // Capabilities of a server stay there; those given here count here, and stay here.
    let ran = as_nobody(READ_SECRET, &rig.mnt);
    assert!(ran.err.contains("Permission denied"), "{ran:?}");
    sh(
        &format!("cp /usr/bin/cat mine; setfattr -n security.capability -v {CAPABILITY} mine"),
        &rig.mnt,
    );
    let mine = READ_SECRET.replace("able", "mine");
    assert_eq!(as_nobody(&mine, &rig.mnt).code, 0);
    rig.run(&["sync"]).ok();
    assert_eq!(sh("getfattr -d -m security mine", &rig.lower), "");
    // Who writes takes them away, as on a local disk.
    sh("chmod 777 mine suid", &rig.mnt);
    sh("chmod 6777 suid", &rig.mnt);
    as_nobody("echo >> mine; echo >> suid", &rig.mnt).ok();
    assert_eq!(
        sh("stat -c %a suid; getfattr -d -m security mine", &rig.mnt),
        "777\n"
    );
}
