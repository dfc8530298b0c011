//! A comparison that leaves out what all sides have alike gives the plan of one that leaves out nothing.
//!
//! `DRIFTFS_SEEDS=N` looks at N histories (default 60), `DRIFTFS_SEED=S` only at the one numbered S.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use driftfs::lower::Posix;
use driftfs::model::{Cookie, Ino, Kind, Mask, RelPath, Stamp};
use driftfs::reintegrate::Mode;
use driftfs::reintegrate::brake::brake;
use driftfs::reintegrate::plan::{path_in, path_of, plan};
use driftfs::reintegrate::scan::{Scan, Scope, scan};
use driftfs::reintegrate::steps::{Action, Plan, Side};
use driftfs::reintegrate::universe::{Key, Place, Universe};

use crate::bed::{Bed, Client};
use crate::histories::{World, change};

#[test]
fn what_is_alike_changes_no_plan() {
    let number = |key: &str| std::env::var(key).ok()?.parse::<u64>().ok();
    let seeds = match number("DRIFTFS_SEED") {
        Some(one) => one..one + 1,
        None => 0..number("DRIFTFS_SEEDS").unwrap_or(60),
    };
    let mut seen = Seen::default();
    for seed in seeds {
        history(seed, &mut seen);
    }
    eprintln!("{seen:?}");
    assert!(seen.steps > 0 || seen.looks < 20, "nothing was planned");
    assert!(seen.fewer > 0 || seen.looks < 20, "nothing was left out");
}

/// What was looked at, so that a test that sees nothing is noticed.
#[derive(Debug, Default)]
struct Seen {
    looks: usize,
    objects: usize,
    kept: usize,
    fewer: usize,
    steps: usize,
    clashes: usize,
    waiting: usize,
}

/// Both sides are worked on, now and then made one in between.
fn history(seed: u64, seen: &mut Seen) {
    let bed = Bed::new();
    let mut world = World::new(seed);
    for _ in 0..world.rng.usize(5..60) {
        change(&mut world, &bed.server_view(), &bed);
    }
    age(&bed.server);
    let client = bed.open();
    know_some(&client, &mut world);
    for _ in 0..4 {
        for _ in 0..world.rng.usize(0..8) {
            change(&mut world, &client.view_names(), &client);
        }
        for _ in 0..world.rng.usize(0..8) {
            change(&mut world, &bed.server_view(), &bed);
        }
        if world.rng.usize(0..4) > 0 {
            age(&bed.server);
        }
        compare(&bed, &client, &mut world, seed, seen);
        if world.rng.usize(0..3) > 0 {
            let mode = [Mode::Approved, Mode::Pull][world.rng.usize(0..2)].clone();
            client.re.run(&mode).expect("a run");
            if world.rng.bool() {
                age(&bed.server);
                client.re.run(&mode).expect("a run");
            }
            compare(&bed, &client, &mut world, seed, seen);
        }
        if world.rng.bool() {
            know_some(&client, &mut world);
        }
    }
}

/// Makes what was written lately older: of what is very new nothing is believed, and it is never left out.
fn age(dir: &Path) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let kind = fs::symlink_metadata(&path).expect("metadata");
        if kind.is_dir() {
            age(&path);
        }
        if kind.is_dir() || kind.is_file() {
            make_older(&path);
        }
    }
    make_older(dir);
}

fn make_older(path: &Path) {
    let file = fs::File::open(path).expect("opened");
    let then = file.metadata().and_then(|seen| seen.modified());
    let then = then.expect("an mtime");
    if then
        .elapsed()
        .is_ok_and(|age| age < Duration::from_secs(600))
    {
        file.set_modified(then - Duration::from_secs(1000))
            .expect("an mtime");
    }
}

/// Lists some directories, and fetches some files.
fn know_some(client: &Client, world: &mut World) {
    let most = [3, 9, 10][world.rng.usize(0..3)];
    let soon = || Instant::now() + Duration::from_secs(20);
    let mut left = vec![Ino::ROOT];
    while let Some(dir) = left.pop() {
        if client.fetch.names(dir, soon()).is_err() {
            continue;
        }
        let all = client.tree.list(dir, Cookie(0), usize::MAX >> 1);
        for (_, seen) in all.expect("a listing") {
            let node = seen.node;
            let wanted = world.rng.usize(0..10) < most;
            match node.attrs.kind {
                Kind::Dir if wanted => left.push(node.ino),
                // It may be gone on the server, or another one.
                Kind::File if wanted => drop(client.fetch.bytes(node.ino, soon())),
                _ => {}
            }
        }
    }
}

