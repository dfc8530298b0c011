//! Random histories on both sides of a real mount, kills included: no version is lost, one-sided changes arrive exactly,
//! after resolving both sides are equal, and a second `online` changes nothing.

#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use support::{Rig, can_mount, first_seed, measured, scale, trees};

/// One side of a history: a directory that a person changes at random, every write with bytes nobody wrote before.
struct Side<'a> {
    root: &'a Path,
    tag: &'static str,
}

fn all(root: &Path, dirs: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(dir) = todo.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries.flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else {
                continue;
            };
            if entry.file_name() == ".driftfs" || entry.file_name() == "always" {
                continue;
            }
            if kind.is_dir() {
                todo.push(path.clone());
            }
            if kind.is_dir() == dirs && !kind.is_symlink() {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

impl Side<'_> {
    /// One random change. Failures (a directory that is not empty, a file not fetched) are part of life.
    fn change(&self, random: &mut fastrand::Rng, count: &mut u64) {
        *count += 1;
        let files = all(self.root, false);
        let mut dirs = all(self.root, true);
        dirs.push(self.root.to_path_buf());
        let dir = dirs[random.usize(..dirs.len())].clone();
        let name = format!(
            "{}{}",
            ["a", "b", "c", "d", "e"][random.usize(..5)],
            random.u8(..4)
        );
        let fresh = dir.join(&name);
        let bytes = format!("{}-{count}\0{}", self.tag, "x".repeat(random.usize(..200)));
        let file = (!files.is_empty()).then(|| files[random.usize(..files.len())].clone());
        let _ = match (random.u8(..16), file) {
            (0..=2, _) => fs::File::create_new(&fresh)
                .and_then(|mut f| std::io::Write::write_all(&mut f, bytes.as_bytes())),
            (3..=5, Some(file)) => fs::write(file, bytes),
            (6, Some(file)) => {
                let side = file.with_extension("tmp");
                fs::write(&side, bytes).and_then(|()| fs::rename(&side, file))
            }
            (7, Some(file)) => fs::remove_file(file),
            (8, Some(file)) if !fresh.exists() => fs::rename(file, &fresh),
            (9, _) => fs::create_dir(&fresh),
            (10, _) if dir != self.root && !fresh.exists() && !fresh.starts_with(&dir) => {
                fs::rename(&dir, &fresh)
            }
            (10, _) => dirs
                .iter()
                .find(|d| *d != self.root && !fresh.starts_with(d))
                .map_or(Ok(()), |d| {
                    if fresh.exists() {
                        Ok(())
                    } else {
                        fs::rename(d, &fresh)
                    }
                }),
            (11, Some(file)) => fs::set_permissions(
                file,
                fs::Permissions::from_mode([0o600, 0o640, 0o755][random.usize(..3)]),
            ),
            (12, Some(file)) => xattr::set(file, "user.k", format!("{count}").as_bytes()),
            (13, _) => symlink(format!("to-{count}"), &fresh),
            (14, Some(file)) => fs::hard_link(file, &fresh),
            (15, _) if dir != self.root && random.u8(..4) == 0 => fs::remove_dir_all(&dir),
            _ => Ok(()),
        };
    }

    /// Contents of all files by path.
    fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        all(self.root, false)
            .into_iter()
            .filter_map(|p| {
                Some((
                    p.strip_prefix(self.root).unwrap().to_path_buf(),
                    fs::read(&p).ok()?,
                ))
            })
            .collect()
    }
}

/// Every content reachable anywhere: here, below, in the variants of every directory, among the retained versions.
fn reachable(rig: &Rig) -> BTreeSet<Vec<u8>> {
    let mut found: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut roots = vec![
        rig.mnt.clone(),
        rig.lower.clone(),
        rig.lower.join(".driftfs/retained"),
    ];
    roots.extend(["server", "base"].map(|word| rig.mnt.join(".drift").join(word)));
    for root in roots {
        found.extend(
            all(&root, false)
                .into_iter()
                .filter_map(|p| fs::read(p).ok()),
        );
    }
    let told = rig.json(&["conflicts"]);
    for conflict in told["conflicts"].as_array().unwrap() {
        for path in conflict["variants"].as_object().unwrap().values() {
            found.extend(fs::read(path.as_str().unwrap()).ok());
        }
    }
    found
}

