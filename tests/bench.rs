//! `scripts/bench` runs. What it measures is nobody's verdict here: no test decides by time.

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::{can_mount, run_limited};

fn bench(words: &[&str], limit: Duration) -> support::Ran {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/bench");
    run_limited(Command::new(script).args(words), limit)
}

#[test]
fn bench_tells_how_it_is_used() {
    let ran = bench(&["--help"], Duration::from_secs(60)).ok();
    for word in ["--quick", "--only", "--bars", "seqread", "fuse-overlayfs"] {
        assert!(ran.out.contains(word), "{word} is not in: {}", ran.out);
    }
    assert_eq!(
        bench(
            &["--driftfs", "true", "--only", "nonsense"],
            Duration::from_secs(120)
        )
        .code,
        2
    );
}

/// In the full mode: it builds a release first.
#[test]
fn bench_measures_a_tiny_tree() {
    const TEST: &str = "bench::tiny";
    if support::scale(0, 1) == 0 {
        return;
    }
    if !can_mount(TEST) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("out.json");
    let ran = bench(
        &[
            "--driftfs",
            env!("CARGO_BIN_EXE_driftfs"),
            "--only",
            "walk",
            "--scale",
            "0.01",
            "--reps",
            "1",
            "--peers",
            "none",
            "--json",
            json.to_str().unwrap(),
        ],
        Duration::from_secs(600),
    );
    // Whatever the bars say; 1 would be a failure of driftfs or a changed lower.
    ran.clone().code(0);
    assert!(ran.out.contains("walk+stat cold"), "{}", ran.out);
    let told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(json).unwrap()).expect("its JSON");
    assert_eq!(told["lower_changed"], serde_json::json!([]));
    assert!(told["raw"]["walk+stat cold"]["driftfs"]["0"].as_f64() > Some(0.0));
}
