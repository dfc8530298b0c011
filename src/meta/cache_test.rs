//! Rows in memory against the database: random transactions, some of which fail, in a cache of every size.

use std::collections::BTreeSet;

use super::calls_test::{name, open, read, write};
use super::{BaseNode, Meta, MetaError, Node, Rows, WriteTxn};
use crate::model::{Bid, Cookie, Epoch, Ino, Kind, Name};

const NAMES: u32 = 12;

/// A tree that keeps what `doctor` demands of names and links, for the cache believes in it.
struct Growing {
    _dir: tempfile::TempDir,
    meta: Meta,
    dice: fastrand::Rng,
    /// Every number ever given, those of failed transactions too.
    given: BTreeSet<Ino>,
    bids: Vec<Bid>,
}

fn pick<T: Copy>(dice: &mut fastrand::Rng, all: &[T]) -> T {
    all[dice.usize(..all.len())]
}

impl Growing {
    fn new(seed: u64, limit: usize) -> Growing {
        let dir = tempfile::tempdir().unwrap();
        let meta = open(&dir);
        meta.keep_in_memory(limit);
        Growing {
            _dir: dir,
            meta,
            dice: fastrand::Rng::with_seed(seed),
            given: BTreeSet::from([Ino::ROOT]),
            bids: vec![Bid::ROOT],
        }
    }

    /// One transaction of a few changes; every fifth fails after them.
    fn transact(&mut self) {
        let (dice, given, bids) = (&mut self.dice, &mut self.given, &mut self.bids);
        let fails = dice.u8(..5) == 0;
        let done: Result<(), MetaError> = self.meta.write(|txn| {
            for _ in 0..dice.usize(1..6) {
                change(txn, dice, given, bids)?;
            }
            if fails { Err(MetaError::Full) } else { Ok(()) }
        });
        assert_eq!(done.is_err(), fails);
        if fails {
            let there = |bid: &Bid| read(&self.meta, |rows| rows.base(*bid)).is_some();
            self.bids.retain(there);
        }
    }

    /// Everything, by memory and by the database.
    fn compare(&self) {
        let known = self.meta.quick(|rows| self.seen(rows)).unwrap();
        let stored = read(&self.meta, |rows| self.seen(rows));
        assert_eq!(known, stored);
    }

    fn seen(&self, rows: &Rows<'_>) -> Result<Vec<String>, MetaError> {
        let mut seen = Vec::new();
        for ino in &self.given {
            let (node, names) = (rows.node(*ino)?, rows.names(*ino)?);
            let (home, path) = (rows.home(*ino)?, rows.path(*ino)?);
            let entries = rows.entries(*ino, Cookie(2), usize::MAX)?;
            let empty = rows.is_empty(*ino)?;
            seen.push(format!(
                "{node:?} {names:?} {home:?} {path:?} {entries:?} {empty}"
            ));
            for n in 0..NAMES {
                seen.push(format!("{:?}", rows.entry(*ino, &numbered(n))?));
            }
        }
        Ok(seen)
    }
}

fn numbered(n: u32) -> Name {
    name(&format!("name {n}"))
}

/// A directory of the tree, found by walking down.
fn some_dir(txn: &WriteTxn<'_>, dice: &mut fastrand::Rng) -> Result<Node, MetaError> {
    let mut at = txn.node(Ino::ROOT)?.unwrap();
    for _ in 0..dice.usize(..4) {
        let mut dirs = Vec::new();
        for entry in txn.entries(at.ino, Cookie(2), 100)? {
            let node = txn.node(entry.ino)?.unwrap();
            dirs.extend((node.attrs.kind == Kind::Dir).then_some(node));
        }
        if dirs.is_empty() {
            break;
        }
        at = dirs.swap_remove(dice.usize(..dirs.len()));
    }
    Ok(at)
}