/// What the mount shows. A new directory's names come when it is listed, and with them further names of files met
/// before: everything is listed first.
fn shown(rig: &Rig) -> BTreeMap<Vec<u8>, trees::Shape> {
    all(&rig.mnt, true);
    trees::shapes(&rig.mnt)
}

struct Tally {
    steps: usize,
    versions: usize,
    conflicts: usize,
}

fn history(seed: u64, rounds: usize, tally: &mut Tally) {
    let mut random = fastrand::Rng::with_seed(seed);
    let rig = Rig::new();
    let (here, below) = (
        Side {
            root: &rig.mnt,
            tag: "client",
        },
        Side {
            root: &rig.lower,
            tag: "server",
        },
    );
    let mut count = seed * 1_000_000;
    (0..15).for_each(|_| below.change(&mut random, &mut count));
    fs::write(rig.lower.join("always"), "there").unwrap();
    rig.mount(&["--push", "manual"]).ok();
    fs::read(rig.mnt.join("always")).unwrap();
    all(&rig.mnt, false).iter().for_each(|p| drop(fs::read(p)));
    for round in 0..rounds {
        rig.run(&["approve"]);
        let code = rig.online().code;
        assert!(
            [0, 3].contains(&code),
            "seed {seed}, round {round}: nothing is in the way, yet online --wait gave {code}: {:?}",
            rig.run(&["st"])
        );
        all(&rig.mnt, false).iter().for_each(|p| drop(fs::read(p)));
        let agreed: BTreeSet<Vec<u8>> = {
            let theirs: BTreeSet<Vec<u8>> = below.contents().into_values().collect();
            here.contents()
                .into_values()
                .filter(|bytes| theirs.contains(bytes))
                .collect()
        };
        // Mostly both sides are apart; a third of the histories stays connected every other round.
        let connected = seed % 3 == 0 && round % 2 == 1;
        if !connected {
            rig.offline();
        }
        let (c, s) = match random.u8(..5) {
            0 => (random.usize(1..12), 0),
            1 => (0, random.usize(1..12)),
            _ => (random.usize(1..10), random.usize(1..10)),
        };
        for _ in 0..c {
            here.change(&mut random, &mut count);
        }
        if random.u8(..4) == 0 {
            rig.kill();
            rig.mount(&["--push", "manual"]).ok();
        }
        for _ in 0..s {
            below.change(&mut random, &mut count);
        }
        tally.steps += c + s;
        let standing = !rig.json(&["conflicts"])["conflicts"]
            .as_array()
            .unwrap()
            .is_empty();
        let (mine, theirs) = (here.contents(), below.contents());
        let (my_shape, their_shape) = (shown(&rig), trees::shapes(&rig.lower));
        let mut code = rig.online().code;
        if code == 6 {
            rig.run(&["approve"]).ok();
            code = rig.online().code;
        }
        let context =
            format!("seed {seed}, round {round}: {c} changes here, {s} below, exit {code}");
        assert!(
            [0, 3].contains(&code),
            "{context}: {:?}\n{}",
            rig.run(&["st"]),
            rig.run(&["plan"]).out
        );
        let found = reachable(&rig);
        for (side, contents, other) in [("here", &mine, below.tag), ("below", &theirs, here.tag)] {
            for (path, bytes) in contents {
                // What both sides had is the other side's to replace or remove; so is what came from there meanwhile.
                let brought = connected && bytes.starts_with(other.as_bytes());
                assert!(
                    brought || agreed.contains(bytes) || found.contains(bytes),
                    "{context}: lost what was {side} at {}: {:?}",
                    path.display(),
                    String::from_utf8_lossy(&bytes[..bytes.len().min(24)])
                );
            }
        }
        tally.versions += mine.len() + theirs.len();
        if !standing && s == 0 {
            assert_eq!(code, 0, "{context}: only we changed something");
            same(
                &my_shape,
                &trees::shapes(&rig.lower),
                &context,
                "what was made here must arrive below",
            );
        }
        if !standing && c == 0 {
            assert_eq!(code, 0, "{context}: only the server changed something");
            same(
                &their_shape,
                &shown(&rig),
                &context,
                "what was made below must arrive here",
            );
        }
        let settled = (shown(&rig), trees::shapes(&rig.lower));
        rig.online();
        same(
            &settled.0,
            &shown(&rig),
            &context,
            "a second online must change nothing here",
        );
        same(
            &settled.1,
            &trees::shapes(&rig.lower),
            &context,
            "a second online must change nothing below",
        );
        if code == 0 {
            shown(&rig);
            trees::assert_equal(&rig.mnt, &rig.lower);
        }
        if code == 3 && random.bool() {
            resolve_all(&rig, &mut random, tally, &context);
        }
    }
    rig.umount().ok();
    support::run_limited(
        support::driftfs()
            .args(["check", "--read-data", "--state"])
            .arg(&rig.state),
        std::time::Duration::from_secs(60),
    )
    .ok();
}

