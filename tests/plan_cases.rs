//! What the random histories do not reach: a server that cannot be asked, programs at work, names that fold, special
//! objects, and the brake.

mod plan_sim;

use driftfs::model::{ConflictKind, Kind};
use driftfs::reintegrate::brake::{Cliff, brake};
use driftfs::reintegrate::plan::{path_in, plan};
use driftfs::reintegrate::steps::{Action, Plan, Side};
use driftfs::reintegrate::universe::{Key, Server, Universe};
use plan_sim::{Op, World};

fn p(path: &str) -> String {
    path.into()
}

/// A world both sides agree on.
fn agreed(ops: &[Op]) -> World {
    let mut world = World::new();
    for op in ops {
        assert!(world.edit(Side::Client, op), "{op:?}");
    }
    world.agree();
    world
}

fn edited(mut world: World, side: Side, ops: &[Op]) -> World {
    for op in ops {
        assert!(world.edit(side, op), "{op:?}");
    }
    world
}

fn universe(mut world: World) -> Universe {
    world.build().universe
}

fn key(u: &Universe, path: &str) -> Key {
    let mut keys = (0..u.objects.len()).map(Key);
    let on = |key: Key| {
        let sides = [Side::Client, Side::Server, Side::Base];
        let paths = sides.iter().filter_map(|side| path_in(u, *side, key));
        paths.into_iter().any(|found| found.to_string() == path)
    };
    keys.find(|key| on(*key)).expect("a path somewhere")
}

fn kinds(plan: &Plan) -> Vec<ConflictKind> {
    plan.clashes.iter().map(|clash| clash.kind).collect()
}

fn pending(plan: &Plan) -> Vec<String> {
    plan.pending
        .iter()
        .map(|problem| problem.path.to_string())
        .collect()
}

fn unknown(u: &mut Universe, path: &str) {
    let key = key(u, path);
    u.objects[key.0].server = Server::Unknown("EIO".into());
}

#[test]
fn what_the_server_cannot_tell_is_left_alone() {
    let world = agreed(&[Op::Create(p("a")), Op::Create(p("b"))]);
    let ops = [Op::Store(p("a")), Op::Remove(p("b"))];
    let mut u = universe(edited(world, Side::Client, &ops));
    unknown(&mut u, "a");
    unknown(&mut u, "b");
    let plan = plan(&u);
    assert!(plan.steps.is_empty(), "{plan:#?}");
    assert_eq!(pending(&plan), ["a", "b"]);
    assert!(plan.pending[0].reason.contains("EIO"));
}

#[test]
fn an_unreadable_directory_is_one_line_and_is_not_removed() {
    let ops = [
        Op::Mkdir(p("d")),
        Op::Create(p("d/a")),
        Op::Create(p("d/b")),
    ];
    let world = agreed(&ops);
    let mut u = universe(world.clone());
    for path in ["d", "d/a", "d/b"] {
        unknown(&mut u, path);
    }
    assert_eq!(pending(&plan(&u)), ["d"]);
    let mut u = universe(edited(world, Side::Client, &[Op::RemoveAll(p("d"))]));
    unknown(&mut u, "d/a");
    let plan = plan(&u);
    let removed: Vec<_> = plan
        .steps
        .iter()
        .map(|step| step.path.to_string())
        .collect();
    assert!(
        !removed.contains(&"d".into()),
        "something in it waits: {plan:#?}"
    );
    assert!(!removed.contains(&"d/a".into()));
}

#[test]
fn a_directory_with_unseen_names_is_not_removed() {
    let world = agreed(&[Op::Mkdir(p("d"))]);
    let mut u = universe(edited(world, Side::Client, &[Op::Remove(p("d"))]));
    let d = key(&u, "d");
    u.objects[d.0].listed = false;
    let plan = plan(&u);
    assert!(plan.steps.is_empty(), "{plan:#?}");
    assert_eq!(pending(&plan), ["d"]);
}

#[test]
fn a_file_a_program_writes_is_not_changed_under_it() {
    let world = agreed(&[Op::Create(p("a")), Op::Create(p("b")), Op::Create(p("c"))]);
    let ops = [
        Op::Store(p("a")),
        Op::Remove(p("b")),
        Op::Chmod(p("c"), 0o600),
    ];
    let world = edited(world, Side::Server, &ops);
    let mut u = universe(edited(world, Side::Client, &[Op::Store(p("c"))]));
    u.objects.iter_mut().for_each(|object| object.busy = true);
    let plan = plan(&u);
    assert_eq!(pending(&plan), ["a", "b"]);
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| (step.path.to_string(), step.side))
        .collect();
    assert_eq!(
        steps.len(),
        2,
        "bytes go up and the mode comes down: {plan:#?}"
    );
    assert!(steps.iter().all(|(path, _)| path == "c"));
}

