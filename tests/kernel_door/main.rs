//! The kernel's door on a real mount, with a lower that can be made silent: errors of what is not here, waits that end
//! at their deadline or by a signal, and the calls of a plain file system.

mod below;
#[path = "../support/mod.rs"]
mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use below::Below;
use driftfs::fetch::Fetch;
use driftfs::fuse::{MountOptions, Mounted, mount};
use driftfs::link::{Event, Link};
use driftfs::lower::Lower;
use driftfs::meta::Meta;
use driftfs::objects::Objects;
use driftfs::overlay::{Hooks, Overlay, Settings};
use driftfs::tree::Tree;
use support::{Ran, can_mount, run_limited, sh};

/// A mount in this process.
struct Door {
    dir: tempfile::TempDir,
    mounted: Mounted,
    link: Arc<Link>,
    below: Arc<Below>,
}

impl Door {
    fn open(prepare: &str) -> Door {
        Door::with(prepare, Hooks::default())
    }

    fn with(prepare: &str, hooks: Hooks) -> Door {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).expect("a directory");
            path
        };
        let (lower, mountpoint, state) = (at("lower"), at("mnt"), at("state"));
        sh(prepare, &lower);
        let below = Arc::new(Below {
            root: lower,
            answers: AtomicBool::new(true),
            lists: AtomicUsize::new(0),
        });
        let meta = Arc::new(Meta::open(&state).expect("a database"));
        let objects = Arc::new(Objects::open(&state).expect("a store"));
        let tree = Arc::new(Tree::open(meta, objects).expect("a tree"));
        let link = Arc::new(Link::connected());
        let server: Arc<dyn Lower> = Arc::clone(&below) as Arc<dyn Lower>;
        let fetch = Arc::new(Fetch::new(Arc::clone(&tree), server, Arc::clone(&link)));
        let settings = Settings {
            mountpoint: mountpoint.clone(),
            state_dir: state.clone(),
            noxattr: false,
        };
        let overlay = Overlay::new(tree, fetch, Arc::clone(&link), hooks, settings);
        let options = MountOptions {
            program: env!("CARGO_BIN_EXE_driftfs").into(),
            mountpoint,
            source: "test".into(),
            passthrough: true,
            ..MountOptions::default()
        };
        let mounted = mount(&options, Arc::new(overlay)).expect("a mount");
        Door {
            dir,
            mounted,
            link,
            below,
        }
    }

    fn run(&self, script: &str) -> Ran {
        let mut bash = Command::new("bash");
        bash.args(["-euc", script])
            .current_dir(self.mounted.mountpoint());
        run_limited(&mut bash, Duration::from_secs(60))
    }

    fn offline(&self) {
        self.link.step(&Event::Offline, "for the test");
    }

    fn silence(&self) {
        self.below.answers.store(false, Ordering::Release);
    }

    fn spawn(&self, script: &str) -> Child {
        Command::new("bash")
            .args(["-c", &format!("exec {script}")])
            .current_dir(self.mounted.mountpoint())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash")
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Lets everything go that a failed test may have left waiting.
        self.below.answers.store(true, Ordering::Release);
        if let Err(error) = self.mounted.unmount(true) {
            eprintln!("{}: {error}", self.dir.path().display());
        }
        if !self.mounted.join(Duration::from_secs(20)) {
            eprintln!("the mount is still in use");
        }
    }
}

