//! Mounts of users without rights, through `fusermount3`: the same file system, minus what needs root.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::bed::{PLACES, many, script};
use crate::support::user::{UID, User};
use crate::support::{sh, wait_for};

/// Brings a script within reach of the user.
fn lend(user: &User, name: &str) -> std::path::PathBuf {
    let there = user.rig.root.join(name);
    fs::copy(script(name), &there).unwrap();
    fs::set_permissions(&there, fs::Permissions::from_mode(0o644)).unwrap();
    there
}

#[track_caller]
fn python(user: &User, path: &Path, args: &[&str], dir: &Path, place: &str) -> String {
    let all = [&[path.to_str().unwrap()], args].concat();
    let ran = user.program(Path::new("python3"), &all, dir);
    assert_eq!(
        ran.code,
        0,
        "{}, {place}: {}\n{}",
        path.display(),
        ran.out,
        ran.err
    );
    ran.out
}

#[test]
fn programs_of_a_user_see_a_local_disk() {
    let Some(user) = User::new("user::programs") else {
        return;
    };
    let rig = &user.rig;
    let names = ["calls.py", "locks.py", "directories.py", "databases.py"];
    let scripts = names.map(|name| lend(&user, name));
    let prepare = format!(
        "for i in $(seq 20000); do printf 0123456789; done > f; echo lock > lock; mkdir many; cd many; \
         seq -f 'entry %.0f' {} | tr '\\n' '\\0' | xargs -0 touch",
        many() / 4
    );
    let native = rig.root.join("native");
    user.sh(
        &format!("mkdir ../native; cd ../native; {prepare}"),
        &rig.lower,
    );
    let below = python(&user, &scripts[0], &[], &native, "underneath");
    for state in ["connected", "offline"] {
        user.sh(
            &format!("mkdir old-{state}; cd old-{state}; {prepare}"),
            &rig.lower,
        );
    }
    user.mount(&[]).ok();
    user.sh("find . -type f -exec cat -- {} + > ../tmp/read", &rig.mnt);
    for (from, state) in PLACES {
        let place = format!("{from}-{state}");
        if (from, state) == ("new", "offline") {
            user.run(&["offline"]).ok();
        }
        if from == "new" {
            user.sh(&format!("mkdir {place}; cd {place}; {prepare}"), &rig.mnt);
        }
        let dir = rig.mnt.join(&place);
        let here = python(&user, &scripts[0], &[], &dir, &place);
        let differing: Vec<_> = below
            .lines()
            .zip(here.lines())
            .filter(|(a, b)| a != b)
            .collect();
        assert!(
            differing.is_empty(),
            "{place}: underneath, here: {differing:#?}"
        );
        assert_eq!(below.lines().count(), here.lines().count());
        for (path, args) in [(1, &[][..]), (2, &[]), (3, &["3"])] {
            python(&user, &scripts[path], args, &dir, &place);
        }
    }
    let ran = user.run(&["online", "--wait"]);
    if ran.code == 6 {
        user.run(&["approve"]).ok();
    } else {
        ran.ok();
    }
    user.run(&["sync"]).ok();
    same(&user, "at the end");
    // The end, and another start.
    user.run(&["offline"]).ok();
    rig.kill();
    user.sh_any("fusermount3 -uz mnt", &rig.root);
    user.mount(&[]).ok();
    user.sh("echo again > again", &rig.mnt);
    user.run(&["online", "--wait"]).ok();
    same(&user, "after another start");
    user.run(&["umount"]).ok();
}

