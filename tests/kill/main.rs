//! kill -9 of a mounted daemon while writers run: what was acknowledged is there afterwards.

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{Rig, can_mount, first_seed, measured, scale};

/// What one writer knows of its own directory: contents by name, and what the call in flight may have changed.
#[derive(Default, Clone)]
struct Known {
    files: BTreeMap<String, Vec<u8>>,
    /// The names the unfinished call touches, with what they may be instead.
    doubt: Vec<(String, Option<Vec<u8>>)>,
    done: usize,
}

/// One call, chosen by the random numbers; `Err` when the mount is dead.
fn step(
    dir: &Path,
    known: &Mutex<Known>,
    random: &mut fastrand::Rng,
    count: usize,
) -> std::io::Result<()> {
    let names: Vec<String> = known.lock().unwrap().files.keys().cloned().collect();
    let pick = |random: &mut fastrand::Rng| names[random.usize(..names.len())].clone();
    let fresh = format!("n{count}");
    let text = format!("{count}:{}\n", "x".repeat(random.usize(..3000)));
    let doubt = |list: Vec<(String, Option<Vec<u8>>)>| known.lock().unwrap().doubt = list;
    let settle = |change: &mut dyn FnMut(&mut BTreeMap<String, Vec<u8>>)| {
        let mut known = known.lock().unwrap();
        change(&mut known.files);
        known.doubt.clear();
        known.done += 1;
    };
    match random.u8(..10) {
        0..=2 => {
            // A created file is there as soon as open() returned, its bytes as soon as write() returned.
            doubt(vec![(fresh.clone(), Some(Vec::new()))]);
            let mut file = fs::File::create_new(dir.join(&fresh))?;
            settle(&mut |files| drop(files.insert(fresh.clone(), Vec::new())));
            doubt(vec![(fresh.clone(), Some(text.clone().into_bytes()))]);
            file.write_all(text.as_bytes())?;
            settle(&mut |files| drop(files.insert(fresh.clone(), text.clone().into_bytes())));
            drop(file);
        }
        3..=5 if !names.is_empty() => {
            let name = pick(random);
            let mut file = fs::OpenOptions::new().append(true).open(dir.join(&name))?;
            let mut after = known.lock().unwrap().files[&name].clone();
            after.extend(text.as_bytes());
            doubt(vec![(name.clone(), Some(after.clone()))]);
            file.write_all(text.as_bytes())?;
            settle(&mut |files| drop(files.insert(name.clone(), after.clone())));
            if random.bool() {
                file.sync_all()?;
            }
        }
        6 if !names.is_empty() => {
            let name = pick(random);
            let bytes = known.lock().unwrap().files[&name].clone();
            doubt(vec![
                (name.clone(), None),
                (fresh.clone(), Some(bytes.clone())),
            ]);
            fs::rename(dir.join(&name), dir.join(&fresh))?;
            settle(&mut |files| {
                files.remove(&name);
                files.insert(fresh.clone(), bytes.clone());
            });
        }
        7 if !names.is_empty() => {
            let name = pick(random);
            doubt(vec![(name.clone(), None)]);
            fs::remove_file(dir.join(&name))?;
            settle(&mut |files| drop(files.remove(&name)));
        }
        8 if names.len() > 1 => {
            let (from, onto) = (pick(random), pick(random));
            if from != onto {
                let bytes = known.lock().unwrap().files[&from].clone();
                doubt(vec![
                    (from.clone(), None),
                    (onto.clone(), Some(bytes.clone())),
                ]);
                fs::rename(dir.join(&from), dir.join(&onto))?;
                settle(&mut |files| {
                    files.remove(&from);
                    files.insert(onto.clone(), bytes.clone());
                });
            }
        }
        _ if !names.is_empty() => {
            let name = pick(random);
            let short: Vec<u8> = known.lock().unwrap().files[&name]
                .iter()
                .take(5)
                .copied()
                .collect();
            doubt(vec![(name.clone(), Some(short.clone()))]);
            fs::OpenOptions::new()
                .write(true)
                .open(dir.join(&name))?
                .set_len(short.len() as u64)?;
            settle(&mut |files| drop(files.insert(name.clone(), short.clone())));
        }
        _ => {}
    }
    Ok(())
}

