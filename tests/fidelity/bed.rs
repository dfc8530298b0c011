//! The four places where everything has to work.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{Rig, can_mount, run_limited, scale, sh};

/// Where the files are from, and whether the server is there.
pub const PLACES: [(&str, &str); 4] = [
    ("new", "connected"),
    ("old", "connected"),
    ("new", "offline"),
    ("old", "offline"),
];

/// Prepares a directory by `prepare`, on the server and on the mount, and runs `check` in copies of it: new ones and those
/// that came from the server, connected and offline. At the end everything must arrive at the server.
pub fn everywhere(test: &str, prepare: &str, mut check: impl FnMut(&Path, &str)) {
    if !can_mount(test) {
        return;
    }
    let rig = Rig::mounted(
        |lower| {
            for state in ["connected", "offline"] {
                let dir = lower.join(format!("old-{state}"));
                std::fs::create_dir(&dir).unwrap();
                sh(prepare, &dir);
            }
        },
        &["-o", "dev"],
    );
    // Offline only what is here can be used.
    sh("find . -type f -exec cat -- {} + > ../read", &rig.mnt);
    for (from, state) in PLACES {
        if (from, state) == ("new", "offline") {
            rig.offline();
        }
        let dir = rig.mnt.join(format!("{from}-{state}"));
        if from == "new" {
            std::fs::create_dir(&dir).unwrap();
            sh(prepare, &dir);
        }
        check(&dir, &format!("{from}, {state}"));
    }
    back(&rig);
    crate::support::trees::assert_equal(&rig.mnt, &rig.lower);
}

/// Back to the server, which gets everything: also when so much was removed that driftfs asks first.
pub fn back(rig: &Rig) {
    let ran = rig.online();
    if ran.code == 6 {
        rig.run(&["approve"]).ok();
    } else {
        ran.ok();
    }
    rig.run(&["sync"]).ok();
}

/// Where a Python program of these tests is.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fidelity/scripts")
        .join(name)
}

/// Runs a Python program of `tests/fidelity/scripts` in `dir`.
#[track_caller]
pub fn python(name: &str, args: &[&str], dir: &Path, place: &str) -> String {
    let mut command = Command::new("python3");
    command.arg(script(name)).args(args).current_dir(dir);
    let ran = run_limited(&mut command, Duration::from_secs(300));
    assert_eq!(ran.code, 0, "{name}, {place}: {}\n{}", ran.out, ran.err);
    ran.out
}

/// Entries of the large directory.
pub fn many() -> usize {
    scale(2000, 10_000)
}
