//! Long suites of others; `scripts/test full` installs what they need and asks for them.

use std::process::Command;
use std::time::Duration;

use crate::bed::everywhere;
use crate::support::{run_limited, scale, sh};

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

#[test]
fn stressors_of_file_systems() {
    if !is_full() {
        return;
    }
    let stressors = [
        "access",
        "chmod",
        "chown",
        "copy-file",
        "dentry",
        "dir",
        "dirdeep",
        "dirmany",
        "fallocate",
        "fcntl",
        "file-ioctl",
        "filename",
        "flock",
        "fpunch",
        "fsize",
        "fstat",
        "getdent",
        "hdd",
        "iomix",
        "lease",
        "link",
        "locka",
        "lockf",
        "lockofd",
        "metamix",
        "mknod",
        "open",
        "readahead",
        "rename",
        "revio",
        "seek",
        "symlink",
        "sync-file",
        "touch",
        "truncate",
        "unlink",
        "utime",
        "verity",
        "xattr",
    ];
    everywhere("stress-ng", "mkdir work", |dir, place| {
        for stressor in stressors {
            let name = format!("--{stressor}");
            let args = [
                "--temp-path",
                "work",
                "--verify",
                "--timeout",
                "3s",
                "--quiet",
                &name,
                "2",
            ];
            let mut command = Command::new("stress-ng");
            command.args(args).current_dir(dir);
            let ran = run_limited(&mut command, Duration::from_secs(120));
            // 3: no resources, 4: not implemented here; both are no failed check.
            assert!(
                [0, 3, 4].contains(&ran.code),
                "{stressor}, {place}: {} {}\n{}",
                ran.code,
                ran.out,
                ran.err
            );
        }
    });
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
