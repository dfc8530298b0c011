//! Random histories on both sides, planned and carried out in memory. What must hold whatever people do:
//! nothing unique is lost, one-sided changes arrive exactly, every order of failures leaves valid trees, exchanging the
//! sides exchanges the result, and a second plan has nothing to do.

mod plan_sim;

use driftfs::reintegrate::plan::plan;
use driftfs::reintegrate::steps::Side;
use plan_sim::{Op, Outcome, Run, World, entries, kinds, render, swapped};

const SEEDS: u64 = 3000;

/// A path of one to three components over few names, mostly one that exists.
fn path(random: &mut fastrand::Rng, world: &World, side: Side) -> String {
    let tree = world.tree(side);
    let (mut at, mut path) = (plan_sim::ROOT, Vec::new());
    for _ in 0..3 {
        let here = entries(tree, at);
        if here.is_empty() || random.u8(0..4) == 0 {
            path.push(["a", "b", "c", "d"][random.usize(0..4)].to_string());
            break;
        }
        let (name, id) = here[random.usize(0..here.len())].clone();
        path.push(name);
        at = id;
        if random.u8(0..3) == 0 {
            break;
        }
    }
    path.join("/")
}

fn op(random: &mut fastrand::Rng, world: &World, side: Side) -> Op {
    let mut p = || path(random, world, side);
    let (one, two) = (p(), p());
    match random.u8(0..20) {
        0..=2 => Op::Create(one),
        3 => Op::CreateWith(one, 7),
        4 | 5 => Op::Mkdir(one),
        6 => Op::Symlink(one, ["t", "u", "v"][random.usize(0..3)].into()),
        7 | 8 => Op::Store(one),
        9 => Op::StoreBytes(one, 8),
        10 => Op::Chmod(one, [0o600, 0o640, 0o500, 0o755][random.usize(0..4)]),
        11 => Op::Xattr(
            one,
            ["user.a", "user.b"][random.usize(0..2)],
            [Some("1"), Some("2"), None][random.usize(0..3)],
        ),
        12 => Op::Touch(one),
        13 | 14 => Op::Rename(one, two),
        15 => Op::Exchange(one, two),
        16 => Op::Link(one, two),
        17 => Op::Remove(one),
        18 => Op::RemoveAll(one),
        _ => Op::Rename(one, two),
    }
}

fn edit(random: &mut fastrand::Rng, world: &mut World, side: Side, most: usize) {
    for _ in 0..random.usize(0..=most) {
        let op = op(random, world, side);
        world.edit(side, &op);
    }
}

fn start(random: &mut fastrand::Rng) -> World {
    let mut world = World::new();
    for _ in 0..random.usize(3..15) {
        let op = op(random, &world, Side::Client);
        world.edit(Side::Client, &op);
    }
    world.agree();
    world
}

/// Plans, does it, and checks what must hold for every plan.
fn sync(world: &mut World, run: Run, seed: u64) -> Outcome {
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
    for seed in 0..SEEDS {
        let random = &mut fastrand::Rng::with_seed(seed);
        let mut world = start(random);
        for _ in 0..3 {
            edit(random, &mut world, Side::Client, 6);
            edit(random, &mut world, Side::Server, 6);
            let outcome = sync(&mut world, Run::default(), seed);
            settled(&mut world, &outcome, seed);
        }
    }
}

#[test]
fn changes_of_one_side_arrive_exactly() {
    for seed in 0..SEEDS {
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
    for seed in 0..SEEDS {
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
    for seed in 0..SEEDS {
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
        compared > SEEDS / 2,
        "most histories must be comparable: {compared}"
    );
}
