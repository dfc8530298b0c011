//! fsx 0.3.2 with fixed seeds: every byte read is the one written last, whatever mixture of calls wrote it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Rig, can_mount, measured, run_limited, scale, sh, trees, write};

/// Everything fsx can do. Its own choice, without these settings, leaves out most calls and follows every store through a
/// mapping with msync, which is then nearly all of its time: the disk is measured, and dirty mappings never meet other calls.
const EVERY_CALL: &str = "nomsyncafterwrite = true\n[weights]\nclose_open = 1\ninvalidate = 0.3\nmapread = 1\nmapwrite = 1\nread = 1\n\
    write = 1\ntruncate = 1\nfsync = 0.03\nfdatasync = 0.03\nposix_fallocate = 0.5\npunch_hole = 0.5\nsendfile = 0.5\n\
    posix_fadvise = 0.3\ncopy_file_range = 0.7\n";

/// Into a file as it is: otherwise fsx begins by cutting it off, and nothing of what came from below is left to be copied up.
const IN_PLACE: &str = "blockmode = true\nnomsyncafterwrite = true\n[weights]\ninvalidate = 0.3\nmapread = 1\nmapwrite = 1\nread = 1\n\
    write = 1\ntruncate = 0\nfsync = 0.03\nfdatasync = 0.03\npunch_hole = 0.5\nsendfile = 0.5\nposix_fadvise = 0.3\n\
    copy_file_range = 0.7\n";

/// What fsx 0.3.2 cannot do a million times: it never gives back the mappings it reads through (a process may have 65,530, and
/// every truncation looks at each of them), and it takes the EINVAL for a length of 0, which it asks for once in a million
/// times, for a file system without posix_fallocate. The many short runs do both.
const TOO_OFTEN: [(&str, &str); 2] = [
    ("mapread = 1\n", "mapread = 0.05\n"),
    ("posix_fallocate = 0.5\n", ""),
];

/// One seed in this many runs as fsx itself chooses.
const PLAIN: usize = 10;

/// The seed of the long run.
const LONG: usize = 1002;

struct Fsx {
    tool: PathBuf,
    root: PathBuf,
}

impl Fsx {
    fn on(rig: &Rig, tool: PathBuf) -> Fsx {
        write(rig.root.join("every.toml"), EVERY_CALL);
        write(rig.root.join("place.toml"), IN_PLACE);
        let long = TOO_OFTEN
            .iter()
            .fold(EVERY_CALL.to_owned(), |all, (often, seldom)| {
                all.replace(often, seldom)
            });
        write(rig.root.join("long.toml"), long);
        Fsx {
            tool,
            root: rig.root.clone(),
        }
    }

    fn run(&self, dir: &Path, name: &str, seed: usize, operations: usize) {
        let settings = match seed {
            _ if seed % PLAIN == 0 => None,
            LONG => Some("long.toml"),
            _ if seed % 2 == 1 && name.starts_with("old") => Some("place.toml"),
            _ => Some("every.toml"),
        };
        let mut command = Command::new(&self.tool);
        command
            .args(["-q", "-N", &operations.to_string(), "-S", &seed.to_string()])
            .args(["-P".as_ref(), self.root.as_os_str(), name.as_ref()])
            .current_dir(dir)
            .env("RUST_BACKTRACE", "0");
        if let Some(settings) = settings {
            command.arg("-f").arg(self.root.join(settings));
        }
        let ran = run_limited(&mut command, Duration::from_secs(2700));
        assert_eq!(ran.code, 0, "{name}, seed {seed}: {}\n{}", ran.out, ran.err);
    }
}

fn begin(test: &str) -> Option<PathBuf> {
    if can_mount(test) {
        crate::tool(test, "fsx")
    } else {
        None
    }
}

/// Seeds on files that are new or came from below, connected and offline in turn; what came out arrives on the server.
fn seeds(from: &str) {
    let Some(tool) = begin(&format!("fsx::{from}")) else {
        return;
    };
    let (seeds, operations) = (scale(8, 40), scale(2000, 10_000));
    let fill = |lower: &Path| {
        (0..seeds).for_each(|seed| write(lower.join(format!("old {seed}")), vec![7u8; 200_000]));
    };
    let rig = Rig::mounted(fill, &["--push", "manual"]);
    sh("cat old* > /dev/null", &rig.mnt);
    let fsx = Fsx::on(&rig, tool);
    for seed in 0..seeds {
        // The first half connected, the other offline.
        if seed == seeds / 2 {
            rig.offline();
        }
        fsx.run(&rig.mnt, &format!("{from} {seed}"), seed, operations);
    }
    rig.online().ok();
    rig.run(&["sync"]).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
    measured(&format!(
        "fsx: {seeds} seeds of {operations} operations on {from} files, half of them offline"
    ));
}

#[test]
fn seeds_on_new_files() {
    seeds("new");
}

#[test]
fn seeds_on_files_from_below() {
    seeds("old");
}

#[test]
fn a_long_run() {
    let Some(tool) = begin("fsx::a_long_run") else {
        return;
    };
    let rig = Rig::mounted(|lower| write(lower.join("old"), vec![7u8; 200_000]), &[]);
    let (fsx, operations) = (Fsx::on(&rig, tool), scale(10_000, 1_000_000));
    let began = Instant::now();
    // Connected and pushed again and again, while it changes.
    fsx.run(&rig.mnt, "old", LONG, operations);
    measured(&format!(
        "fsx: {operations} operations in one run, {} s",
        began.elapsed().as_secs()
    ));
    rig.run(&["sync"]).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
}
