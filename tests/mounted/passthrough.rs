//! Files that are here are read and written by the kernel; nothing of it may escape us all the same.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::{Rig, can_mount, read, run_limited, sh, skip, trees, wait_for, write};

const MANUAL: [&str; 2] = ["--push", "manual"];
/// Far more than a write needs, far less than a stopped daemon takes.
const LONG: Duration = Duration::from_secs(30);

fn both(path: impl AsRef<Path>) -> File {
    let opened = OpenOptions::new().read(true).write(true).open(&path);
    opened.unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

fn text(file: &File) -> String {
    let mut bytes = vec![0; 1 << 16];
    let n = file.read_at(&mut bytes, 0).expect("a read");
    String::from_utf8_lossy(&bytes[..n]).into_owned()
}

/// A shared mapping of the first page of a file.
struct Mapping(*mut u8);

const PAGE: usize = 4096;

impl Mapping {
    fn new(file: &File) -> Mapping {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping of an open file, unmapped by the drop.
        let at = unsafe {
            let fd = file.as_raw_fd();
            libc::mmap(std::ptr::null_mut(), PAGE, prot, libc::MAP_SHARED, fd, 0)
        };
        assert_ne!(at, libc::MAP_FAILED);
        Mapping(at.cast())
    }

    fn store(&self, bytes: &[u8]) {
        assert!(bytes.len() <= PAGE);
        // SAFETY: within the mapping, whose file is at least as long as what every test stores.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0, bytes.len()) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what `new` mapped.
        unsafe { libc::munmap(self.0.cast(), PAGE) };
    }
}

/// Runs `work` while the daemon is stopped; true when it was done without the daemon.
fn works_alone(
    rig: &Rig,
    limit: Duration,
    file: File,
    work: impl Fn(&File) + Send + 'static,
) -> bool {
    let pid = rig.pid().expect("a daemon is running") as i32;
    // Not by a program: starting one closes our files of this mount in its name, and would wait for the stopped daemon.
    // SAFETY: kill takes numbers.
    let signal = |signal| assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    let (tell, told) = mpsc::channel();
    signal(libc::SIGSTOP);
    // A thread goes on until it next looks at its signals.
    wait_for("all of the daemon stops", || all_stopped(pid));
    let worker = std::thread::spawn(move || {
        work(&file);
        // The close comes after it: that one is the daemon's business.
        let _ = tell.send(());
    });
    let alone = told.recv_timeout(limit).is_ok();
    signal(libc::SIGCONT);
    worker.join().expect("the work is done in the end");
    alone
}

/// True when every thread of a process is stopped.
fn all_stopped(pid: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.flatten().all(|thread| {
        fs::read_to_string(thread.path().join("status"))
            .is_ok_and(|status| status.contains("\nState:\tT"))
    })
}

fn state(path: &Path) -> String {
    let ran = run_limited(
        Command::new("getfattr")
            .args([
                "--only-values",
                "--absolute-names",
                "-n",
                "user.drift.state",
            ])
            .arg(path),
        LONG,
    );
    ran.ok().out
}

fn has_reflinks(rig: &Rig) -> bool {
    fs::write(rig.root.join("probe"), vec![1; PAGE]).unwrap();
    let mut cp = Command::new("cp");
    cp.args(["--reflink=always", "probe", "probe2"])
        .current_dir(&rig.root);
    run_limited(&mut cp, LONG).code == 0
}

#[test]
fn reads_and_writes_need_no_daemon() {
    if !can_mount("passthrough::alone") {
        return;
    }
    let rig = Rig::mounted(|lower| write(lower.join("f"), "agreed"), &MANUAL);
    let file = both(rig.mnt.join("f"));
    let copy = file.try_clone().unwrap();
    // At the first write after a look at the file the kernel asks for `security.capability`.
    file.write_all_at(b"first", 0).unwrap();
    assert!(works_alone(&rig, LONG, copy, |file| {
        file.write_all_at(b"EDITED", 0).unwrap();
        assert_eq!(text(file), "EDITED");
    }));
    drop(file);
    assert_eq!(read(rig.mnt.join("f")), "EDITED");
    assert_eq!(read(rig.mnt.join(".drift/base/f")), "agreed");
    rig.run(&["sync"]).ok();
    assert_eq!(read(rig.lower.join("f")), "EDITED");
    assert_eq!(rig.json(&["st"])["changes"]["stored"], 0);
}

#[test]
fn files_whose_writes_take_something_away_and_mounts_without_it_are_served() {
    if !can_mount("passthrough::served") {
        return;
    }
    let rig = Rig::mounted(|lower| write(lower.join("f"), "agreed"), &MANUAL);
    let f = rig.mnt.join("f");
    fs::set_permissions(&f, fs::Permissions::from_mode(0o4755)).unwrap();
    let (one, limit) = (both(&f), Duration::from_millis(500));
    assert!(!works_alone(&rig, limit, one, |one| one
        .write_all_at(b"1", 0)
        .unwrap()));
    fs::set_permissions(&f, fs::Permissions::from_mode(0o755)).unwrap();
    rig.umount().ok();
    rig.mount(&["--push", "manual", "-o", "nopassthrough"]).ok();
    let two = both(&f);
    assert!(!works_alone(&rig, limit, two, |two| two
        .write_all_at(b"2", 1)
        .unwrap()));
    assert_eq!(read(&f), "12reed");
}

#[test]
fn readers_and_writers_of_one_file_share_what_they_see() {
    if !can_mount("passthrough::shared") {
        return;
    }
    let rig = Rig::mounted(|lower| write(lower.join("f"), "agreed"), &MANUAL);
    let f = rig.mnt.join("f");
    let (one, two) = (File::open(&f).unwrap(), File::open(&f).unwrap());
    let writer = both(&f);
    writer.write_all_at(b"EDITED and longer", 0).unwrap();
    assert_eq!(
        (text(&one), text(&two)),
        (text(&writer), "EDITED and longer".into())
    );
    drop(one);
    let three = File::open(&f).unwrap();
    assert_eq!(fs::metadata(&f).unwrap().len(), 17);
    writer.set_len(6).unwrap();
    assert_eq!(
        (text(&two), text(&three)),
        ("EDITED".into(), "EDITED".into())
    );
    // A second name, a new one over the old: open handles stay with their file.
    fs::hard_link(&f, rig.mnt.join("g")).unwrap();
    write(rig.mnt.join("new"), "other");
    fs::rename(rig.mnt.join("new"), &f).unwrap();
    fs::remove_file(rig.mnt.join("g")).unwrap();
    writer.write_all_at(b"nameless", 0).unwrap();
    assert_eq!(
        (text(&three), read(&f)),
        ("nameless".into(), "other".into())
    );
    writer.sync_all().unwrap();
    drop((two, three, writer));
    rig.run(&["sync"]).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn opened_for_writing_and_not_written_is_clean_again() {
    if !can_mount("passthrough::unwritten") {
        return;
    }
    let rig = Rig::mounted(|lower| write(lower.join("f"), "agreed"), &MANUAL);
    let f = rig.mnt.join("f");
    read(&f);
    let before = fs::metadata(&f).unwrap().modified().unwrap();
    let one = both(&f);
    assert_eq!(text(&one), "agreed");
    assert_eq!(rig.json(&["st"])["changes"]["stored"], 0);
    drop(one);
    wait_for("the file to be clean", || state(&f) == "cached");
    assert_eq!(fs::metadata(&f).unwrap().modified().unwrap(), before);
    let log = rig.run(&["log"]).ok().out;
    assert!(!log.contains("write"), "{log}");
    // Nothing of this keeps a change of the server out.
    write(rig.lower.join("f"), "server");
    wait_for("the server's bytes", || read(&f) == "server");
}

#[test]
fn emptying_keeps_base() {
    if !can_mount("passthrough::trunc") {
        return;
    }
    let rig = Rig::mounted(|lower| write(lower.join("f"), "agreed"), &MANUAL);
    let f = rig.mnt.join("f");
    let reader = File::open(&f).unwrap();
    assert_eq!(text(&reader), "agreed");
    write(&f, "new");
    assert_eq!(text(&reader), "new");
    assert_eq!(read(rig.mnt.join(".drift/base/f")), "agreed");
    drop(reader);
    rig.run(&["sync"]).ok();
    assert_eq!(read(rig.lower.join("f")), "new");
}

#[test]
fn a_store_after_the_last_close_is_found_and_sent() {
    if !can_mount("passthrough::mapping") {
        return;
    }
    let rig = Rig::mounted(|lower| write(lower.join("f"), "agreed"), &[]);
    let f = rig.mnt.join("f");
    let mapping = Mapping::new(&both(&f));
    mapping.store(b"STORED");
    wait_for("the first store", || read(rig.lower.join("f")) == "STORED");
    // Sent, and yet not clean: the next store comes without a word.
    assert_eq!(state(&f), "dirty");
    mapping.store(b"AGAIN!");
    wait_for("the second store", || read(rig.lower.join("f")) == "AGAIN!");
    drop(mapping);
    wait_for("the file to be clean", || state(&f) == "cached");
    assert_eq!(read(&f), "AGAIN!");
}

#[test]
fn a_mapping_outlives_the_daemon_and_nothing_of_it_is_lost() {
    if !can_mount("passthrough::killed") {
        return;
    }
    let rig = Rig::mounted(|lower| write(lower.join("f"), "agreed"), &MANUAL);
    let f = rig.mnt.join("f");
    let mapping = Mapping::new(&both(&f));
    mapping.store(b"BEFORE");
    rig.run(&["sync"]).ok();
    assert_eq!(read(rig.lower.join("f")), "BEFORE");
    rig.kill();
    rig.mount(&MANUAL).ok();
    assert_eq!(state(&f), "dirty");
    mapping.store(b"AFTER!");
    assert_eq!(read(&f), "AFTER!");
    // What the server has now must not run over it.
    rig.run(&["sync"]).ok();
    assert_eq!(
        (read(&f), read(rig.lower.join("f"))),
        ("AFTER!".into(), "AFTER!".into())
    );
    assert_eq!(state(&f), "dirty");
    write(rig.lower.join("f"), "server");
    rig.run(&["sync"]);
    assert_eq!(read(&f), "AFTER!", "replaced under a mapping");
    mapping.store(b"LAST!!");
    drop(mapping);
    wait_for("the mapping to be over", || {
        rig.run(&["sync"]);
        state(&f) == "conflict"
    });
    assert_eq!(read(&f), "LAST!!");
    assert_eq!(read(rig.mnt.join(".drift/base/f")), "AFTER!");
}

#[test]
fn a_writer_that_stays_open_while_the_link_goes_keeps_base() {
    if !can_mount("passthrough::offline") {
        return;
    }
    let lines =
        |first: &str, third: &str, fifth: &str| format!("{first}\n2\n{third}\n4\n{fifth}\n");
    let rig = Rig::mounted(
        |lower| write(lower.join("f"), lines("1", "3", "5")),
        &MANUAL,
    );
    let writer = both(rig.mnt.join("f"));
    writer.write_all_at(b"a", 0).unwrap();
    rig.offline();
    writer.write_all_at(b"c", 4).unwrap();
    assert_eq!(read(rig.mnt.join(".drift/base/f")), lines("1", "3", "5"));
    write(rig.lower.join("f"), lines("1", "3", "e"));
    drop(writer);
    rig.online().ok();
    assert_eq!(read(rig.lower.join("f")), lines("a", "c", "e"));
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn a_reader_sees_what_the_server_wrote() {
    const TEST: &str = "passthrough::pull";
    if !can_mount(TEST) {
        return;
    }
    let long = "long ".repeat(3000);
    let rig = Rig::mounted(|lower| write(lower.join("f"), "agreed"), &MANUAL);
    if !has_reflinks(&rig) {
        return skip(TEST, "needs reflinks");
    }
    let f = rig.mnt.join("f");
    let reader = File::open(&f).unwrap();
    for now in [long.as_str(), "short", "again", &long] {
        write(rig.lower.join("f"), now);
        wait_for("the server's bytes", || read(&f) == *now);
        assert_eq!(text(&reader), *now);
        assert_eq!(fs::metadata(&f).unwrap().len(), now.len() as u64);
    }
    assert_eq!(state(&f), "cached");
    drop(reader);
    rig.kill();
    rig.mount(&MANUAL).ok();
    assert_eq!(
        (read(&f), rig.json(&["st"])["changes"]["stored"].clone()),
        (long, 0.into())
    );
}

#[test]
fn a_program_that_runs_is_not_written() {
    if !can_mount("passthrough::busy") {
        return;
    }
    let rig = Rig::mounted(|_| {}, &MANUAL);
    sh("cp /bin/sleep sleep", &rig.mnt);
    let path = rig.mnt.join("sleep");
    let busy = Some(libc::ETXTBSY);
    let mut running = Command::new(&path).arg("60").spawn().unwrap();
    let refused = OpenOptions::new().write(true).open(&path).unwrap_err();
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(refused.raw_os_error(), busy);
    let writer = OpenOptions::new().write(true).open(&path).unwrap();
    let refused = Command::new(&path).arg("0").spawn().unwrap_err();
    assert_eq!(refused.raw_os_error(), busy);
    drop(writer);
    assert!(Command::new(&path).arg("0").status().unwrap().success());
}