#[test]
fn a_hostile_tree_of_a_user_is_copied_whole() {
    let Some(user) = User::new("user::round_trip") else {
        return;
    };
    let rig = &user.rig;
    let hostile = lend(&user, "hostile.py");
    user.sh("mkdir tree", &rig.lower);
    python(&user, &hostile, &["100"], &rig.lower.join("tree"), "lower");
    user.mount(&["--push", "manual"]).ok();
    let tools = [
        (
            "rsync",
            "mkdir $2 && rsync -aHAXS --modify-window=-1 $1/ $2/",
        ),
        (
            "tar",
            "mkdir $2 && tar -C $1 --xattrs --acls --sparse -cf - . | tar -C $2 --xattrs --acls -xpf -",
        ),
        ("cp", "cp -a $1 $2"),
    ];
    let expected = user.listing(&rig.lower.join("tree"));
    for state in ["connected", "offline"] {
        if state == "offline" {
            user.run(&["offline"]).ok();
        }
        for (name, recipe) in tools {
            // Away from the mount, and onto it.
            for (from, to) in [
                ("mnt/tree", format!("tmp/{name}-{state}")),
                ("lower/tree", format!("mnt/{name}-{state}")),
            ] {
                let script = format!("set -o pipefail; set -- {from} {to}; {recipe}");
                user.sh(&script, &rig.root);
                let told = user.listing(&rig.root.join(&to));
                assert!(
                    told == expected,
                    "{name}, {to}: {}",
                    first(&expected, &told)
                );
                // Sending is what takes long; one of them stands for all.
                if to.starts_with("mnt") && name != "cp" {
                    user.sh(&format!("rm -rf {to}"), &rig.root);
                }
            }
        }
    }
    user.run(&["online", "--wait"]).ok();
    user.run(&["sync"]).ok();
    same(&user, "at the end");
}

/// The mount and the server are the same to the user.
#[track_caller]
fn same(user: &User, what: &str) {
    let (here, there) = (user.listing(&user.rig.mnt), user.listing(&user.rig.lower));
    assert!(here == there, "{what}: {}", first(&here, &there));
}

/// The first lines that differ.
fn first(left: &str, right: &str) -> String {
    let pairs = left.lines().zip(right.lines()).filter(|(a, b)| a != b);
    let told: Vec<String> = pairs.take(5).map(|(a, b)| format!("{a}\n   {b}")).collect();
    format!(
        "{}\n({} and {} lines)",
        told.join("\n"),
        left.lines().count(),
        right.lines().count()
    )
}

/// What a script of another user, or of root, answers in the mount.
fn stranger(user: &User, uid: u32, script: &str) -> i32 {
    let script = format!(
        "exec setpriv --reuid {uid} --regid {uid} --clear-groups bash -c '{script}' 2> /dev/null; exit 99"
    );
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &script]).current_dir(&user.rig.root);
    crate::support::run_limited(&mut command, std::time::Duration::from_secs(30)).code
}

#[test]
fn who_may_enter() {
    let Some(user) = User::new("user::who_may_enter") else {
        return;
    };
    let rig = &user.rig;
    user.sh(
        "echo all > all; echo own > own; chmod 644 all; chmod 600 own; mkdir open closed; chmod 777 open; chmod 700 closed; \
         touch closed/f",
        &rig.lower,
    );
    user.mount(&[]).ok();
    // Nobody else, not even root: so documented, and so the kernel.
    for uid in [0, 1] {
        assert_ne!(stranger(&user, uid, "ls mnt"), 0, "uid {uid}");
        assert_ne!(stranger(&user, uid, "cat mnt/all"), 0, "uid {uid}");
    }
    assert_eq!(user.sh("cat all own", &rig.mnt), "all\nown\n");
    user.run(&["umount"]).ok();

    let refused = user.mount(&["-o", "allow_other"]);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("user_allow_other"), "{}", refused.err);
    for option in ["dev", "suid"] {
        let told = user.mount(&["-o", option]).code(2).err;
        assert!(told.contains("needs root"), "{told}");
    }

    user.grant_others();
    user.mount(&["-o", "allow_other"]).ok();
    // Others come in, and the modes decide as on a local disk.
    let may = |script: &str| stranger(&user, 1, script) == 0;
    assert!(may("cat mnt/all") && may("ls mnt/open") && may("echo x > mnt/open/theirs"));
    for script in [
        "cat mnt/own",
        "ls mnt/closed",
        "echo x >> mnt/all",
        "rm -f mnt/all",
        "chmod 777 mnt/own",
        "touch mnt/new",
    ] {
        assert!(!may(script), "{script}");
    }
    assert_eq!(sh("stat -c '%u %g' open/theirs", &rig.mnt), "1 1\n");
    assert_eq!(stranger(&user, 0, "cat mnt/own > /dev/null"), 0);
    // Set-id bits of such a mount give nobody rights.
    assert!(sh("findmnt -no OPTIONS mnt", &rig.root).contains("nosuid"));
    user.run(&["umount"]).ok();
}