#[test]
fn contents_that_are_not_here_are_not_sent() {
    let world = agreed(&[Op::Create(p("a"))]);
    let world = edited(world, Side::Client, &[Op::Chmod(p("a"), 0o600)]);
    let mut u = universe(edited(world, Side::Server, &[Op::Remove(p("a"))]));
    let a = key(&u, "a");
    if let Some(client) = &mut u.objects[a.0].client {
        client.readable = false;
    }
    let plan = plan(&u);
    assert!(plan.steps.is_empty(), "{plan:#?}");
    assert_eq!(pending(&plan), ["a"]);
}

#[test]
fn names_that_differ_by_case_alone_are_one_name_where_the_server_says_so() {
    let world = agreed(&[Op::Create(p("a"))]);
    let mut u = universe(edited(world.clone(), Side::Client, &[Op::Create(p("A"))]));
    assert_eq!(plan(&u).steps.len(), 1, "two names where case counts");
    u.case_sensitive = false;
    let clashing = plan(&u);
    assert_eq!(kinds(&clashing), [ConflictKind::Occupied]);
    assert!(clashing.steps.is_empty(), "{clashing:#?}");
    let mut u = universe(edited(world, Side::Client, &[Op::Rename(p("a"), p("A"))]));
    u.case_sensitive = false;
    let renamed = plan(&u);
    assert!(renamed.clashes.is_empty());
    assert!(matches!(renamed.steps[..], [ref step] if matches!(step.action, Action::Move { .. })));
}

#[test]
fn sockets_stay_and_keep_their_directory() {
    let mut world = agreed(&[Op::Mkdir(p("d"))]);
    assert!(world.edit(Side::Client, &Op::Fifo(p("d/s"))));
    if let Some(node) = world
        .client
        .values_mut()
        .find(|node| node.kind == Kind::Fifo)
    {
        node.kind = Kind::Socket;
    }
    let quiet = plan(&universe(world.clone()));
    assert!(
        quiet.steps.is_empty() && quiet.pending.is_empty(),
        "{quiet:#?}"
    );
    assert_eq!(quiet.notes.len(), 1);
    let back = plan(&universe(edited(
        world,
        Side::Server,
        &[Op::Remove(p("d"))],
    )));
    assert_eq!(kinds(&back), [ConflictKind::Deleted]);
    assert!(back.steps.iter().all(|step| step.side == Side::Server));
}

#[test]
fn a_stored_conflict_is_not_merged_again() {
    let world = agreed(&[Op::CreateWith(p("a"), 1)]);
    let world = edited(world, Side::Client, &[Op::StoreBytes(p("a"), 2)]);
    let mut u = universe(edited(world, Side::Server, &[Op::StoreBytes(p("a"), 4)]));
    let merging = plan(&u);
    assert_eq!(merging.steps[0].action, Action::Merge);
    assert_eq!(
        merging.steps[1].needs,
        [0],
        "what was merged is pushed after"
    );
    let a = key(&u, "a");
    u.objects[a.0].standing = Some(driftfs::model::ConflictId(1));
    assert!(plan(&u).steps.is_empty());
    assert_eq!(kinds(&plan(&u)), [ConflictKind::Content]);
}

fn many(files: usize) -> World {
    let ops: Vec<Op> = (0..files).map(|n| Op::Create(format!("f{n}"))).collect();
    agreed(&ops)
}

fn removing(world: World, side: Side, files: usize) -> Option<Cliff> {
    let ops: Vec<Op> = (0..files).map(|n| Op::Remove(format!("f{n}"))).collect();
    let u = universe(edited(world, side, &ops));
    let brake = brake(&u, &plan(&u));
    brake
        .inspect(|brake| assert!(brake.why.contains("driftfs approve")))
        .map(|brake| brake.cliff)
}

#[test]
fn the_brake_holds_before_the_cliff() {
    assert_eq!(removing(many(1), Side::Server, 1), None, "the only file");
    assert_eq!(
        removing(many(2), Side::Server, 2),
        Some(Cliff::ServerEmptied)
    );
    assert_eq!(
        removing(many(2), Side::Client, 2),
        Some(Cliff::ClientEmptied)
    );
    assert_eq!(removing(many(100), Side::Server, 50), None);
    assert_eq!(
        removing(many(100), Side::Server, 51),
        Some(Cliff::ManyRemovalsHere)
    );
    assert_eq!(
        removing(many(100), Side::Client, 51),
        Some(Cliff::ManyRemovalsThere)
    );
    assert_eq!(
        removing(many(400), Side::Client, 80),
        None,
        "a fifth of all"
    );
    assert_eq!(
        removing(many(400), Side::Client, 81),
        Some(Cliff::ManyRemovalsThere)
    );
    let mut u = universe(many(3));
    u.objects[0].server = Server::Absent;
    let brake = brake(&u, &plan(&u)).expect("no root");
    assert_eq!(brake.cliff, Cliff::RootRetyped);
}