fn change(
    txn: &WriteTxn<'_>,
    dice: &mut fastrand::Rng,
    given: &mut BTreeSet<Ino>,
    bids: &mut Vec<Bid>,
) -> Result<(), MetaError> {
    let (mut dir, name) = (some_dir(txn, dice)?, numbered(dice.u32(..NAMES)));
    match txn.entry(dir.ino, &name)? {
        None => {
            let node = create(txn, dice, bids)?;
            given.insert(node.ino);
            dir.nlink += u32::from(node.attrs.kind == Kind::Dir);
            txn.put_entry(dir.ino, &name, node.ino)?;
            txn.put_node(&dir)
        }
        Some(entry) => {
            let node = txn.node(entry.ino)?.unwrap();
            match dice.u8(..6) {
                0 => remove(txn, dir, &name, node),
                1 => link(txn, dice, node),
                2 => rename(txn, dice, (dir, &name), node),
                3 => {
                    let bid = pick(dice, bids);
                    if bid != Bid::ROOT {
                        txn.drop_base(bid)?;
                        bids.retain(|other| *other != bid);
                    }
                    Ok(())
                }
                _ => touch(txn, dice, node),
            }
        }
    }
}

fn create(
    txn: &WriteTxn<'_>,
    dice: &mut fastrand::Rng,
    bids: &mut Vec<Bid>,
) -> Result<Node, MetaError> {
    let mut node = txn.node(Ino::ROOT)?.unwrap();
    node.ino = txn.new_ino(None)?;
    node.bid = None;
    let kind = pick(dice, &[Kind::File, Kind::File, Kind::Dir]);
    (node.attrs.kind, node.nlink) = (kind, if kind == Kind::Dir { 2 } else { 1 });
    if dice.bool() {
        let base = BaseNode {
            bid: txn.new_bid()?,
            ..txn.base(Bid::ROOT)?.unwrap()
        };
        txn.put_base(&base)?;
        bids.push(base.bid);
        node.bid = Some(base.bid);
    }
    txn.put_node(&node)?;
    Ok(node)
}

fn touch(txn: &WriteTxn<'_>, dice: &mut fastrand::Rng, mut node: Node) -> Result<(), MetaError> {
    node.rev = dice.u64(..);
    if dice.bool() {
        node.xattrs.insert(b"user.x".to_vec(), vec![dice.u8(..)]);
    }
    txn.put_node(&node)
}

fn remove(txn: &WriteTxn<'_>, mut dir: Node, name: &Name, mut node: Node) -> Result<(), MetaError> {
    if node.attrs.kind == Kind::Dir {
        if !txn.is_empty(node.ino)? {
            return Ok(());
        }
        (node.nlink, dir.nlink) = (0, dir.nlink - 1);
        txn.put_node(&dir)?;
    } else {
        node.nlink -= 1;
    }
    txn.drop_entry(dir.ino, name)?;
    txn.put_node(&node)?;
    if node.nlink == 0 {
        txn.drop_node(node.ino)?;
    }
    Ok(())
}

fn link(txn: &WriteTxn<'_>, dice: &mut fastrand::Rng, mut node: Node) -> Result<(), MetaError> {
    let (dir, name) = (some_dir(txn, dice)?, numbered(dice.u32(..NAMES)));
    if node.attrs.kind == Kind::Dir || txn.entry(dir.ino, &name)?.is_some() {
        return Ok(());
    }
    node.nlink += 1;
    txn.put_entry(dir.ino, &name, node.ino)?;
    txn.put_node(&node)
}

fn rename(
    txn: &WriteTxn<'_>,
    dice: &mut fastrand::Rng,
    (mut from, name): (Node, &Name),
    node: Node,
) -> Result<(), MetaError> {
    let (mut to, other) = (some_dir(txn, dice)?, numbered(dice.u32(..NAMES)));
    let inside = txn.path(to.ino)?.unwrap().names().to_vec();
    let moved = txn.path(node.ino)?.unwrap().names().to_vec();
    if inside.starts_with(&moved) || txn.entry(to.ino, &other)?.is_some() {
        return Ok(());
    }
    txn.drop_entry(from.ino, name)?;
    txn.put_entry(to.ino, &other, node.ino)?;
    if node.attrs.kind == Kind::Dir && from.ino != to.ino {
        (from.nlink, to.nlink) = (from.nlink - 1, to.nlink + 1);
        txn.put_node(&from)?;
        txn.put_node(&to)?;
    }
    txn.put_node(&node)
}

