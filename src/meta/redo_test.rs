//! Kills and power cuts between the redo journal and the database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::calls_test::{file, name, read, write};
use super::{Meta, Record};
use crate::model::{Ino, Name, RelPath, Time, Who};

const FILES: [&str; 4] = ["meta.db", "meta.db-wal", "meta.redo-a", "meta.redo-b"];

/// What can be seen: names with numbers and revisions, and how much was recorded.
type Shown = (BTreeMap<Name, (Ino, u64)>, usize);

/// A database, and everything it ever showed.
struct Life {
    dir: tempfile::TempDir,
    meta: Option<Meta>,
    dice: fastrand::Rng,
    /// After each transaction.
    shown: Vec<Shown>,
    /// The last of them that a flush covers.
    flushed: usize,
    /// The files as they were then.
    then: Vec<Option<Vec<u8>>>,
    turn: usize,
}

fn files(dir: &Path) -> Vec<Option<Vec<u8>>> {
    FILES
        .iter()
        .map(|name| std::fs::read(dir.join(name)).ok())
        .collect()
}

impl Life {
    fn new(seed: u64) -> Life {
        let dir = tempfile::tempdir().unwrap();
        let meta = Meta::open(dir.path()).unwrap();
        let then = files(dir.path());
        Life {
            dir,
            meta: Some(meta),
            dice: fastrand::Rng::with_seed(seed),
            shown: vec![Shown::default()],
            flushed: 0,
            then,
            turn: 0,
        }
    }

    fn meta(&self) -> &Meta {
        self.meta.as_ref().unwrap()
    }

    fn see(&self) -> Shown {
        read(self.meta(), |rows| {
            let mut names = BTreeMap::new();
            for entry in rows.entries(Ino::ROOT, crate::model::Cookie(0), usize::MAX)? {
                let node = rows.node(entry.ino)?.unwrap();
                names.insert(entry.name, (entry.ino, node.rev));
            }
            Ok((names, rows.records(None, u64::MAX, usize::MAX)?.len()))
        })
    }

    /// One transaction: a name comes, goes, or its node changes; light or heavy; at times very long.
    fn step(&mut self) {
        let (mut names, mut records) = self.shown.last().unwrap().clone();
        let which = name(&format!("f{}", self.dice.u32(..12)));
        let (heavy, long) = (self.dice.u8(..4) == 0, self.dice.u8(..8) == 0);
        let rev = self.dice.u64(..);
        let there = names.get(&which).copied();
        let go = there.is_some() && self.dice.bool();
        let ino = write(self.meta(), |txn| {
            if heavy {
                txn.set_setting("n", Some(&rev.to_string()))?;
            }
            let mut node = match there {
                Some((ino, _)) => txn.node(ino)?.unwrap(),
                None => file(txn)?,
            };
            if go {
                txn.drop_entry(Ino::ROOT, &which)?;
                txn.drop_node(node.ino)?;
                return Ok(node.ino);
            }
            node.rev = rev >> 1;
            txn.put_node(&node)?;
            txn.put_entry(Ino::ROOT, &which, node.ino)?;
            if long {
                txn.record(&record(node.ino))?;
            }
            Ok(node.ino)
        });
        if go {
            names.remove(&which);
        } else {
            names.insert(which, (ino, rev >> 1));
            records += usize::from(long);
        }
        self.shown.push((names, records));
        match self.dice.u8(..20) {
            0 => self.meta().settle().unwrap(),
            1 => {
                self.meta().flush().unwrap();
                (self.flushed, self.then) = (self.shown.len() - 1, files(self.dir.path()));
            }
            2 => assert_eq!(&self.see(), self.shown.last().unwrap()),
            _ => {}
        }
        let turn = self.meta().front().redo.active;
        if turn != self.turn {
            // The other file will be overwritten: the log was synced first.
            self.turn = turn;
            self.then[1] = files(self.dir.path()).swap_remove(1);
        }
    }

    /// Opening syncs what it carried out.
    fn open(&mut self) {
        self.meta = Some(Meta::open(self.dir.path()).unwrap());
        self.turn = 0;
        self.then[1] = files(self.dir.path()).swap_remove(1);
    }