/// Waits for a child at most a minute.
fn ended(child: &mut Child) -> std::process::ExitStatus {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().expect("our child") {
            return status;
        }
        assert!(Instant::now() < until, "the caller hangs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_not_here_is_refused_with_its_own_error_and_a_reason() {
    if !can_mount("kernel_door::misses") {
        return;
    }
    let door = Door::open("mkdir d e; echo x > d/f; echo here > g; echo away > h");
    door.run("cat g; ls").ok();
    door.offline();
    let script = r#"
import os, errno
def fails(number, call, *args):
    try: call(*args)
    except OSError as e: assert e.errno == number, (e, number)
    else: raise AssertionError(("no error", args))
assert open('g').read() == 'here\n'
fails(errno.ENODATA, open, 'h')
fails(errno.EAGAIN, os.open, 'h', os.O_RDONLY|os.O_NONBLOCK)
fails(errno.EHOSTDOWN, os.stat, 'd/f')
fails(errno.EHOSTDOWN, os.listdir, 'd')
fails(errno.EHOSTDOWN, open, 'd/new', 'w')
fails(errno.EHOSTDOWN, os.mkdir, 'd/new')
fails(errno.EHOSTDOWN, os.rmdir, 'd')
fails(errno.ENOENT, os.stat, 'nothing')
open('h', 'w').write('new'); assert open('h').read() == 'new'
os.mkdir('n'); open('n/f', 'w').write('1'); assert os.listdir('n') == ['f']
assert b'driftfs' in os.getxattr('d', 'user.drift.why'), os.getxattr('d', 'user.drift.why')
assert os.listxattr('d') == []
fails(errno.EEXIST, os.mkdir, '.drift')
fails(errno.EPERM, os.mkdir, '.driftfs')
fails(errno.EPERM, os.rename, 'g', '.driftfs')
fails(errno.ENOENT, os.stat, '.driftfs')
"#;
    let path = door.dir.path().join("misses.py");
    std::fs::write(&path, script).expect("a script");
    door.run(&format!("python3 {}", path.display())).ok();
}

#[test]
fn a_killed_caller_is_let_go_while_the_server_is_silent() {
    if !can_mount("kernel_door::killed") {
        return;
    }
    let door = Door::open("mkdir d; echo x > big; echo y > d/f");
    door.run("ls").ok();
    door.silence();
    for signal in ["KILL", "INT", "TERM"] {
        let mut reader = door.spawn("cat big");
        // Longer than it takes to get into the call; shorter than its deadline of 10 s.
        std::thread::sleep(Duration::from_millis(500));
        let killed = Instant::now();
        sh(&format!("kill -{signal} {}", reader.id()), door.dir.path());
        let status = ended(&mut reader);
        assert!(status.signal().is_some(), "{signal}: {status:?}");
        assert!(
            killed.elapsed() < Duration::from_secs(5),
            "{signal} was heard only at the deadline"
        );
    }
}

#[test]
fn a_silent_server_is_waited_for_until_the_deadline_only() {
    if !can_mount("kernel_door::deadline") {
        return;
    }
    let door = Door::open("mkdir d; echo x > f; echo y > d/g");
    door.run("cat f; ls d").ok();
    door.silence();
    // Memory answers; what is not here is refused. None of it takes longer than its deadline.
    door.run("cat f; ls -l; stat d/g; echo z > d/new; mv d/new d/newer; rm d/newer; df .")
        .ok();
    let ran = door.run("cat d/g");
    assert_eq!(ran.code, 1, "{ran:?}");
}

#[test]
fn contents_come_when_they_are_wanted_and_changes_below_are_seen() {
    if !can_mount("kernel_door::fetch") {
        return;
    }
    let door = Door::open("mkdir -p a/b; seq 100000 > a/b/n; ln -s b/n a/l; echo 1 > f");
    let lower = door.below.root.clone();
    door.run("test $(wc -l < a/l) = 100000; test \"$(cat f)\" = 1")
        .ok();
    sh("echo 2 > f; echo new > a/new", &lower);
    support::wait_for("the change below", || {
        door.run("test \"$(cat f)\" = 2 -a \"$(cat a/new)\" = new")
            .code
            == 0
    });
}

#[test]
fn a_listing_counts_for_a_time_where_nobody_tells_of_changes() {
    if !can_mount("kernel_door::listing") {
        return;
    }
    let door = Door::open("mkdir d; echo a > d/a; touch -d '2020-01-01' d");
    let shown = || door.run("ls d").out;
    assert_eq!(shown(), "a\n");
    // The directory's mtime stays what it was, so that the kernel does not see by itself that its listing is old.
    let below = |script: &str| {
        sh(script, &door.below.root);
    };
    below("touch d/b; touch -d '2020-01-01' d");
    support::wait_for("a new name", || shown() == "a\nb\n");
    below("touch d/c; touch -d '2020-01-01' d");
    support::wait_for("another one", || shown() == "a\nb\nc\n");
    // Nothing changes, and still the server is looked at again once the listing has served its time.
    let asked = door.below.lists.load(Ordering::SeqCst);
    support::wait_for("another look at it", || {
        shown() == "a\nb\nc\n" && door.below.lists.load(Ordering::SeqCst) > asked + 1
    });
    // Offline nobody can change it: it is listed without a question, and what we do is seen.
    door.offline();
    let ran = door.run("ls d; touch d/d; ls d; rm d/b; ls d").out;
    assert_eq!(ran, "a\nb\nc\na\nb\nc\nd\na\nc\nd\n");
    // What `.drift` shows is as it is now each time, whatever the directory's mtime says.
    let ran = door.run("touch -d 2020-01-01 d; ls d/.drift/client; touch d/e; touch -d 2020-01-01 d; ls d/.drift/client");
    assert_eq!(ran.out, "a\nc\nd\na\nc\nd\ne\n");
}

#[test]
fn a_plain_file_system() {
    if !can_mount("kernel_door::plain") {
        return;
    }
    let door = Door::open("true");
    let script = include_str!("plain.py");
    let path = door.dir.path().join("plain.py");
    std::fs::write(&path, script).expect("a script");
    door.run(&format!("python3 {}", path.display())).ok();
}

#[test]
fn versions_are_found_not_listed_and_read_only() {
    if !can_mount("kernel_door::hidden") {
        return;
    }
    let door = Door::open("mkdir -p d/e; echo x > d/e/f; echo y > g; ln -s g l");
    let script = r#"
import os, errno
def fails(number, call, *args):
    try: call(*args)
    except OSError as e: assert e.errno == number, (e, number)
    else: raise AssertionError(("no error", args))
read = lambda path: open(path).read()
os.chdir(os.environ['DOOR'])
assert read('g') == 'y\n' and read('d/e/f') == 'x\n'
for top, dirs, files in os.walk('.'): assert '.drift' not in dirs + files
assert sorted(os.listdir('.drift/base')) == ['d', 'g', 'l'], os.listdir('.drift/base')
assert {'base', 'client', 'server', 'conflicts'} <= set(os.listdir('d/.drift'))
assert read('.drift/base/d/e/f') == 'x\n' and read('d/.drift/server/e/f') == 'x\n'
assert read('d/e/.drift/client/f') == 'x\n' and os.readlink('.drift/base/l') == 'g'
assert read('.drift/conflicts') == ''
assert os.stat('.drift/base/g').st_ino >= 1 << 62
os.stat('.drift/client/g')
open('g', 'w').write('changed\n')
assert read('.drift/base/g') == 'y\n' and read('.drift/server/g') == 'y\n' and read('.drift/client/g') == 'changed\n'
for number, call, *args in [
    (errno.EEXIST, os.mkdir, '.drift'), (errno.EPERM, os.rmdir, '.drift'), (errno.EPERM, os.rename, '.drift', 'x'),
    (errno.EISDIR, os.rename, 'g', 'd/.drift'), (errno.EROFS, os.rename, 'g', '.drift/base/h'),
    (errno.EROFS, os.rename, '.drift/base/g', 'h'), (errno.EROFS, os.link, 'g', '.drift/base/h'),
    (errno.EROFS, os.link, '.drift/base/g', 'h'), (errno.EROFS, open, '.drift/base/g', 'w'),
    (errno.EROFS, open, '.drift/base/g', 'a'), (errno.EROFS, open, '.drift/server/new', 'w'),
    (errno.EROFS, os.mkdir, '.drift/base/n'), (errno.EROFS, os.unlink, '.drift/server/g'),
    (errno.EROFS, os.chmod, '.drift/base/g', 0o777), (errno.EROFS, os.chown, '.drift/base/g', 1, 1),
    (errno.EROFS, os.truncate, '.drift/server/g', 0), (errno.EROFS, os.setxattr, '.drift/base/g', 'user.x', b'y'),
    (errno.EROFS, os.utime, '.drift/base/g'), (errno.EROFS, os.symlink, 'a', '.drift/base/s'),
    (errno.EROFS, os.mkfifo, 'd/.drift/client/p'), (errno.ENOENT, os.stat, '.drift/nonsense'),
    (errno.ENOENT, os.stat, '.drift/base/.drift'), (errno.ENOTDIR, os.stat, 'g/.drift'),
]: fails(number, call, *args)
state = lambda path: os.getxattr(path, 'user.drift.state').decode()
open('n', 'w').close()
assert (state('g'), state('d/e/f'), state('n')) == ('dirty', 'cached', 'new'), (state('g'), state('d/e/f'), state('n'))
assert os.getxattr('g', 'user.drift.variants') == b'server client base', os.getxattr('g', 'user.drift.variants')
assert os.getxattr('l', 'drift.state', follow_symlinks=False) == b'clean'
"#;
    let path = door.dir.path().join("hidden.py");
    std::fs::write(&path, script).expect("a script");
    door.run(&format!("DOOR=$PWD python3 {}", path.display()))
        .ok();
}

#[test]
fn close_waits_for_the_push_and_a_signal_ends_the_wait() {
    if !can_mount("kernel_door::close") {
        return;
    }
    let pushed = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&pushed);
    let wait = move |_ino, deadline: Instant| {
        while !gate.load(Ordering::Acquire) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    let hooks = Hooks {
        pushed: Some(Box::new(wait)),
        ..Hooks::default()
    };
    let door = Door::with("true", hooks);
    let mut writer = door.spawn("python3 -c 'f = open(\"f\", \"w\"); f.write(\"x\"); f.close()'");
    std::thread::sleep(Duration::from_secs(1));
    assert!(writer.try_wait().expect("our child").is_none());
    sh(&format!("kill {}", writer.id()), door.dir.path());
    assert!(ended(&mut writer).signal().is_some());
    assert_eq!(door.run("cat f").ok().out, "x");
    pushed.store(true, Ordering::Release);
    door.run("echo y > f; cat f").ok();
}

#[test]
fn a_conflict_is_settled_by_an_attribute_and_refusals_have_a_sentence() {
    if !can_mount("kernel_door::resolve") {
        return;
    }
    let resolve = |_ino, word: &str| match word {
        "client" => Ok(()),
        other => Err(format!("no such version: {other}")),
    };
    let changed = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&changed);
    let hooks = Hooks {
        resolve: Some(Box::new(resolve)),
        changed: Some(Box::new(move |_| noted.store(true, Ordering::Release))),
        ..Hooks::default()
    };
    let door = Door::with("echo x > f", hooks);
    door.run("setfattr -n user.drift.resolve -v client f").ok();
    let refused = door.run("setfattr -n user.drift.resolve -v nobody f");
    assert!(refused.err.contains("Invalid argument"), "{refused:?}");
    let why = door.run("getfattr --only-values -n user.drift.why f").ok();
    assert!(why.out.contains("no such version: nobody"), "{why:?}");
    assert!(!changed.load(Ordering::Acquire));
    door.run("touch g").ok();
    assert!(changed.load(Ordering::Acquire));
}