fn compare(bed: &Bed, client: &Client, world: &mut World, seed: u64, seen: &mut Seen) {
    let masks = [
        client.fetch.mask().expect("a mask"),
        Mask::ALL,
        Mask {
            ino: false,
            btime: false,
            ..Mask::ALL
        },
        Mask {
            ctime: false,
            ..Mask::ALL
        },
    ];
    let mask = masks[world.rng.usize(0..masks.len())];
    let stands = world.rng.bool();
    let look = |scope| -> Scan {
        let lower = Posix::new(&bed.server, "test");
        let standing = |_: &_, _: &_, _: &[RelPath]| stands;
        scan(&client.tree, &lower, &client.fetch, mask, scope, &standing).expect("a scan")
    };
    let told = |scope| {
        let found = look(scope);
        let plan = plan(&found.universe);
        let braked = brake(&found.universe, &plan);
        let moved = moved(client, &found);
        (
            tell(&found.universe, &plan),
            format!("{braked:?}"),
            moved,
            found,
            plan,
        )
    };
    // Contents may arrive in the background: then once more.
    let (whole, differing) = loop {
        let (whole, differing) = (told(Scope::Whole), told(Scope::Differing));
        let after = told(Scope::Whole);
        if (&whole.0, &whole.1, &whole.2) == (&after.0, &after.1, &after.2) {
            break (whole, differing);
        }
    };
    if let Some(at) = (0..whole.0.len().max(differing.0.len()))
        .find(|at| whole.0.get(*at) != differing.0.get(*at))
    {
        panic!(
            "seed {seed}: with {mask:?} line {at} is\n{:?}, or with what is alike left out\n{:?}\nof {:#?}\nand {:#?}",
            whole.0.get(at),
            differing.0.get(at),
            whole.0,
            differing.0
        );
    }
    assert_eq!(whole.1, differing.1, "seed {seed}: the brake");
    if mask == Mask::ALL {
        assert_eq!(whole.2, differing.2, "seed {seed}: stamps");
    }
    let (all, kept) = (&whole.3.universe, &differing.3.universe);
    let known = |u: &Universe| u.objects.iter().filter(|one| one.base.is_some()).count();
    assert_eq!(known(all), known(kept) + kept.left_out.known, "seed {seed}");
    seen.looks += 1;
    seen.objects += all.objects.len();
    seen.kept += kept.objects.len();
    seen.fewer += usize::from(kept.objects.len() < all.objects.len());
    seen.steps += whole.4.steps.len();
    seen.clashes += whole.4.clashes.len();
    seen.waiting += whole.4.pending.len();
}

/// The objects whose fingerprint in base is to be renewed. A hash in it is no reason.
fn moved(client: &Client, scan: &Scan) -> BTreeSet<String> {
    let stamp = |key: &Key| {
        let bid = scan.universe.get(*key).bid.expect("known objects only");
        let base = client.tree.meta().read(|rows| rows.base(bid));
        base.expect("the database").expect("a row").stamp
    };
    let bare = |stamp: Stamp| Stamp {
        hash: None,
        ..stamp
    };
    let moved = scan.moved.iter().filter(|key| {
        let now = scan.universe.get(**key).stamp;
        now.map(bare) != Some(bare(stamp(key)))
    });
    moved
        .map(|key| path_of(&scan.universe, *key).to_string())
        .collect()
}

/// A plan in lines that do not depend on how objects are numbered.
fn tell(u: &Universe, plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, step) in plan.steps.iter().enumerate() {
        let action = match &step.action {
            Action::Make(to) => format!("make {}", place(u, to)),
            Action::Move { from, to } => format!("move {} {}", place(u, from), place(u, to)),
            Action::Link(to) => format!("link {}", place(u, to)),
            Action::Unlink(from) => format!("unlink {}", place(u, from)),
            Action::Remove(from) => format!("remove {}", place(u, from)),
            other => format!("{other:?}"),
        };
        let of = path_of(u, step.key);
        let (side, rule, needs) = (step.side, step.rule, &step.needs);
        lines.push(format!(
            "{at}: {side:?} {of} {action} at {} by {rule} after {needs:?}",
            step.path
        ));
    }
    for clash in &plan.clashes {
        let other = clash.other.map(|key| path_of(u, key).to_string());
        let of = path_of(u, clash.key);
        lines.push(format!(
            "{:?} {of} {other:?} {} {}",
            clash.kind, clash.path, clash.rule
        ));
    }
    lines.extend(plan.pending.iter().map(|one| format!("{one:?}")));
    lines.extend(plan.notes.iter().map(|one| format!("{one:?}")));
    lines.into_iter().map(|line| unnumbered(&line)).collect()
}

fn place(u: &Universe, place: &Place) -> String {
    let trees = [Side::Client, Side::Server, Side::Base];
    let dirs = trees.map(|tree| path_in(u, tree, place.parent).map(|path| path.to_string()));
    format!("{:?}/{}", dirs, place.name)
}

/// Temporary names have the number of an object in them.
fn unnumbered(line: &str) -> String {
    let mut parts = line.split(".driftfs-aside-");
    let mut told = parts.next().unwrap_or_default().to_string();
    for part in parts {
        told.push_str(".driftfs-aside-");
        told.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    told
}