/// Compares a writer's directory with what it knows. Only names of the call in flight may be one thing or the other.
fn compare(dir: &Path, known: &mut Known) -> Result<(), String> {
    let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(|e| e.to_string())? {
        let entry = entry.map_err(|e| e.to_string())?;
        let bytes = fs::read(entry.path()).map_err(|e| format!("{:?}: {e}", entry.path()))?;
        found.insert(entry.file_name().into_string().unwrap(), bytes);
    }
    let in_doubt: Vec<&String> = known.doubt.iter().map(|(name, _)| name).collect();
    for (name, bytes) in &known.files {
        if !in_doubt.contains(&name) && found.get(name) != Some(bytes) {
            return Err(format!(
                "{name}: acknowledged {} bytes, found {:?}",
                bytes.len(),
                found.get(name).map(Vec::len)
            ));
        }
    }
    for name in found.keys() {
        if !in_doubt.contains(&name) && !known.files.contains_key(name) {
            return Err(format!(
                "{name} is back though its removal was acknowledged"
            ));
        }
    }
    let before = known
        .doubt
        .iter()
        .all(|(name, _)| found.get(name) == known.files.get(name));
    let after = known
        .doubt
        .iter()
        .all(|(name, bytes)| found.get(name) == bytes.as_ref());
    // A write may be cut anywhere by the death of the daemon; then the file holds the old bytes and a start of the new.
    let partly = known.doubt.iter().all(|(name, bytes)| {
        match (found.get(name), bytes, known.files.get(name)) {
            (Some(now), Some(new), Some(old)) => new.starts_with(now) && now.len() >= old.len(),
            _ => false,
        }
    });
    if !(before || after || partly) {
        return Err(format!("the call in flight is half done: {:?}", in_doubt));
    }
    known.files = found;
    known.doubt.clear();
    Ok(())
}

#[test]
fn nothing_acknowledged_is_missing_after_kill_nine() {
    if !can_mount("kill") {
        return;
    }
    let (kills, writers) = (scale(50, 200), 3);
    let mut random = fastrand::Rng::with_seed(first_seed(42));
    let rig = Rig::mounted(|_| {}, &[]);
    let knows: Vec<Arc<Mutex<Known>>> = (0..writers).map(|_| Arc::default()).collect();
    let dirs: Vec<PathBuf> = (0..writers)
        .map(|i| rig.mnt.join(format!("w{i}")))
        .collect();
    dirs.iter().for_each(|dir| fs::create_dir(dir).unwrap());
    let mut counts = 0usize;
    for round in 0..kills {
        // A third of the rounds offline, the others with pushes going on.
        if round % 3 == 2 {
            rig.offline();
        } else if round % 3 == 0 && round > 0 {
            rig.run(&["online"]);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..writers)
            .map(|i| {
                let (dir, known, stop, mut random) = (
                    dirs[i].clone(),
                    knows[i].clone(),
                    stop.clone(),
                    fastrand::Rng::with_seed(random.u64(..)),
                );
                let first = counts + i * 100_000 + round * 1_000_000;
                std::thread::spawn(move || {
                    for count in first.. {
                        if stop.load(Ordering::Relaxed)
                            || step(&dir, &known, &mut random, count).is_err()
                        {
                            return;
                        }
                    }
                })
            })
            .collect();
        // Random moments over the run of the writers, more than half of which lie before the kill.
        std::thread::sleep(Duration::from_millis(random.u64(20..400)));
        rig.kill();
        stop.store(true, Ordering::Relaxed);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        counts += 1;
        rig.mount(&[]).ok();
        for (i, dir) in dirs.iter().enumerate() {
            let mut known = knows[i].lock().unwrap();
            if let Err(told) = compare(dir, &mut known) {
                panic!("round {round}, writer {i}: {told}");
            }
        }
    }
    let acknowledged: usize = knows.iter().map(|known| known.lock().unwrap().done).sum();
    assert!(
        acknowledged > kills * 20,
        "only {acknowledged} operations ran"
    );
    // So much was removed that the brake may ask.
    if rig.online().code == 6 {
        rig.run(&["approve"]).ok();
    }
    assert_eq!(rig.online().code, 0);
    support::trees::assert_equal(&rig.mnt, &rig.lower);
    rig.umount().ok();
    support::run_limited(
        support::driftfs()
            .args(["check", "--read-data", "--state"])
            .arg(&rig.state),
        Duration::from_secs(120),
    )
    .ok();
    measured(&format!(
        "{kills} kills, {acknowledged} operations acknowledged, 0 missing; check is clean"
    ));
}