/// Resolves everything, by one word or the other, until nothing is left; both sides are equal then.
fn resolve_all(rig: &Rig, random: &mut fastrand::Rng, tally: &mut Tally, context: &str) {
    let mut said = String::new();
    for _ in 0..8 {
        let told = rig.json(&["conflicts"]);
        let conflicts = told["conflicts"].as_array().unwrap();
        if conflicts.is_empty() {
            break;
        }
        tally.conflicts += conflicts.len();
        for conflict in conflicts {
            let path = rig.mnt.join(conflict["path"].as_str().unwrap());
            let word = ["client", "server", "client", "both"][random.usize(..4)];
            let ran = rig.run(&["resolve", "--take", word, "--", path.to_str().unwrap()]);
            said += &format!("{word} {}: {}{}", path.display(), ran.out, ran.err);
            if ran.code != 0 {
                let path = path.to_str().unwrap();
                let ran = rig.run(&["resolve", "--take", "client", "--", path]);
                said += &format!("client {path}: {}{}", ran.out, ran.err);
            }
        }
        said += &rig.online().out;
    }
    let left = rig.json(&["conflicts"]);
    assert!(
        left["conflicts"].as_array().unwrap().is_empty(),
        "{context}: cannot be resolved: {left}\n{said}"
    );
    let code = rig.online().code;
    assert_eq!(
        code,
        0,
        "{context}: after resolving: {:?}",
        rig.run(&["st"])
    );
    shown(rig);
    let told = trees::differences(&rig.mnt, &rig.lower);
    assert!(
        told.is_empty(),
        "{context}: after resolving:\n{}\n{said}",
        told.join("\n")
    );
}

fn same(
    left: &BTreeMap<Vec<u8>, trees::Shape>,
    right: &BTreeMap<Vec<u8>, trees::Shape>,
    context: &str,
    what: &str,
) {
    let told: Vec<String> = left
        .keys()
        .chain(right.keys())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(|path| left.get(*path) != right.get(*path))
        .map(|path| {
            format!(
                "{}: {:?}\n   against {:?}",
                String::from_utf8_lossy(path),
                left.get(path),
                right.get(path)
            )
        })
        .collect();
    assert!(told.is_empty(), "{context}: {what}:\n{}", told.join("\n"));
}

#[test]
fn random_histories_lose_nothing() {
    if !can_mount("model") {
        return;
    }
    let mut tally = Tally {
        steps: 0,
        versions: 0,
        conflicts: 0,
    };
    let (seeds, rounds) = (scale(12, 150), 8);
    let first = first_seed(1);
    let count = if std::env::var("DRIFTFS_SEED").is_ok() {
        1
    } else {
        seeds
    };
    for seed in first..first + count as u64 {
        history(seed, rounds, &mut tally);
    }
    measured(&format!(
        "{count} histories, {} changes, {} versions looked for, {} conflicts resolved, 0 lost",
        tally.steps, tally.versions, tally.conflicts
    ));
}
