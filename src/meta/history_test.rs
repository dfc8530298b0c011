//! Random histories with snapshots against plain maps.

use std::collections::{BTreeMap, BTreeSet};

use super::Meta;
use super::calls_test::{file, name, open, read, write};
use crate::model::{Epoch, Ino, Name, ObjectId, Time};

/// The plain model: everything of one moment, copied whole at each snapshot.
#[derive(Clone, Default, PartialEq, Debug)]
struct Moment {
    nodes: BTreeMap<Ino, u64>,
    entries: BTreeMap<(Ino, Name), Ino>,
    bytes: BTreeMap<Ino, ObjectId>,
}

struct History {
    dir: tempfile::TempDir,
    meta: Meta,
    now: Moment,
    views: BTreeMap<String, (Epoch, Moment)>,
    dice: fastrand::Rng,
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

impl History {
    fn new(seed: u64) -> History {
        let dir = tempfile::tempdir().unwrap();
        let meta = open(&dir);
        let mut now = Moment::default();
        now.nodes.insert(Ino::ROOT, 0);
        History {
            dir,
            meta,
            now,
            views: BTreeMap::new(),
            dice: fastrand::Rng::with_seed(seed),
        }
    }

    fn pick(&mut self) -> Ino {
        let all: Vec<Ino> = self.now.nodes.keys().copied().collect();
        all[self.dice.usize(..all.len())]
    }

    fn step(&mut self) {
        match self.dice.u32(..100) {
            0..15 => self.create(),
            15..40 => self.touch(),
            40..60 => self.name(),
            60..72 => self.unname(),
            72..78 => self.drop_node(),
            78..90 => self.write_bytes(),
            90..95 => self.snapshot(),
            95..98 => self.drop_snapshot(),
            _ => self.meta = open_again(&mut self.meta, &self.dir),
        }
    }

    fn create(&mut self) {
        let ino = write(&self.meta, |txn| {
            let mut node = file(txn)?;
            node.bytes_since = txn.epoch()?;
            txn.put_node(&node)?;
            Ok(node.ino)
        });
        self.now.nodes.insert(ino, 0);
        self.now.bytes.insert(ino, ObjectId(0));
    }

    fn touch(&mut self) {
        let ino = self.pick();
        let rev = self.dice.u64(..1000);
        write(&self.meta, |txn| {
            let mut node = txn.node(ino)?.unwrap();
            node.rev = rev;
            txn.put_node(&node)
        });
        self.now.nodes.insert(ino, rev);
    }

    fn name(&mut self) {
        let (parent, ino) = (self.pick(), self.pick());
        let name = name(self.dice.choice(NAMES).unwrap());
        write(&self.meta, |txn| txn.put_entry(parent, &name, ino));
        self.now.entries.insert((parent, name), ino);
    }

    fn unname(&mut self) {
        let parent = self.pick();
        let name = name(self.dice.choice(NAMES).unwrap());
        write(&self.meta, |txn| txn.drop_entry(parent, &name));
        self.now.entries.remove(&(parent, name));
    }

    fn drop_node(&mut self) {
        let ino = self.pick();
        if ino == Ino::ROOT {
            return;
        }
        self.seal_past(ino);
        write(&self.meta, |txn| txn.drop_node(ino));
        self.now.nodes.remove(&ino);
        self.now.bytes.remove(&ino);
    }

    /// New bytes: what was there is kept for older snapshots first. A "live file" is the object it will become.
    fn write_bytes(&mut self) {
        let ino = self.pick();
        if ino == Ino::ROOT {
            return;
        }
        self.seal_past(ino);
        let id = write(&self.meta, |txn| {
            let mut node = txn.node(ino)?.unwrap();
            node.bytes_since = txn.epoch()?;
            txn.put_node(&node)?;
            txn.new_object()
        });
        self.now.bytes.insert(ino, id);
    }

    fn seal_past(&mut self, ino: Ino) {
        let id = self.now.bytes[&ino];
        write(&self.meta, |txn| {
            let node = txn.node(ino)?.unwrap();
            txn.put_past_bytes(ino, node.bytes_since, id)
        });
    }

    fn snapshot(&mut self) {
        let name = format!("v{}", self.dice.u32(..5));
        let view = write(&self.meta, |txn| {
            txn.put_view(&name, "test", Time::default())
        });
        self.views.insert(name, (view.epoch, self.now.clone()));
    }

    fn drop_snapshot(&mut self) {
        let name = format!("v{}", self.dice.u32(..5));
        let dropped = write(&self.meta, |txn| txn.drop_view(&name));
        assert_eq!(dropped, self.views.remove(&name).is_some());
    }

    fn check(&self) {
        for (epoch, then) in self.views.values() {
            assert_eq!(&self.seen_at(*epoch), then, "in epoch {epoch}");
        }
        let now = read(&self.meta, |rows| rows.epoch());
        assert_eq!(self.seen_at(now), self.now);
        if self.views.is_empty() {
            let counts =
                "SELECT (SELECT count(*) FROM past_node) + (SELECT count(*) FROM past_entry)
                + (SELECT count(*) FROM past_bytes)";
            let left = read(&self.meta, |rows| {
                rows.one("past_node", counts, [], |c| c.number(0))
            });
            assert_eq!(left, Some(0), "past rows without a snapshot");
        }
        let sick = read(&self.meta, |rows| rows.doctor());
        assert!(
            !sick.iter().any(|line| line.contains("overlap")),
            "{sick:?}"
        );
    }

    fn seen_at(&self, epoch: Epoch) -> Moment {
        let everyone: BTreeSet<Ino> = self.everyone();
        let mut seen = Moment::default();
        read(&self.meta, |rows| {
            for ino in everyone {
                if let Some(node) = rows.node_at(epoch, ino)? {
                    seen.nodes.insert(ino, node.rev);
                    let bytes = rows.bytes_at(epoch, ino)?;
                    let bytes = bytes.or(self.now.bytes.get(&ino).copied());
                    seen.bytes.extend(bytes.map(|id| (ino, id)));
                }
                let entries = rows.entries_at(epoch, ino)?;
                assert!(entries.is_sorted_by_key(|entry| entry.cookie));
                let named = entries
                    .into_iter()
                    .map(|entry| ((ino, entry.name), entry.ino));
                seen.entries.extend(named);
            }
            Ok(())
        });
        seen
    }

    fn everyone(&self) -> BTreeSet<Ino> {
        let moments = self.views.values().map(|(_, then)| then).chain([&self.now]);
        let named = moments
            .clone()
            .flat_map(|m| m.entries.keys().map(|(parent, _)| *parent));
        let nodes = moments.flat_map(|m| m.nodes.keys().copied());
        nodes.chain(named.collect::<Vec<_>>()).collect()
    }
}

fn open_again(meta: &mut Meta, dir: &tempfile::TempDir) -> Meta {
    // As after a kill: what was not stored yet is in the redo journal only. The old one is dropped by the assignment
    // that follows, and does nothing more.
    meta.stop_after(0);
    open(dir)
}

#[test]
fn snapshots_show_what_was_true_then() {
    for seed in 0..12 {
        let mut history = History::new(seed);
        for step in 0..400 {
            history.step();
            if step % 20 == 0 {
                history.check();
            }
        }
        history.check();
    }
}
