//! Many threads at once: nobody waits for ever, nothing acknowledged is lost, and the rows stay sound.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use driftfs::model::{Cookie, Ino, Kind, Name};
use driftfs::tree::{NewNode, RenameMode, SetAttrs, Tree, TreeError};

use super::agreed::agree_rows;
use super::world::{WHO, World};

const THREADS: usize = 4;
/// Far above what it takes; only a deadlock gets there.
const LIMIT: Duration = Duration::from_secs(120);

fn shared_name(random: &mut fastrand::Rng) -> Name {
    Name::try_from(["a", "b", "c"][random.usize(0..3)]).unwrap()
}

fn new_file() -> NewNode {
    NewNode {
        kind: Kind::File,
        mode: 0o644,
        rdev: 0,
        target: None,
    }
}

/// One random thing to a file that others use too. What another thread made impossible is fine.
fn disturb(tree: &Tree, random: &mut fastrand::Rng) -> Result<(), TreeError> {
    let (a, b) = (shared_name(random), shared_name(random));
    let root = Ino::ROOT;
    match random.u8(0..12) {
        0 | 1 => tree.create(root, &a, &new_file(), WHO).map(drop),
        2 => tree.unlink(root, &a, WHO).map(drop),
        3 => tree
            .rename((root, &a), (root, &b), RenameMode::Replace, WHO)
            .map(drop),
        4 => tree
            .rename((root, &a), (root, &b), RenameMode::Exchange, WHO)
            .map(drop),
        5 => {
            let ino = tree.lookup(root, &a)?.node.ino;
            let (object, rev) = tree.seal_now(ino)?;
            let done = agree_rows(tree, ino, rev, object);
            tree.release(object);
            done.map(drop)
        }
        6 => {
            let size = SetAttrs {
                size: Some(random.u64(0..5000)),
                ..SetAttrs::default()
            };
            let ino = tree.lookup(root, &a)?.node.ino;
            tree.set_attrs(ino, &size, false, WHO).map(drop)
        }
        7 => tree.list(root, Cookie(0), 100).map(drop),
        8 if random.u8(..) < 30 => tree.snapshot("threads", "test").map(drop),
        9 if random.u8(..) < 60 => tree.sweep().map(drop),
        10 => tree.drop_bytes(tree.lookup(root, &a)?.node.ino),
        _ => {
            let ino = tree.lookup(root, &a)?.node.ino;
            let truncate = random.bool();
            let handle = tree.open_file(ino, true, truncate, WHO)?;
            tree.write(&handle, random.u64(0..3000), b"shared", false, false, WHO)?;
            if random.u8(..) < 20 {
                tree.sync(&handle)?;
            }
            tree.read(&handle, 0, 100).map(drop)
        }
    }
}

fn work(tree: &Tree, number: usize, steps: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number as u64 + 1);
    let own = Name::try_from(format!("own {number}").as_str()).unwrap();
    let ino = tree
        .create(Ino::ROOT, &own, &new_file(), WHO)
        .unwrap()
        .node
        .ino;
    let mut wanted = Vec::new();
    let mut handle = tree.open_file(ino, true, false, WHO).unwrap();
    for step in 0..steps {
        use TreeError::{Busy, Exists, NoBytes, NotFound};
        match disturb(tree, &mut random) {
            Ok(()) | Err(NotFound | Exists | Busy | NoBytes(_)) => {}
            Err(other) => panic!("thread {number}, step {step}: {other}"),
        }
        let line = format!("{number} wrote line {step}\n");
        tree.write(&handle, 0, line.as_bytes(), true, false, WHO)
            .unwrap();
        wanted.extend_from_slice(line.as_bytes());
        if random.u8(..) < 30 {
            handle = tree.open_file(ino, true, false, WHO).unwrap();
        }
    }
    wanted
}

#[test]
fn threads_do_not_wait_for_each_other_for_ever_and_lose_nothing() {
    let steps = super::support::scale(500, 5000);
    let (tell, told) = mpsc::channel();
    let mut world = World::new();
    let tree = Arc::new(world.tree.take().unwrap());
    for number in 0..THREADS {
        let (tree, tell) = (tree.clone(), tell.clone());
        std::thread::spawn(move || {
            let wanted = work(&tree, number, steps);
            drop(tree);
            tell.send((number, wanted)).unwrap();
        });
    }
    drop(tell);
    let mut all = Vec::new();
    for _ in 0..THREADS {
        all.push(
            told.recv_timeout(LIMIT)
                .expect("a thread failed, or waits for ever"),
        );
    }
    let ill = tree.meta().read(|rows| rows.doctor()).unwrap();
    assert!(ill.is_empty(), "{ill:?}");
    world.tree = Arc::into_inner(tree);
    for killed in [true, false] {
        for (number, wanted) in &all {
            let ino = world.find(format!("own {number}").as_ref()).unwrap();
            assert_eq!(&world.bytes(ino), wanted, "the lines of thread {number}");
        }
        world.restart(killed);
    }
}
