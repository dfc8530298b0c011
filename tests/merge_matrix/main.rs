//! Every single change of one side crossed with every one of the other, at the same name and at nested names.
//!
//! What comes out is compared with `same.txt` and `nested.txt`, which were written by hand from the rules in
//! docs/semantics.md and must never be printed by the planner. Besides: exchanging the sides exchanges the result, nothing
//! unique is lost, and a second plan has nothing to do.

#[path = "../plan_sim/mod.rs"]
mod plan_sim;

mod changes;
mod show;

use std::collections::BTreeMap;

use driftfs::reintegrate::plan::plan;
use driftfs::reintegrate::steps::Side;

use changes::{Change, nested, nested_base, same, same_base};
use plan_sim::{World, swapped};
use show::{conflicts, show};

/// What a cell says: conflicts, client tree, server tree.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    conflicts: String,
    client: String,
    server: String,
}

impl Cell {
    /// The same seen from the other side.
    fn exchanged(&self) -> Cell {
        Cell {
            conflicts: self.conflicts.clone(),
            client: self.server.clone(),
            server: self.client.clone(),
        }
    }
}

/// Reads an expectation file: `client-change server-change : conflicts : client tree [| server tree]`.
fn expected(text: &str) -> BTreeMap<(String, String), Cell> {
    let mut cells = BTreeMap::new();
    let lines = text.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parts: Vec<&str> = line.split(" : ").map(str::trim).collect();
        let [pair, conflicts, trees] = parts[..] else {
            panic!("three parts in {line:?}")
        };
        let (client, server) = pair.split_once(' ').expect("two changes");
        let (left, right) = trees.split_once('|').unwrap_or((trees, trees));
        let cell = Cell {
            conflicts: conflicts.into(),
            client: left.trim().into(),
            server: right.trim().into(),
        };
        let name = (client.trim().to_string(), server.trim().to_string());
        assert!(cells.insert(name, cell).is_none(), "twice: {line}");
    }
    cells
}

fn crossed(base: &World, client: &Change, server: &Change) -> World {
    let mut world = base.clone();
    for (side, change) in [(Side::Client, client), (Side::Server, server)] {
        for op in change.ops(side) {
            assert!(
                world.edit(side, &op),
                "{}: {op:?} does not apply",
                change.name
            );
        }
    }
    world
}

/// Plans, does it, plans again; checks what holds for every cell.
fn outcome(mut world: World, name: &str) -> Cell {
    world.build();
    let unique = world.unique();
    let outcome = world.sync();
    let readable = world.readable();
    assert!(
        unique.is_subset(&readable),
        "{name}: lost {unique:?} of {readable:?}"
    );
    let cell = Cell {
        conflicts: conflicts(&outcome.conflicts),
        client: show(&world.client),
        server: show(&world.server),
    };
    let again = plan(&world.build().universe);
    assert!(again.steps.is_empty(), "{name}: again {:?}", again.steps);
    let kinds: Vec<_> = again.clashes.iter().map(|clash| clash.kind).collect();
    assert_eq!(conflicts(&kinds), cell.conflicts, "{name}: conflicts stay");
    cell
}

fn check(base: &World, changes: &[Change], text: &str) {
    let expected = expected(text);
    let mut wrong = Vec::new();
    for (index, client) in changes.iter().enumerate() {
        for server in &changes[index..] {
            let pair = (client.name.to_string(), server.name.to_string());
            let name = format!("{} {}", pair.0, pair.1);
            let wanted = expected
                .get(&pair)
                .unwrap_or_else(|| panic!("no expectation for {name}"));
            let world = crossed(base, client, server);
            let mirror = outcome(swapped(&world), &name);
            let cell = outcome(world, &name);
            if cell != *wanted {
                wrong.push(format!("{name}\n  wanted {wanted:?}\n  got    {cell:?}"));
            }
            if mirror != cell.exchanged() {
                wrong.push(format!(
                    "{name} exchanged\n  got {mirror:?}\n  and {cell:?}"
                ));
            }
        }
    }
    let cells = changes.len() * (changes.len() + 1) / 2;
    assert_eq!(expected.len(), cells, "one expectation for each pair");
    assert!(
        wrong.is_empty(),
        "{} of {cells} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_same_name() {
    check(&same_base(), &same(), include_str!("same.txt"));
}

#[test]
fn nested_names() {
    check(&nested_base(), &nested(), include_str!("nested.txt"));
}

/// The matrix has drivers that never merge; where one does, both sides get what it made.
#[test]
fn merged_bytes_go_to_both_sides() {
    let mut world = same_base();
    world.unmergeable = false;
    for (side, bytes) in [(Side::Client, 20), (Side::Server, 40)] {
        assert!(world.edit(side, &plan_sim::Op::StoreBytes("x".into(), bytes)));
    }
    let outcome = world.sync();
    assert_eq!(conflicts(&outcome.conflicts), "-");
    assert_eq!(show(&world.client), show(&world.server));
    assert!(world.readable().contains("bytes 20") && world.readable().contains("bytes 40"));
}