    /// The process is gone; what it handed to the kernel stays.
    fn kill(&mut self) {
        self.meta().stop_after(0);
        self.meta = None;
        self.open();
        assert_eq!(&self.see(), self.shown.last().unwrap(), "after a kill");
    }

    /// The machine is gone: each file is as it was at the last flush, or as it is, or something between, on its own.
    fn cut_power(&mut self) {
        self.meta().stop_after(0);
        let now = files(self.dir.path());
        self.meta = None;
        // A checkpoint syncs the log before it writes the database file, and that before the log begins anew.
        let as_it_is = if now[0] == self.then[0] { 0 } else { 1 };
        for (at, file) in FILES.iter().enumerate() {
            let path = self.dir.path().join(file);
            let bytes = match at <= as_it_is {
                true => now[at].clone(),
                false => self.left(self.then[at].clone(), now[at].clone()),
            };
            put(path, bytes);
        }
        let _ = std::fs::remove_file(self.dir.path().join("meta.db-shm"));
        self.open();
        let seen = self.see();
        let found = self.shown.iter().rposition(|shown| *shown == seen);
        let found = found.expect("a state that never was");
        assert!(
            found >= self.flushed,
            "{found}: flushed was {}",
            self.flushed
        );
        self.shown.truncate(found + 1);
        self.meta().flush().unwrap();
        (self.flushed, self.then) = (found, files(self.dir.path()));
    }

    fn left(&mut self, then: Option<Vec<u8>>, now: Option<Vec<u8>>) -> Option<Vec<u8>> {
        match self.dice.u8(..3) {
            0 => then,
            1 => now,
            _ => {
                // Written from the front on; behind some point still the old bytes.
                let (then, now) = (then.unwrap_or_default(), now.unwrap_or_default());
                let to = self.dice.usize(..=now.len());
                let mut mixed = now[..to].to_vec();
                mixed.extend(then.get(to..).unwrap_or_default());
                Some(mixed)
            }
        }
    }
}

fn put(path: PathBuf, bytes: Option<Vec<u8>>) {
    match bytes {
        Some(bytes) => std::fs::write(path, bytes).unwrap(),
        None => drop(std::fs::remove_file(path)),
    }
}

fn record(ino: Ino) -> Record {
    Record {
        seq: 0,
        when: Time::default(),
        who: Who::DRIFTFS,
        program: String::new(),
        ino: Some(ino),
        path: RelPath::default(),
        verb: "test".to_owned(),
        detail: "long ".repeat(60_000),
    }
}

#[test]
fn a_kill_takes_nothing_and_a_power_cut_nothing_that_was_flushed() {
    for seed in 0..3 {
        let mut life = Life::new(seed);
        for _ in 0..30 {
            for _ in 0..life.dice.usize(1..40) {
                life.step();
            }
            if life.dice.bool() {
                life.kill();
            } else {
                life.cut_power();
            }
        }
        let sick = read(life.meta(), |rows| rows.doctor());
        assert!(
            !sick.iter().any(|line| line.contains("no node")),
            "{sick:?}"
        );
    }
}

#[test]
fn what_is_flushed_is_known_of_each_node() {
    let dir = tempfile::tempdir().unwrap();
    let meta = Meta::open(dir.path()).unwrap();
    let make = |text: &str| {
        write(&meta, |txn| {
            let node = file(txn)?;
            txn.put_node(&node)?;
            txn.put_entry(Ino::ROOT, &name(text), node.ino)?;
            Ok(node.ino)
        })
    };
    let (one, two) = (make("one"), make("two"));
    assert!(!meta.is_flushed(one) && !meta.is_flushed(two));
    meta.flush().unwrap();
    assert!(meta.is_flushed(one) && meta.is_flushed(two));
    // A name alone, and a row in a transaction of the database itself.
    write(&meta, |txn| {
        txn.put_entry(Ino::ROOT, &name("more"), one).map(drop)
    });
    write(&meta, |txn| {
        txn.set_setting("k", Some("v"))?;
        let node = txn.node(two)?.unwrap();
        txn.put_node(&node)
    });
    assert!(!meta.is_flushed(one) && !meta.is_flushed(two));
    meta.flush().unwrap();
    assert!(meta.is_flushed(one) && meta.is_flushed(two));
}