#[test]
fn memory_answers_what_the_database_says() {
    for (seed, limit) in [(1, 8), (2, 24), (3, 100), (4, 100_000)] {
        let mut growing = Growing::new(seed, limit);
        for round in 0..250 {
            growing.transact();
            if round % 16 == 0 {
                growing.compare();
                let (nodes, names) = growing.meta.kept_in_memory();
                assert!(nodes <= limit && names <= limit * 2, "{nodes} {names}");
            }
        }
        growing.compare();
        let sick = read(&growing.meta, |rows| rows.doctor());
        // The base objects here have no names, and nothing relies on them.
        let sick: Vec<_> = sick
            .iter()
            .filter(|line| !line.contains("a base object"))
            .collect();
        assert!(sick.is_empty(), "what the cache relies on: {sick:?}");
    }
}

#[test]
fn a_large_directory_is_answered_from_memory_and_one_too_large_is_not_kept() {
    for (limit, kept) in [(100_000, true), (1000, false)] {
        let growing = Growing::new(5, limit);
        write(&growing.meta, |txn| {
            let mut node = txn.node(Ino::ROOT)?.unwrap();
            (node.attrs.kind, node.nlink, node.bid) = (Kind::File, 1, None);
            for n in 0..900 {
                node.ino = txn.new_ino(None)?;
                txn.put_node(&node)?;
                txn.put_entry(Ino::ROOT, &numbered(n), node.ino)?;
            }
            Ok(())
        });
        growing.meta.keep_in_memory(limit);
        for n in 0..1800 {
            let found = growing
                .meta
                .quick(|rows| rows.entry(Ino::ROOT, &numbered(n)));
            assert_eq!(found.unwrap().is_some(), n < 900);
        }
        assert_eq!(growing.meta.kept_in_memory().1 == 900, kept);
    }
}

#[test]
fn a_commit_that_fails_changes_no_answer() {
    let growing = Growing::new(6, 1000);
    let root = |rows: &Rows<'_>| Ok::<_, MetaError>(rows.node(Ino::ROOT)?.unwrap());
    let before = growing.meta.quick(root).unwrap();
    growing.meta.stop_after(0);
    let put = growing.meta.write(|txn| {
        txn.put_node(&Node {
            rev: 99,
            ..root(txn)?
        })
    });
    assert!(put.is_err());
    assert_eq!(growing.meta.quick(root).unwrap(), before);
}

#[test]
fn a_reader_sees_all_of_a_transaction_or_nothing() {
    let growing = Growing::new(7, 1000);
    let meta = &growing.meta;
    let (one, two) = (numbered(1), numbered(2));
    write(meta, |txn| {
        let mut node = txn.node(Ino::ROOT)?.unwrap();
        (node.ino, node.attrs.kind, node.nlink) = (txn.new_ino(None)?, Kind::File, 1);
        (node.bid, node.since) = (None, Epoch(1));
        txn.put_node(&node)?;
        txn.put_entry(Ino::ROOT, &one, node.ino).map(|_| ())
    });
    std::thread::scope(|scope| {
        let swaps = scope.spawn(|| {
            for n in 0..300 {
                let (from, to) = if n % 2 == 0 {
                    (&one, &two)
                } else {
                    (&two, &one)
                };
                write(meta, |txn| {
                    let ino = txn.entry(Ino::ROOT, from)?.unwrap().ino;
                    txn.drop_entry(Ino::ROOT, from)?;
                    txn.put_entry(Ino::ROOT, to, ino).map(|_| ())
                });
            }
        });
        while !swaps.is_finished() {
            let there = meta.quick(|rows| {
                let has = |name| Ok::<_, MetaError>(rows.entry(Ino::ROOT, name)?.is_some());
                Ok::<_, MetaError>((has(&one)?, has(&two)?))
            });
            let (one, two) = there.unwrap();
            assert!(one != two, "half of a transaction was seen");
        }
    });
}
