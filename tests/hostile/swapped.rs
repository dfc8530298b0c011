//! A directory of the server that somebody exchanges for a symlink to elsewhere while we merge into it.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Rig, can_mount, measured, read, scale, sh, trees, wait_for, write};

/// Exchanges `dir` and `link` until told to stop; gives how often.
fn exchanging(dir: &Path, link: &Path, stop: &AtomicBool) -> usize {
    use std::os::unix::ffi::OsStrExt;
    let name = |p: &Path| std::ffi::CString::new(p.as_os_str().as_bytes()).unwrap();
    let (a, b) = (name(dir), name(link));
    let mut times = 0;
    while !stop.load(Ordering::SeqCst) {
        // SAFETY: two strings that outlive the call.
        let done = unsafe {
            libc::renameat2(
                libc::AT_FDCWD,
                a.as_ptr(),
                libc::AT_FDCWD,
                b.as_ptr(),
                libc::RENAME_EXCHANGE,
            )
        };
        times += usize::from(done == 0);
        std::thread::sleep(std::time::Duration::from_micros(300));
    }
    // Back to the beginning, so that both sides can become equal.
    if fs::symlink_metadata(dir).unwrap().is_symlink() {
        let aside = link.with_extension("aside");
        fs::rename(dir, &aside).unwrap();
        fs::rename(link, dir).unwrap();
        fs::rename(&aside, link).unwrap();
    }
    times
}

/// Changes what `dir` holds, unless it is a symlink by now: a program that follows one does so by its own wish.
fn edit(dir: &Path, round: usize) {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let Ok(open) = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(dir)
    else {
        return;
    };
    let at = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
    // Some of these are refused while the server shows a symlink there: that is as it should be.
    for n in 0..8 {
        let _ = fs::write(at.join(format!("f{n}")), format!("client {round}"));
    }
    let _ = fs::write(at.join(format!("new{round}")), "new");
    let _ = fs::write(at.join("sub/deep"), format!("client {round}"));
    let _ = fs::remove_file(at.join(format!("new{}", round / 2)));
}

/// Everything that can be seen of a tree, times of files included.
fn seen(dir: &Path) -> String {
    sh("find . -printf '%p %y %m %s %T@ %i\\n' | sort", dir)
}

#[test]
fn nothing_goes_through_a_directory_that_becomes_a_symlink() {
    if !can_mount("nothing_goes_through_a_directory_that_becomes_a_symlink") {
        return;
    }
    let rig = Rig::new();
    let outside = rig.root.join("outside");
    fs::create_dir_all(outside.join("sub")).unwrap();
    for n in 0..8 {
        write(outside.join(format!("f{n}")), "sentinel");
    }
    write(outside.join("sub/deep"), "sentinel");
    let before = seen(&outside);
    fs::create_dir_all(rig.lower.join("d/sub")).unwrap();
    for n in 0..8 {
        write(rig.lower.join(format!("d/f{n}")), "server");
    }
    write(rig.lower.join("d/sub/deep"), "server");
    std::os::unix::fs::symlink(&outside, rig.lower.join("s")).unwrap();
    rig.mount(&["--push", "manual"]).ok();
    wait_for("all names are here", || rig.json(&["st"])["unlisted"] == 0);
    sh("cat d/f* d/sub/deep", &rig.mnt);
    let stop = Arc::new(AtomicBool::new(false));
    let (dir, link, told) = (rig.lower.join("d"), rig.lower.join("s"), stop.clone());
    let thread = std::thread::spawn(move || exchanging(&dir, &link, &told));
    let rounds = scale(12, 1000);
    for round in 0..rounds {
        edit(&rig.mnt.join("d"), round);
        let ran = rig.run(&["sync"]);
        assert!([0, 3, 4, 5, 6].contains(&ran.code), "{ran:?}");
    }
    stop.store(true, Ordering::SeqCst);
    let times = thread.join().unwrap();
    measured(&format!(
        "{rounds} merges while a directory was exchanged for a symlink {times} times"
    ));
    assert!(times > rounds, "the directory was hardly ever exchanged");
    assert_eq!(seen(&outside), before, "something outside was touched");
    assert_eq!(read(outside.join("f0")), "sentinel");
    let log = read(rig.state.join("daemon.log"));
    assert!(!log.contains("panic"), "the daemon panicked");
    settle(&rig);
}

/// Both sides are equal once the exchanging has ended and a person has decided.
fn settle(rig: &Rig) {
    for _ in 0..40 {
        let ran = rig.online();
        match ran.code {
            0 => break,
            3 => {
                let answer = rig.json(&["conflicts"]);
                for conflict in answer["conflicts"].as_array().unwrap() {
                    let path = conflict["path"].as_str().unwrap();
                    // As printed. A word that does not fit is refused, and the next one does.
                    let words = ["client", "both", "server"];
                    words.iter().any(|word| {
                        let ran = rig.run(&["resolve", "--take", word, "--", path]);
                        assert!([0, 5].contains(&ran.code), "{conflict}: {ran:?}");
                        ran.code == 0
                    });
                }
            }
            6 => {
                rig.run(&["approve"]).ok();
            }
            4 | 5 => {}
            _ => panic!("{ran:?}"),
        }
    }
    rig.online().ok();
    trees::assert_equal(&rig.lower, &rig.mnt);
}
