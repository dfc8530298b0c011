//! Random histories on both sides, planned and carried out in memory. What must hold whatever people do:
//! nothing unique is lost, one-sided changes arrive exactly, every order of failures leaves valid trees, exchanging the
//! sides exchanges the result, and a second plan has nothing to do.

mod plan_sim;

use std::collections::{BTreeMap, BTreeSet};

use driftfs::model::Kind;
use driftfs::reintegrate::plan::plan;
use driftfs::reintegrate::steps::Side;
use plan_sim::{Id, Op, Outcome, ROOT, Run, Tree, World, kinds, links, render, swapped};

/// Histories per test; `DRIFTFS_SEEDS` asks for more.
fn seeds() -> u64 {
    let asked = std::env::var("DRIFTFS_SEEDS").ok();
    asked.and_then(|seeds| seeds.parse().ok()).unwrap_or(3000)
}

/// A path that exists, as a rule.
fn existing(random: &mut fastrand::Rng, tree: &Tree) -> String {
    let ids: Vec<Id> = tree.keys().copied().filter(|id| *id != ROOT).collect();
    if ids.is_empty() {
        return "a".into();
    }
    let paths = links(tree, ids[random.usize(0..ids.len())]);
    paths[random.usize(0..paths.len())].clone()
}

/// A name in a directory that exists; few names, so that they meet.
fn some_name(random: &mut fastrand::Rng, tree: &Tree) -> String {
    let name = ["a", "b", "c", "d", "e"][random.usize(0..5)];
    let dirs: Vec<Id> = tree
        .iter()
        .filter(|(_, node)| node.kind == Kind::Dir)
        .map(|(id, _)| *id)
        .collect();
    match dirs[random.usize(0..dirs.len())] {
        ROOT => name.into(),
        dir => format!("{}/{name}", links(tree, dir)[0]),
    }
}

/// One edit: of what exists, or of a directory in particular, since those are fewer and matter most.
fn op(random: &mut fastrand::Rng, tree: &Tree) -> Op {
    let (one, two) = (existing(random, tree), existing(random, tree));
    let new = some_name(random, tree);
    let mode = [0o600, 0o640, 0o500, 0o755][random.usize(0..4)];
    match random.u8(0..24) {
        0 | 1 => Op::Create(new),
        2 => Op::CreateWith(new, 7),
        3..=6 => Op::Mkdir(new),
        7 => Op::Symlink(new, ["t", "u", "v"][random.usize(0..3)].into()),
        8 | 9 => Op::Store(one),
        10 => Op::StoreBytes(one, 8),
        11 => Op::Chmod(one, mode),
        12 => Op::Xattr(
            one,
            ["user.a", "user.b"][random.usize(0..2)],
            [Some("1"), Some("2"), None][random.usize(0..3)],
        ),
        13 => Op::Touch(one),
        14..=17 => Op::Rename(one, new),
        18 => Op::Rename(one, two),
        19 => Op::Exchange(one, two),
        20 => Op::Link(one, new),
        21 => Op::Remove(one),
        22 => Op::RemoveAll(one),
        _ => Op::Fifo(new),
    }
}

fn edit(random: &mut fastrand::Rng, world: &mut World, side: Side, most: usize) {
    for _ in 0..random.usize(0..=most) {
        let op = op(random, world.tree(side));
        world.edit(side, &op);
    }
}

fn start(random: &mut fastrand::Rng) -> World {
    let mut world = World::new();
    for _ in 0..random.usize(4..24) {
        let op = op(random, &world.client);
        world.edit(Side::Client, &op);
    }
    world.agree();
    world
}

/// Plans, does it, and checks what must hold for every plan.
fn sync(world: &mut World, run: Run, seed: u64) -> Outcome {
    world.build(); // who is who is settled first: a file written anew with the bytes of base is no change
    let unique = world.unique();
    let outcome = world.run(run);
    let missing: Vec<_> = unique.difference(&world.readable()).cloned().collect();
    assert!(
        missing.is_empty(),
        "seed {seed}: lost {missing:?}\n{outcome:#?}"
    );
    outcome
}

/// A second plan has nothing to do and names the same conflicts.
fn settled(world: &mut World, first: &Outcome, seed: u64) {
    let second = plan(&world.build().universe);
    world.divide();
    assert!(
        second.steps.is_empty(),
        "seed {seed}: again {:#?}\nafter {first:#?}",
        second.steps
    );
    let again = kinds(second.clashes.iter().map(|clash| clash.kind));
    assert_eq!(
        again,
        kinds(first.conflicts.clone()),
        "seed {seed}: {first:#?}"
    );
    if second.clashes.is_empty() && second.pending.is_empty() {
        assert_eq!(
            render(&world.client),
            render(&world.server),
            "seed {seed}: {first:#?}"
        );
        assert_eq!(render(&world.client), render(&world.base), "seed {seed}");
    }
}

