//! Special files, hard links, attributes: they arrive as they are, and the server's stay as they were.

use std::os::unix::fs::MetadataExt;

use crate::support::{Rig, can_mount, sh, trees};

#[test]
fn devices_links_owners_and_attributes_travel() {
    if !can_mount("special::travel") {
        return;
    }
    let rig = Rig::mounted(
        |lower| {
            sh(
                "mkdir s; mkfifo s/pipe; mknod s/null c 1 3; echo x > s/one; ln s/one s/two; chown 1234:2345 s/one; setfattr -n user.k -v v s/one; setfattr -n user.dir -v w s; chmod 3777 s",
                lower,
            );
        },
        &["-o", "dev"],
    );
    trees::assert_equal(&rig.mnt, &rig.lower);
    rig.offline();
    sh(
        "mkdir c; mkfifo c/pipe; mknod c/zero c 1 5; echo y > c/y; ln c/y c/z; chown 77:88 c/y; setfattr -n user.q -v r c/y; chmod 2755 c; ln -s nowhere c/l; printf '%s' x > \"$(printf 'c/\\377\\n')\"",
        &rig.mnt,
    );
    rig.online().ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
    let meta = std::fs::metadata(rig.lower.join("c/y")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.nlink()), (77, 88, 2));
}

#[test]
fn a_socket_stays_here() {
    if !can_mount("special::socket") {
        return;
    }
    let rig = Rig::mounted(|_| {}, &[]);
    let _socket = std::os::unix::net::UnixListener::bind(rig.mnt.join("sock")).unwrap();
    rig.run(&["sync"]).ok();
    assert!(rig.mnt.join("sock").exists());
    assert!(!rig.lower.join("sock").exists());
}

#[test]
fn an_attribute_each_side_is_merged_and_the_same_one_is_a_conflict() {
    if !can_mount("special::attributes") {
        return;
    }
    let rig = Rig::mounted(|lower| sh("echo x > f; echo y > g", lower).clear(), &[]);
    sh("cat f g", &rig.mnt);
    rig.offline();
    sh(
        "chmod 700 f; setfattr -n user.mine -v 1 f; chmod 711 g",
        &rig.mnt,
    );
    sh(
        "chown 5:6 f; setfattr -n user.theirs -v 2 f; chmod 755 g",
        &rig.lower,
    );
    rig.online().code(3);
    let told = rig.json(&["conflicts"]);
    assert_eq!(told["conflicts"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["conflicts"][0]["kind"], "attribute");
    for side in [&rig.mnt, &rig.lower] {
        let told = sh(
            "stat -c '%a %u %g' f; getfattr --only-values -n user.mine f; getfattr --only-values -n user.theirs f",
            side,
        );
        assert_eq!(told, "700 5 6\n12");
    }
}

#[test]
fn a_missing_security_label_is_not_supported_and_one_that_is_set_is_shown() {
    if !can_mount("special::label") {
        return;
    }
    if std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        return crate::support::skip("special::label", "SELinux is on and answers by itself");
    }
    let rig = Rig::mounted(|lower| crate::support::write(lower.join("f"), "x"), &[]);
    let told = sh(
        "python3 - <<'END'\nimport errno, os\nfor name in ('security.selinux', 'user.none'):\n    try: os.getxattr('f', name)\n    except OSError as e: print(errno.errorcode[e.errno])\nos.setxattr('f', 'security.selinux', b'label')\nprint(os.getxattr('f', 'security.selinux').decode(), os.listxattr('f'))\nEND",
        &rig.mnt,
    );
    assert_eq!(told, "ENOTSUP\nENODATA\nlabel ['security.selinux']\n");
}
