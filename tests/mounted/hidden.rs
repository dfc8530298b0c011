//! `.drift`: found in every directory, listed in none, and no way to write history.

use std::fs;

use crate::support::{Rig, can_mount, sh, write};

#[test]
fn hidden_paths_are_found_not_listed_and_read_only() {
    if !can_mount("hidden::paths") {
        return;
    }
    let rig = Rig::mounted(
        |lower| sh("mkdir -p d/e; echo x > d/e/f; echo y > g", lower).clear(),
        &[],
    );
    sh("cat g d/e/f; ls -a | grep -c drift | grep -qx 0 || exit 1; ls -a d | grep -c drift | grep -qx 0", &rig.mnt.join("")).clear();
    sh(
        "test \"$(cat .drift/base/d/e/f)\" = x; test \"$(cat d/.drift/server/e/f)\" = x; test \"$(cat d/e/.drift/client/f)\" = x; find . | grep -c drift | grep -qx 0",
        &rig.mnt,
    );
    for bad in [
        "mkdir .drift",
        "rm -r .drift",
        "rmdir .drift",
        "mv .drift x",
        "mv g .drift",
        "mv g .drift/base/h",
        "mv .drift/base/g h",
        "ln g .drift/base/h",
        "ln .drift/base/g h",
        "echo z > .drift/base/g",
        "echo z > .drift/server/new",
        "mkdir .drift/base/n",
        "rm .drift/server/g",
        "chmod 777 .drift/base/g",
        "chown 1 .drift/base/g",
        "truncate -s 0 .drift/server/g",
        "setfattr -n user.x -v y .drift/base/g",
        "touch .drift/base/g",
        "ln -s a .drift/base/l",
        "mkfifo d/.drift/client/p",
        "cat .drift/nonsense/g",
        "ls .drift/base/d/../../../..  | grep -q drift-nothing",
        "cat .drift/base/../../../etc/hostname",
    ] {
        let ran = crate::support::run_limited(
            std::process::Command::new("bash")
                .args(["-c", bad])
                .current_dir(&rig.mnt),
            std::time::Duration::from_secs(20),
        );
        assert_ne!(ran.code, 0, "`{bad}` must be refused: {ran:?}");
        assert_ne!(ran.code, 124, "`{bad}` hung");
    }
    assert_eq!(fs::read(rig.mnt.join("g")).unwrap(), b"y\n");
    write(rig.mnt.join("g"), "changed\n");
    assert_eq!(fs::read(rig.mnt.join(".drift/base/g")).unwrap(), b"y\n");
    assert_eq!(
        fs::read(rig.mnt.join(".drift/client/g")).unwrap(),
        b"changed\n"
    );
}
