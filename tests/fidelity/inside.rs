//! What the kernel's door has no way through for, what happens instead, and what the store underneath does for us.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::bed::{everywhere, python};
use crate::support::{Rig, can_mount, run_limited, sh, skip, write};

/// `docs/semantics.md` says the same in words.
const LIMITS: &str = "\
O_TMPFILE failed ENOTSUP
clone failed ENOTSUP
copy gave 1048576
dedupe failed ENOTSUP
collapse failed ENOTSUP
insert failed ENOTSUP
unshare failed ENOTSUP
get flags failed ENOTTY
set flags failed ENOTTY
fiemap failed ENOTSUP
whiteout failed EINVAL
exists True
birth False
atime moved by reading False
";

#[test]
fn what_fuse_cannot_give() {
    everywhere("inside::limits", "echo x > there", |dir, place| {
        assert_eq!(python("limits.py", &[], dir, place), LIMITS, "{place}");
    });
}

/// Programs that would use what is not there fall back.
#[test]
fn programs_do_without() {
    let prepare = "head -c 3M /dev/urandom > a; echo text > words";
    everywhere("inside::fall_back", prepare, |dir, place| {
        sh(
            "! cp --reflink=always a no 2> err; grep -q 'Operation not supported' err; cp --reflink=auto a b; cmp a b; mv b c; \
             ! lsattr words 2> err; ! chattr +i words 2> err; rm no err",
            dir,
        );
        let script = "import os, tempfile\n\
            f = tempfile.TemporaryFile(dir='.'); f.write(b'x' * 5000); f.flush()\n\
            assert os.fstat(f.fileno()).st_nlink == 0 and os.fstat(f.fileno()).st_size == 5000\n\
            print(sorted(os.listdir('.')))";
        let mut command = Command::new("python3");
        command.args(["-c", script]).current_dir(dir);
        let told = run_limited(&mut command, Duration::from_secs(60)).ok().out;
        assert_eq!(told, "['a', 'c', 'words']\n", "{place}");
    });
}

/// Live files of a state directory.
fn live(rig: &Rig) -> Vec<PathBuf> {
    let told = sh("find live -type f", &rig.state);
    told.lines().map(|line| rig.state.join(line)).collect()
}

fn shared_extents(path: &Path) -> usize {
    let mut command = Command::new("filefrag");
    command.arg("-v").arg(path);
    let told = run_limited(&mut command, Duration::from_secs(30)).out;
    told.lines().filter(|line| line.contains("shared")).count()
}

#[test]
fn a_copy_inside_the_mount_is_a_clone_in_the_store() {
    if !can_mount("inside::clone") {
        return;
    }
    let rig = Rig::new();
    write(rig.root.join("one"), vec![1u8; 1 << 20]);
    let mut probe = Command::new("cp");
    probe
        .args(["--reflink=always", "one", "two"])
        .current_dir(&rig.root);
    if run_limited(&mut probe, Duration::from_secs(30)).code != 0
        || Command::new("filefrag").arg("-V").output().is_err()
    {
        skip(
            "inside::clone",
            "needs a file system with reflinks, and filefrag",
        );
        return;
    }
    sh("head -c 8M /dev/urandom > old", &rig.lower);
    rig.mount(&["--push", "manual"]).ok();
    for (state, files) in [("connected", 4), ("offline", 7)] {
        if state == "offline" {
            rig.offline();
        }
        let new = format!("new-{state}");
        let script = format!(
            "head -c 8M /dev/urandom > {new}; cat old > ../read; for f in old {new}; do cp $f $f-{state}; cmp $f $f-{state}; done; sync *"
        );
        sh(&script, &rig.mnt);
        let all = live(&rig);
        let shared = all.iter().filter(|path| shared_extents(path) > 0).count();
        assert_eq!((all.len(), shared), (files, files), "{state}");
    }
}

/// syncfs(2) does not come through: bytes go to the daemon, and only fsync makes them durable.
#[test]
fn syncfs_is_not_told_and_fsync_is() {
    if !can_mount("inside::syncfs") {
        return;
    }
    if Command::new("strace").arg("-V").output().is_err() {
        skip("inside::syncfs", "needs strace");
        return;
    }
    let rig = Rig::mounted(|_| {}, &["--push", "manual"]);
    let log = rig.root.join("strace");
    let syncs = |script: &str| {
        let _ = fs::remove_file(&log);
        let script = format!(
            "strace -f -qq -e trace=fsync,fdatasync,syncfs -o {log} -p {pid} & tracer=$!; \
             for i in $(seq 100); do grep -q ^TracerPid:.$tracer /proc/{pid}/status && break; sleep 0.1; done; \
             (cd {mnt}; {script}); sleep 0.2; kill -INT $tracer; wait $tracer || true; cat {log}",
            log = log.display(),
            pid = rig.pid().unwrap(),
            mnt = rig.mnt.display(),
        );
        sh(&script, &rig.root)
    };
    // The live file is synced by fsync alone; what the daemon syncs in the background is the database.
    let live = |told: &str| told.matches("= 0").count();
    sh("head -c 1M /dev/urandom > f", &rig.mnt);
    assert!(live(&syncs("sync f")) > 0);
    sh("head -c 1M /dev/urandom > g", &rig.mnt);
    assert_eq!(live(&syncs("sync -f g")), 0);
}

/// inotify tells of changes made through the mount; those of the server show, and tell nobody.
#[test]
fn changes_of_the_server_are_seen_and_not_announced() {
    if !can_mount("inside::inotify") {
        return;
    }
    let rig = Rig::mounted(|lower| write(lower.join("f"), "one"), &[]);
    let script = r#"
import ctypes, os, sys, time
libc = ctypes.CDLL(None)
n = libc.inotify_init1(0o4000)
assert libc.inotify_add_watch(n, b".", 0x2 | 0x8 | 0x100 | 0x200) >= 0
open("../lower/theirs", "w").close()
until = time.time() + 60
while "theirs" not in os.listdir(".") and time.time() < until:
    time.sleep(0.05)
assert "theirs" in os.listdir(".")
try:
    told = os.read(n, 4096)
except BlockingIOError:
    told = b""
print(b"theirs" in told)
open("ours", "w").close()
print(b"ours" in os.read(n, 4096))
"#;
    let mut command = Command::new("python3");
    command.args(["-c", script]).current_dir(&rig.mnt);
    let told = run_limited(&mut command, Duration::from_secs(90)).ok().out;
    assert_eq!(told, "False\nTrue\n");
}
