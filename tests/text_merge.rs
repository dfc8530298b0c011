//! Text merges are git's: on random texts the result and the verdict equal those of `git merge-file`.

use std::path::Path;
use std::process::{Command, Stdio};

use driftfs::merge::{Labels, merge_text};

const CASES: u64 = 1000;

/// Lines from a small alphabet, so that equal lines and close edits are common.
fn text(random: &mut fastrand::Rng) -> Vec<String> {
    let lines = random.usize(0..14);
    (0..lines).map(|_| line(random)).collect()
}

fn line(random: &mut fastrand::Rng) -> String {
    let words = ["a", "b", "c", "d", "e", "{", "}", ""];
    words[random.usize(0..words.len())].to_string()
}

fn edited(random: &mut fastrand::Rng, lines: &[String]) -> Vec<String> {
    let mut lines = lines.to_vec();
    for _ in 0..random.usize(0..4) {
        let at = random.usize(0..=lines.len());
        match random.u8(0..3) {
            0 => lines.insert(at, line(random)),
            1 if at < lines.len() => lines[at] = format!("{}!", line(random)),
            _ if at < lines.len() => drop(lines.remove(at)),
            _ => {}
        }
    }
    lines
}

fn bytes(random: &mut fastrand::Rng, lines: &[String]) -> Vec<u8> {
    let mut text = lines.join("\n");
    if !lines.is_empty() && random.u8(0..8) > 0 {
        text.push('\n');
    }
    text.into_bytes()
}

/// What git says: the merged bytes and whether they are clean.
fn git(dir: &Path, base: &[u8], client: &[u8], server: &[u8], diff3: bool) -> (Vec<u8>, bool) {
    for (name, bytes) in [("base", base), ("client", client), ("server", server)] {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
    let mut command = Command::new("git");
    command.current_dir(dir).args(["merge-file", "-p"]);
    if diff3 {
        command.arg("--diff3");
    }
    command.args(["-L", "client", "-L", "base", "-L", "server"]);
    command.args(["client", "base", "server"]);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .expect("git is installed");
    let code = output.status.code().expect("git was not killed");
    assert!(code < 128, "git merge-file failed");
    (output.stdout, code == 0)
}

#[test]
fn merges_equal_those_of_git() {
    let dir = tempfile::tempdir().unwrap();
    let (mut clean, mut proposals) = (0, 0u64);
    for seed in 0..CASES {
        let random = &mut fastrand::Rng::with_seed(seed);
        let lines = text(random);
        let (ours, theirs) = (edited(random, &lines), edited(random, &lines));
        let [base, client, server] = [&lines, &ours, &theirs].map(|lines| bytes(random, lines));
        let merged = merge_text(&base, &client, &server, Labels::default());
        let (expected, is_clean) = git(dir.path(), &base, &client, &server, false);
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(merged.clean, is_clean, "seed {seed}");
        if is_clean {
            assert_eq!(show(&merged.bytes), show(&expected), "seed {seed}");
            clean += 1;
        } else {
            let (proposal, _) = git(dir.path(), &base, &client, &server, true);
            proposals += u64::from(merged.bytes == proposal);
        }
    }
    assert!(
        clean > CASES / 5,
        "the cases must reach clean merges: {clean}"
    );
    assert!(clean < CASES - CASES / 5, "and conflicts: {clean} clean");
    // Proposals are for people: now and then git draws the borders of a hunk differently.
    let conflicts = CASES - clean;
    assert!(
        proposals * 100 >= conflicts * 99,
        "{proposals} of {conflicts} proposals are git's"
    );
}
