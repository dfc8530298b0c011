//! fsx 0.3.2 with fixed seeds: every byte read is the one written last, whatever mixture of calls wrote it.

use std::process::Command;
use std::time::Duration;

use crate::support::{Rig, can_mount, measured, run_limited, scale, sh, write};

fn run(rig: &Rig, tool: &std::path::Path, seed: usize, operations: usize, name: &str) {
    let mut command = Command::new(tool);
    command
        .args(["-q", "-N", &operations.to_string(), "-S", &seed.to_string()])
        .arg(name)
        .current_dir(&rig.mnt)
        .env("RUST_BACKTRACE", "0");
    let ran = run_limited(&mut command, Duration::from_secs(600));
    assert_eq!(ran.code, 0, "seed {seed}: {}\n{}", ran.out, ran.err);
}

#[test]
fn new_files_and_files_from_below() {
    if !can_mount("fsx::files") {
        return;
    }
    let Some(tool) = crate::tool("fsx::files", "fsx") else {
        return;
    };
    let seeds = scale(4, 40);
    let operations = scale(5000, 10_000);
    let rig = Rig::mounted(
        |lower| {
            (0..seeds).for_each(|seed| write(lower.join(format!("old{seed}")), vec![7u8; 200_000]))
        },
        &["--push", "manual"],
    );
    for seed in 0..seeds {
        if seed % 2 == 1 {
            rig.offline();
        } else {
            rig.online();
        }
        run(&rig, &tool, seed + 1, operations, &format!("new{seed}"));
    }
    rig.online();
    sh("cat old* > /dev/null", &rig.mnt);
    for seed in 0..seeds {
        run(&rig, &tool, seed + 101, operations, &format!("old{seed}"));
    }
    if scale(0, 1) == 1 {
        run(&rig, &tool, 1000, 1_000_000, "million");
    }
    measured(&format!(
        "fsx: {} seeds of {operations} operations on new files and on files from below",
        2 * seeds
    ));
}
