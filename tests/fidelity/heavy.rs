//! Long suites of others; `scripts/test full` installs what they need and asks for them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::bed::everywhere;
use crate::support::{Ran, measured, run_limited, scale, sh, skip};

fn is_full() -> bool {
    scale(0, 1) == 1
}

fn run(program: &str, args: &[&str], dir: &std::path::Path, place: &str) {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir);
    let ran = run_limited(&mut command, Duration::from_secs(600));
    assert_eq!(
        ran.code, 0,
        "{program} {args:?}, {place}: {}\n{}",
        ran.out, ran.err
    );
}

#[test]
fn fio_writes_and_verifies() {
    if !is_full() {
        return;
    }
    let engines: [&[&str]; 4] = [
        &["--ioengine=sync"],
        &["--ioengine=libaio", "--iodepth=16"],
        &["--ioengine=mmap"],
        &["--ioengine=libaio", "--iodepth=16", "--direct=1"],
    ];
    everywhere("fio", "head -c 64M /dev/urandom > data", |dir, place| {
        for engine in engines {
            let mut args = vec![
                "--name=verify",
                "--filename=data",
                "--size=64M",
                "--rw=randwrite",
                "--bs=4k-128k",
                "--blockalign=4k",
                "--verify=crc32c",
                "--verify_fatal=1",
                "--do_verify=1",
                "--randseed=7",
            ];
            args.extend(engine);
            run("fio", &args, dir, place);
        }
    });
}

/// Stressors of calls that a file system answers, as far as the installed version has them.
const STRESSORS: &str = "access chattr chdir chmod chown copy-file dentry dir dirdeep dirmany dnotify dup fallocate fcntl fiemap file-ioctl \
    filename filerace flock fpunch fsize fstat getdent handle hdd inode-flags inotify io iomix lease link locka lockf lockofd metamix \
    mknod mmap mmapmany msync open readahead rename revio seek sendfile splice symlink sync-file touch truncate unlink utime verity \
    xattr aiol";

/// The exit code of a stressor with its checks on, in a directory of its own.
fn stress(stressor: &str, dir: &Path) -> Ran {
    let work = dir.join("work");
    sh("rm -rf work; mkdir work", dir);
    let mut command = Command::new("stress-ng");
    command
        .args(["--verify", "--timeout", "1s", "--quiet", "--temp-path"])
        .args([work.as_os_str(), format!("--{stressor}").as_ref()])
        .args(["2", "--mmap-bytes", "8M", "--hdd-bytes", "16M"])
        .current_dir(dir);
    run_limited(&mut command, Duration::from_secs(60))
}

#[test]
fn stressors_of_file_systems() {
    if !is_full() {
        return;
    }
    let Ok(told) = Command::new("stress-ng").arg("--stressors").output() else {
        skip("heavy::stressors", "needs stress-ng");
        return;
    };
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let here: Vec<&str> = told.split_whitespace().collect();
    let (list, missing): (Vec<_>, Vec<_>) = STRESSORS
        .split_whitespace()
        .partition(|name| here.contains(name));
    if !missing.is_empty() {
        skip(
            "heavy::stressors",
            &format!("this stress-ng has no {missing:?}"),
        );
    }
    let native = tempfile::tempdir().unwrap();
    // Not every kernel can everything: what ends otherwise than well underneath may end so on the mount.
    let below: Vec<i32> = list
        .iter()
        .map(|name| stress(name, native.path()).code)
        .collect();
    let mut worse = Vec::new();
    everywhere("stress-ng", "mkdir work", |dir, place| {
        for (stressor, below) in list.iter().zip(&below) {
            let ran = stress(stressor, dir);
            // 3: no resources, 4: not implemented here; both are no failed check.
            if ran.code != *below && ![0, 3, 4].contains(&ran.code) {
                worse.push(format!(
                    "{stressor}, {place}: {}, underneath {below}: {}{}",
                    ran.code, ran.out, ran.err
                ));
            } else if ran.code != *below {
                measured(&format!(
                    "stress-ng {stressor}, {place}: {}, underneath {below}",
                    ran.code
                ));
            }
        }
    });
    assert!(worse.is_empty(), "{}", worse.join("\n"));
    measured(&format!(
        "stress-ng: {} stressors in four places",
        list.len()
    ));
}

#[test]
fn the_modules_of_a_language_pass_their_own_tests() {
    let there = Command::new("python3")
        .args(["-c", "import test.test_os"])
        .output();
    if !is_full() || !there.is_ok_and(|ran| ran.status.success()) {
        return;
    }
    everywhere("python's tests", "mkdir tmp", |dir, _| {
        let modules = "test_os test_shutil test_mmap test_fcntl test_tempfile test_pathlib test_sqlite3 test_glob test_zipfile";
        sh(
            &format!(
                "cd tmp; TMPDIR=$PWD timeout 900 python3 -m test -q --tempdir $PWD {modules} > ../out 2>&1 || {{ tail -40 ../out >&2; exit 1; }}"
            ),
            dir,
        );
    });
}
