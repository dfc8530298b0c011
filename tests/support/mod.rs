//! What the mounted tests share: a rig of lower, mount point and state directory, and commands that cannot hang.
#![allow(dead_code)]

pub mod trees;
pub mod user;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longest any single command of a test may take.
const LIMIT: Duration = Duration::from_secs(120);

/// How much a test should do: `scripts/test full` asks for more.
pub fn scale(default: usize, full: usize) -> usize {
    if std::env::var("DRIFTFS_TEST_MODE").as_deref() == Ok("full") {
        full
    } else {
        default
    }
}

/// The seed a random test begins with (`DRIFTFS_SEED` replays one).
pub fn first_seed(default: u64) -> u64 {
    std::env::var("DRIFTFS_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Says why a test cannot run here; counted by `scripts/test`.
pub fn skip(test: &str, reason: &str) {
    println!("SKIPPED {test}: {reason}");
    if let Ok(file) = std::env::var("DRIFTFS_SKIPPED")
        && let Ok(mut file) = fs::OpenOptions::new().append(true).open(file)
    {
        let _ = writeln!(file, "{test}: {reason}");
    }
}

/// True when this machine lets us mount as the tests do; otherwise says so.
pub fn can_mount(test: &str) -> bool {
    if !nix_root() {
        skip(test, "needs root");
    } else if !Path::new("/dev/fuse").exists() {
        skip(test, "needs /dev/fuse");
    } else {
        return true;
    }
    false
}

fn nix_root() -> bool {
    fs::read_to_string("/proc/self/status")
        .is_ok_and(|s| s.lines().any(|l| l.starts_with("Uid:\t0\t0")))
}

/// Prints a number that `scripts/test` repeats in its summary.
pub fn measured(text: &str) {
    println!("measured: {text}");
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Exit code; 124 when it had to be killed.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Asserts exit code 0.
    #[track_caller]
    pub fn ok(self) -> Ran {
        self.code(0)
    }

    /// Asserts an exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Ran {
        assert_eq!(
            self.code, code,
            "stdout: {}\nstderr: {}",
            self.out, self.err
        );
        self
    }
}

/// Runs a command with no standard input, its output in files (so that what it leaves running holds no pipe), and a limit.
pub fn run_limited(command: &mut Command, limit: Duration) -> Ran {
    let out = tempfile::NamedTempFile::new().unwrap();
    let err = tempfile::NamedTempFile::new().unwrap();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out.reopen().unwrap())
        .stderr(err.reopen().unwrap())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let until = Instant::now() + limit;
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap_or(137);
        }
        if Instant::now() > until {
            let _ = Command::new("kill")
                .args(["-KILL", "--", &format!("-{}", child.id())])
                .status();
            // Not waited for without limit: it may sit in an unkillable sleep, which is what the test then reports.
            std::thread::sleep(Duration::from_millis(200));
            let _ = child.try_wait();
            break 124;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text =
        |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    Ran {
        code,
        out: text(out.path()),
        err: text(err.path()),
    }
}

/// Runs a program to its end, asserting success.
#[track_caller]
pub fn sh(script: &str, dir: &Path) -> String {
    sh_within(script, dir, LIMIT)
}

/// The same, where there is much to do.
#[track_caller]
pub fn sh_within(script: &str, dir: &Path, limit: Duration) -> String {
    let ran = run_limited(
        Command::new("bash").args(["-euc", script]).current_dir(dir),
        limit,
    );
    assert_eq!(
        ran.code, 0,
        "{script}\nstdout: {}\nstderr: {}",
        ran.out, ran.err
    );
    ran.out
}

/// Waits until `done` says so; the limit only ends a test that has failed already.
#[track_caller]
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A lower, a mount point and a state directory of their own.
pub struct Rig {
    pub lower: PathBuf,
    pub mnt: PathBuf,
    pub state: PathBuf,
    pub root: PathBuf,
    keep: Option<tempfile::TempDir>,
}

impl Rig {
    /// Empty directories, nothing mounted.
    pub fn new() -> Rig {
        let keep = tempfile::Builder::new().prefix("rig").tempdir().unwrap();
        let root = keep.path().canonicalize().unwrap();
        let rig = Rig {
            lower: root.join("lower"),
            mnt: root.join("mnt"),
            state: root.join("state"),
            root,
            keep: Some(keep),
        };
        fs::create_dir(&rig.lower).unwrap();
        fs::create_dir(&rig.mnt).unwrap();
        rig
    }

    /// The same, filled and mounted.
    pub fn mounted(fill: impl FnOnce(&Path), args: &[&str]) -> Rig {
        let rig = Rig::new();
        fill(&rig.lower);
        rig.mount(args).ok();
        rig
    }

    /// `driftfs mount` with these further arguments.
    pub fn mount(&self, args: &[&str]) -> Ran {
        let mut command = driftfs();
        command
            .arg("mount")
            .arg(&self.lower)
            .arg(&self.mnt)
            .arg("--state")
            .arg(&self.state)
            .args(args);
        run_limited(&mut command, LIMIT)
    }

    /// Any `driftfs` command on this mount.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_within(args, LIMIT)
    }

    /// The same, where there is much to do.
    pub fn run_within(&self, args: &[&str], limit: Duration) -> Ran {
        let mut command = driftfs();
        command.arg("-m").arg(&self.mnt).args(args);
        run_limited(&mut command, limit)
    }

    /// The same with `--json`, parsed.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut all = vec!["--json"];
        all.extend(args);
        let ran = self.run(&all);
        serde_json::from_str(&ran.out).unwrap_or_else(|e| {
            panic!(
                "{args:?} gave no JSON ({e}): code {} {} {}",
                ran.code, ran.out, ran.err
            )
        })
    }

    pub fn offline(&self) {
        self.run(&["offline"]).ok();
    }

    /// `online --wait` with its exit code.
    pub fn online(&self) -> Ran {
        self.run(&["online", "--wait"])
    }

    pub fn umount(&self) -> Ran {
        run_limited(driftfs().arg("umount").arg(&self.mnt), LIMIT)
    }

    /// Process number of the daemon, from `daemon.pid`.
    pub fn pid(&self) -> Option<u32> {
        fs::read_to_string(self.state.join("daemon.pid"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// `kill -9` of the daemon, and waits until it is gone.
    pub fn kill(&self) {
        let pid = self.pid().expect("a daemon is running");
        let _ = Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status();
        wait_for("the killed daemon to end", || !alive(pid));
    }

    /// Keeps the directories for a look afterwards.
    pub fn keep(&mut self) {
        if let Some(dir) = self.keep.take() {
            eprintln!("kept: {}", dir.keep().display());
        }
    }
}

fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .trim_start()
            .starts_with('Z')
    })
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.state.join("daemon.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- end of daemon.log");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
            if std::env::var_os("DRIFTFS_KEEP").is_some() {
                self.keep();
                return;
            }
        }
        let pid = self.pid();
        let _ = run_limited(
            Command::new("umount").arg("-l").arg(&self.mnt),
            Duration::from_secs(10),
        );
        if let Some(pid) = pid {
            let _ = Command::new("kill")
                .args(["-KILL", &pid.to_string()])
                .status();
        }
    }
}

/// The program under test.
pub fn driftfs() -> Command {
    Command::new(env!("CARGO_BIN_EXE_driftfs"))
}

/// Reads a file that must be there.
#[track_caller]
pub fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|mut f| f.read_to_string(&mut text))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text
}

/// Writes a file.
#[track_caller]
pub fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
