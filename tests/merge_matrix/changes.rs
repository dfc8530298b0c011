//! The single changes.

use driftfs::reintegrate::steps::Side;

use crate::plan_sim::{Bytes, Op, World};

/// Bytes of base, of each side, and those both write alike.
pub const BASE: Bytes = 1;
pub const CLIENT: Bytes = 3;
pub const SERVER: Bytes = 4;
pub const ALIKE: Bytes = 1000;

/// One change and what it does.
pub struct Change {
    pub name: &'static str,
    ops: fn(Own) -> Vec<Op>,
}

/// What a side writes of its own.
#[derive(Clone, Copy)]
pub struct Own {
    bytes: Bytes,
    target: &'static str,
}

impl Change {
    pub fn ops(&self, side: Side) -> Vec<Op> {
        (self.ops)(match side {
            Side::Server => Own {
                bytes: SERVER,
                target: "S",
            },
            _ => Own {
                bytes: CLIENT,
                target: "C",
            },
        })
    }
}

fn change(name: &'static str, ops: fn(Own) -> Vec<Op>) -> Change {
    Change { name, ops }
}

fn path(text: &str) -> String {
    text.into()
}

fn rename(from: &str, to: &str) -> Op {
    Op::Rename(path(from), path(to))
}

/// A file `x` and an empty directory `d`.
pub fn same_base() -> World {
    let mut world = World::new();
    world.unmergeable = true;
    world.edit(Side::Client, &Op::CreateWith(path("x"), BASE));
    world.edit(Side::Client, &Op::Mkdir(path("d")));
    world.agree();
    world
}

/// What can be done to `x`, and a new `y` in the way.
pub fn same() -> Vec<Change> {
    vec![
        change("keep", |_| vec![]),
        change("store", |own| vec![Op::StoreBytes(path("x"), own.bytes)]),
        change("alike", |_| vec![Op::StoreBytes(path("x"), ALIKE)]),
        change("m600", |_| vec![Op::Chmod(path("x"), 0o600)]),
        change("m640", |_| vec![Op::Chmod(path("x"), 0o640)]),
        change("u1", |_| vec![Op::Xattr(path("x"), "user.u", Some("1"))]),
        change("u2", |_| vec![Op::Xattr(path("x"), "user.u", Some("2"))]),
        change("mvy", |_| vec![rename("x", "y")]),
        change("mvz", |_| vec![rename("x", "z")]),
        change("mvd", |_| vec![rename("x", "d/x")]),
        change("mvst", |own| {
            vec![rename("x", "y"), Op::StoreBytes(path("y"), own.bytes)]
        }),
        change("rm", |_| vec![Op::Remove(path("x"))]),
        change("dir", |_| vec![Op::Remove(path("x")), Op::Mkdir(path("x"))]),
        change("sym", |own| {
            vec![
                Op::Remove(path("x")),
                Op::Symlink(path("x"), path(own.target)),
            ]
        }),
        change("ln", |_| vec![Op::Link(path("x"), path("l"))]),
        change("newy", |own| vec![Op::CreateWith(path("y"), own.bytes)]),
    ]
}

/// A directory `d` with a file `f` in it, and an empty directory `k`.
pub fn nested_base() -> World {
    let mut world = World::new();
    world.unmergeable = true;
    world.edit(Side::Client, &Op::Mkdir(path("d")));
    world.edit(Side::Client, &Op::CreateWith(path("d/f"), BASE));
    world.edit(Side::Client, &Op::Mkdir(path("k")));
    world.agree();
    world
}

/// What can be done to `d`, to what is in it, and into it.
pub fn nested() -> Vec<Change> {
    vec![
        change("keep", |_| vec![]),
        change("store", |own| vec![Op::StoreBytes(path("d/f"), own.bytes)]),
        change("rmf", |_| vec![Op::Remove(path("d/f"))]),
        change("new", |own| vec![Op::CreateWith(path("d/n"), own.bytes)]),
        change("sub", |own| {
            vec![
                Op::Mkdir(path("d/m")),
                Op::CreateWith(path("d/m/g"), own.bytes),
            ]
        }),
        change("mode", |_| vec![Op::Chmod(path("d"), 0o700)]),
        change("mve", |_| vec![rename("d", "e")]),
        change("mvg", |_| vec![rename("d", "g")]),
        change("rmr", |_| vec![Op::RemoveAll(path("d"))]),
        change("flat", |own| {
            vec![
                Op::RemoveAll(path("d")),
                Op::CreateWith(path("d"), own.bytes),
            ]
        }),
        change("out", |_| vec![rename("d/f", "f")]),
        change("dink", |_| vec![rename("d", "k/d")]),
        change("kind", |_| vec![rename("k", "d/k")]),
        change("lnf", |_| vec![Op::Link(path("d/f"), path("l"))]),
    ]
}