#[test]
fn histories_on_both_sides() {
    let mut met = BTreeMap::new();
    let mut rules = BTreeSet::new();
    for seed in 0..seeds() {
        let random = &mut fastrand::Rng::with_seed(seed);
        let mut world = start(random);
        for _ in 0..3 {
            edit(random, &mut world, Side::Client, 6);
            edit(random, &mut world, Side::Server, 6);
            let outcome = sync(&mut world, Run::default(), seed);
            settled(&mut world, &outcome, seed);
            rules.extend(outcome.plan.steps.iter().map(|step| step.rule));
            rules.extend(outcome.plan.clashes.iter().map(|clash| clash.rule));
            for (kind, count) in kinds(outcome.conflicts) {
                *met.entry(kind).or_insert(0) += count;
            }
        }
    }
    assert_eq!(
        met.len(),
        7,
        "the histories must reach every kind of conflict: {met:?}"
    );
    assert!(met.values().all(|count| *count > 5), "{met:?}");
    let page = include_str!("../docs/semantics-merging.md");
    for rule in rules {
        assert!(
            page.contains(&format!("| `{rule}` |")),
            "{rule} is not explained"
        );
    }
}

#[test]
fn changes_of_one_side_arrive_exactly() {
    for seed in 0..seeds() {
        let random = &mut fastrand::Rng::with_seed(seed);
        let mut world = start(random);
        let side = [Side::Client, Side::Server][random.usize(0..2)];
        edit(random, &mut world, side, 12);
        let wanted = render(world.tree(side));
        let outcome = sync(&mut world, Run::default(), seed);
        assert!(outcome.conflicts.is_empty(), "seed {seed}: {outcome:#?}");
        assert!(outcome.plan.pending.is_empty(), "seed {seed}: {outcome:#?}");
        for tree in [Side::Client, Side::Server, Side::Base] {
            assert_eq!(
                render(world.tree(tree)),
                wanted,
                "seed {seed} {tree:?}: {outcome:#?}"
            );
        }
        for step in &outcome.plan.steps {
            assert_ne!(
                step.side, side,
                "seed {seed}: what a person did is not touched: {step:?}"
            );
        }
    }
}

#[test]
fn a_crash_or_a_failed_step_anywhere_loses_nothing() {
    for seed in 0..seeds() {
        let random = &mut fastrand::Rng::with_seed(seed);
        let mut world = start(random);
        edit(random, &mut world, Side::Client, 6);
        edit(random, &mut world, Side::Server, 6);
        let mut whole = world.clone();
        let expected = sync(&mut whole, Run::default(), seed);
        let at = Some(random.usize(0..expected.plan.steps.len().max(1)));
        let runs = [
            Run {
                stop: at,
                fail: None,
            },
            Run {
                stop: None,
                fail: at,
            },
        ];
        for run in runs {
            let mut broken = world.clone();
            sync(&mut broken, run, seed);
            let outcome = sync(&mut broken, Run::default(), seed);
            settled(&mut broken, &outcome, seed);
            if expected.conflicts.is_empty() && expected.plan.pending.is_empty() {
                assert_eq!(
                    render(&broken.client),
                    render(&whole.client),
                    "seed {seed} {run:?} {expected:#?}"
                );
                assert_eq!(
                    render(&broken.server),
                    render(&whole.server),
                    "seed {seed} {run:?}"
                );
            }
        }
    }
}

#[test]
fn exchanging_the_sides_exchanges_the_result() {
    let mut compared = 0;
    for seed in 0..seeds() {
        let random = &mut fastrand::Rng::with_seed(seed);
        let mut world = start(random);
        edit(random, &mut world, Side::Client, 6);
        edit(random, &mut world, Side::Server, 6);
        let mut mirror = swapped(&world);
        let (one, two) = (world.sync(), mirror.sync());
        // What both made alike has the server's attributes: the one rule that knows the sides.
        if one.adopted.is_empty() {
            assert_eq!(
                render(&world.client),
                render(&mirror.server),
                "seed {seed}: {one:#?} {two:#?}"
            );
            assert_eq!(
                render(&world.server),
                render(&mirror.client),
                "seed {seed}: {one:#?} {two:#?}"
            );
            assert_eq!(kinds(one.conflicts), kinds(two.conflicts), "seed {seed}");
            compared += 1;
        }
    }
    assert!(
        compared > seeds() / 2,
        "most histories must be comparable: {compared}"
    );
}
