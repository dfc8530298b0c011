//! POSIX access control lists behave as on the file system underneath, and travel.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::bed::{PLACES, back, python};
use crate::support::{Rig, can_mount, sh, trees, wait_for};

/// Strangers have to get in.
fn open_to_all(rig: &Rig) {
    for dir in [&rig.root, &rig.lower, &rig.mnt] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn lists_do_what_they_do_underneath() {
    if !can_mount("acl::underneath") {
        return;
    }
    let rig = Rig::new();
    open_to_all(&rig);
    let native = rig.root.join("native");
    fs::create_dir(&native).unwrap();
    let below = python("acls.py", &[], &native, "underneath");
    sh(
        &format!(
            "for d in old-connected old-offline; do mkdir $d; (cd $d; {}); done",
            "umask 027; touch f; mkdir d; chmod 640 f; chmod 750 d"
        ),
        &rig.lower,
    );
    rig.mount(&[]).ok();
    sh("find . -type f -exec cat -- {} +", &rig.mnt);
    for (from, state) in PLACES {
        if (from, state) == ("new", "offline") {
            rig.offline();
        }
        let dir = rig.mnt.join(format!("{from}-{state}"));
        if from == "new" {
            fs::create_dir(&dir).unwrap();
        }
        let here = python("acls.py", &[], &dir, state);
        let differing: Vec<_> = below
            .lines()
            .zip(here.lines())
            .filter(|(a, b)| a != b)
            .map(|(a, b)| format!("underneath: {a}\n      here: {b}"))
            .collect();
        assert!(
            differing.is_empty(),
            "{from}, {state}:\n{}",
            differing.join("\n")
        );
        assert_eq!(below.lines().count(), here.lines().count());
    }
    back(&rig);
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn lists_travel_both_ways() {
    if !can_mount("acl::travel") {
        return;
    }
    let rig = Rig::mounted(
        |lower| {
            sh(
                "touch f g; mkdir d; setfacl -m u:1000:rw f; setfacl -d -m u:1000:rwx d; touch d/in",
                lower,
            );
        },
        &[],
    );
    trees::assert_equal(&rig.mnt, &rig.lower);
    sh(
        "setfacl -m g:7:r g; chmod 600 f; setfacl -k d; mkdir e; setfacl -d -m u:8:rx e; touch e/new; mkdir e/sub",
        &rig.mnt,
    );
    rig.run(&["sync"]).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
    sh(
        "setfacl -b f; setfacl -m u:9:rwx g; setfacl -m u:9:rwx e; setfacl -d -m o::- d",
        &rig.lower,
    );
    let list = || {
        xattr::get(rig.mnt.join("g"), "system.posix_acl_access").unwrap()
            == xattr::get(rig.lower.join("g"), "system.posix_acl_access").unwrap()
    };
    rig.run(&["sync"]).ok();
    wait_for("the server's list", list);
    trees::assert_equal(&rig.mnt, &rig.lower);
    // One side each.
    rig.offline();
    sh("setfacl -m u:10:r f; chmod 711 d", &rig.mnt);
    sh("setfacl -b g; setfacl -b e/new", &rig.lower);
    rig.online().ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn a_list_of_the_share_is_not_pushed_onto_what_is_made_here() {
    if !can_mount("acl::share") {
        return;
    }
    // What is staged beneath the root of the share must not keep what it inherits there.
    let rig = Rig::mounted(
        |lower| sh("mkdir plain; setfacl -d -m u:1000:rwx,o::rwx .", lower).clear(),
        &[],
    );
    sh(
        "mkdir plain/d; echo x > plain/f; chmod 640 plain/f; mkdir inherits; echo y > inherits/f",
        &rig.mnt,
    );
    rig.run(&["sync"]).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
    let lists = |path: &Path| {
        let names = xattr::list(path).unwrap();
        names
            .filter(|name| name.to_string_lossy().starts_with("system."))
            .count()
    };
    assert_eq!(lists(&rig.lower.join("plain/d")), 0);
    assert_eq!(lists(&rig.lower.join("plain/f")), 0);
    assert_eq!(lists(&rig.lower.join("inherits")), 2);
}

#[test]
fn a_server_without_lists_is_a_note() {
    if !can_mount("acl::note") {
        return;
    }
    let rig = Rig::new();
    // A file system that knows no extended attributes at all.
    sh(
        &format!("mount -t ramfs none {}", rig.lower.display()),
        &rig.root,
    );
    let unmount = Unmount(&rig.lower);
    rig.mount(&[]).ok();
    sh(
        "echo x > f; setfacl -m u:1000:rw f; mkdir d; setfacl -d -m u:1000:rwx d; echo y > d/g",
        &rig.mnt,
    );
    let told = rig.run(&["sync"]).ok().out;
    for name in ["system.posix_acl_access", "system.posix_acl_default"] {
        let note = format!("the server does not keep {name}");
        assert!(told.contains(&note), "{told}");
    }
    assert_eq!(fs::read(rig.lower.join("d/g")).unwrap(), b"y\n");
    let told = sh("getfacl -n f d/g", &rig.mnt);
    assert_eq!(told.matches("user:1000:rw").count(), 2, "{told}");
    rig.umount().ok();
    drop(unmount);
}

/// Unmounts at the end, whatever happened.
struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.0)
            .status();
    }
}