#[test]
fn files_of_others_and_a_server_that_refuses() {
    let Some(user) = User::new("user::files_of_others") else {
        return;
    };
    let rig = &user.rig;
    user.sh("mkdir mine shared; echo mine > mine/f", &rig.lower);
    // Root's, as a server that squashes root shows them to whoever it does not know.
    sh(
        "mkdir secret; echo s > secret/f; chmod 700 secret; echo read > readable; chmod 644 readable; echo no > private; \
         chmod 600 private; mkdir sticky; chmod 1777 sticky; echo t > sticky/theirs; mkdir readonly; echo r > readonly/f; \
         echo g > shared/group; chmod 666 shared/group; chmod 777 shared; mkdir listed; echo l > listed/f; chmod 711 listed",
        &rig.lower,
    );
    for name in ["readable", "private", "secret"] {
        chown(rig.lower.join(name), Some(0), Some(0)).unwrap();
    }
    user.mount(&[]).ok();
    let told = user.sh(
        "stat -c '%n %u %a' secret readable private sticky/theirs; cat readable mine/f shared/group",
        &rig.mnt,
    );
    assert_eq!(
        told,
        "secret 0 700\nreadable 0 644\nprivate 0 600\nsticky/theirs 0 644\nread\nmine\ng\n"
    );
    let denied = [
        ("cat private", "Permission denied"),
        ("ls secret", "Permission denied"),
        ("cat secret/f", "Permission denied"),
        ("echo x >> readable", "Permission denied"),
        ("touch readonly/new", "Permission denied"),
        ("rm -f readonly/f", "Permission denied"),
        ("rm -f sticky/theirs", "Operation not permitted"),
        ("chmod 777 readable", "Operation not permitted"),
        ("chown 0 mine/f", "Operation not permitted"),
        ("ls listed", "Permission denied"),
        ("mknod mine/null c 1 3", "Operation not permitted"),
        (
            "setfattr -n trusted.x -v y mine/f",
            "Operation not permitted",
        ),
    ];
    let all_refused = |state: &str| {
        for (script, reason) in denied {
            let ran = user.sh_any(script, &rig.mnt);
            let said = format!("{script}, {state}: {} {}", ran.code, ran.err);
            assert!(ran.code != 0 && ran.err.contains(reason), "{said}");
            // The server says the same to this user.
            assert_ne!(user.sh_any(script, &rig.lower).code, 0, "{script}");
        }
    };
    all_refused("connected");
    user.sh(
        "echo more >> shared/group; echo new > shared/new; echo u > sticky/ours; echo e >> mine/f; mkdir mine/d",
        &rig.mnt,
    );
    // Replaced, a file of somebody else would be this user's: that waits, and everything else goes on.
    let told = user.run(&["sync"]).code(5).out;
    assert!(
        told.contains("shared/group: sending it would change its owner"),
        "{told}"
    );
    assert_eq!(
        sh("cat shared/group mine/f; stat -c %u shared/new", &rig.lower),
        format!("g\nmine\ne\n{UID}\n")
    );
    user.run(&["offline"]).ok();
    all_refused("offline");
    user.sh(
        "echo off >> mine/f; mv shared/new mine/moved; rm sticky/ours",
        &rig.mnt,
    );
    // Meanwhile the server takes rights away, and gives some.
    sh("chmod 644 private; chmod 700 readonly", &rig.lower);
    user.run(&["online", "--wait"]).code(5);
    assert_eq!(
        sh("tail -1 mine/f; cat mine/moved; ls sticky", &rig.lower),
        "off\nnew\ntheirs\n"
    );
    wait_for("what the server gives", || {
        user.sh_any("cat private", &rig.mnt).out == "no\n"
    });
    // What this user may not see is no loss, and nobody's deletion.
    assert_eq!(
        sh("cat readonly/f secret/f listed/f", &rig.lower),
        "r\ns\nl\n"
    );
    assert!(user.run(&["st"]).ok().out.len() > 10);
}
