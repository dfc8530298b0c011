//! Random operations on the live tree and on a real directory, compared after every step.
//!
//! What could be lost unseen is checked on the way: snapshots keep names and bytes, base keeps the bytes that were
//! agreed on, and closing, opening again, and being killed change nothing.

mod agreed;
mod ops;
mod past;
mod threads;
mod world;

use world::World;

#[path = "../support/mod.rs"]
mod support;

fn run(seed: u64, steps: usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new();
    for step in 0..steps {
        let said = world.step(&mut random);
        world.check_some(&mut random, &format!("seed {seed}, step {step}: {said}"));
    }
    world.check_all(&format!("seed {seed}, end"));
}

#[test]
fn the_live_tree_does_what_a_real_directory_does() {
    let first = support::first_seed(1);
    for seed in first..first + support::scale(8, 40) as u64 {
        run(seed, 2500);
    }
}
