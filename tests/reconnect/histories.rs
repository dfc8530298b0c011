//! Random work on both sides, with runs that die or lose replies: nothing anybody wrote is lost, a second run changes
//! nothing, and once every conflict is decided both sides are equal.
//!
//! `DRIFTFS_SEEDS=N` runs N histories (default 60), `DRIFTFS_SEED=S` only the one numbered S.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use crate::bed::{Bed, Client, View, assert_same};
use crate::both_sides::every_version;
use crate::meddler::{Meddler, Trouble};
use driftfs::model::{Kind, RelPath};
use driftfs::reintegrate::Mode;
use driftfs::reintegrate::resolve::{Take, resolve};

const ROUNDS: usize = 3;

#[test]
fn random_histories_lose_nothing() {
    let number = |key: &str| {
        std::env::var(key)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seeds = match number("DRIFTFS_SEED") {
        Some(one) => one..one + 1,
        None => 0..number("DRIFTFS_SEEDS").unwrap_or(60),
    };
    let mut done = Tally::default();
    let mut failed = Vec::new();
    for seed in seeds {
        if catch_unwind(AssertUnwindSafe(|| history(seed, &mut done))).is_err() {
            failed.push(seed);
        }
    }
    eprintln!("{done:?}");
    assert_eq!(
        failed,
        Vec::<u64>::new(),
        "seeds that failed (DRIFTFS_SEED=N shows one)"
    );
}

/// What the histories were made of, so that a test that does nothing is noticed.
#[derive(Debug, Default)]
struct Tally {
    histories: usize,
    troubles: usize,
    conflicts: usize,
    versions: usize,
}

/// Where random work comes from.
pub struct World {
    pub rng: fastrand::Rng,
    written: usize,
    names: usize,
}

impl World {
    pub fn new(seed: u64) -> World {
        World {
            rng: fastrand::Rng::with_seed(seed),
            written: 0,
            names: 0,
        }
    }

    fn bytes(&mut self, who: &str) -> Vec<u8> {
        self.written += 1;
        let mut text = format!("{who} {}\n", self.written);
        if self.rng.bool() {
            text.push_str(&"padding\n".repeat(self.rng.usize(0..40)));
        }
        text.into_bytes()
    }

    fn fresh(&mut self, dir: &str) -> String {
        self.names += 1;
        // Few names, so that both sides meet.
        let name = format!("n{}", self.rng.usize(0..12));
        match dir {
            "" => name,
            dir => format!("{dir}/{name}"),
        }
    }

    fn pick<'a>(&mut self, view: &'a View, kinds: &[Kind]) -> Option<&'a str> {
        let some: Vec<&String> = view
            .iter()
            .filter(|(_, shown)| kinds.contains(&shown.kind))
            .map(|(path, _)| path)
            .collect();
        if some.is_empty() {
            return None;
        }
        Some(some[self.rng.usize(0..some.len())])
    }

    fn dir(&mut self, view: &View) -> String {
        let found = self
            .pick(view, &[Kind::Dir])
            .unwrap_or_default()
            .to_string();
        if self.rng.usize(0..3) == 0 {
            String::new()
        } else {
            found
        }
    }
}

/// One change by whoever `hands` belongs to. Impossible ones are left out.
pub fn change(world: &mut World, view: &View, hands: &dyn Hands) {
    let dir = world.dir(view);
    let new = world.fresh(&dir);
    let file = world.pick(view, &[Kind::File]).map(str::to_owned);
    let any = world
        .pick(view, &[Kind::File, Kind::Dir, Kind::Symlink])
        .map(str::to_owned);
    let free = !view.contains_key(&new);
    let what = match hands.can_fill(&dir) {
        true => world.rng.usize(0..12),
        false => return,
    };
    if std::env::var_os("DRIFTFS_SEED").is_some() {
        eprintln!(
            "  {} {what} new {new} (free {free}) file {file:?} any {any:?} after {}",
            hands.name(),
            world.written
        );
    }
    match (what, file, any) {
        (0..=2, Some(file), _) => hands.write(&file, &world.bytes(hands.name())),
        (3, Some(file), _) => hands.save(&file, &world.bytes(hands.name())),
        (4 | 5, _, _) if free => hands.create(&new, &world.bytes(hands.name())),
        (6, _, _) if free => hands.mkdir(&new),
        (7 | 8, _, Some(any)) if free && !new.starts_with(&format!("{any}/")) => {
            hands.rename(&any, &new)
        }
        (9, _, Some(any)) => hands.remove(&any),
        (10, Some(file), _) => {
            hands.chmod(&file, [0o600, 0o640, 0o644, 0o755][world.rng.usize(0..4)])
        }
        (11, Some(file), _) if free && world.rng.bool() => hands.link(&file, &new),
        _ => {}
    }
}

/// Either side.
pub trait Hands {
    fn name(&self) -> &'static str;
    /// False for a directory whose names are not known.
    fn can_fill(&self, dir: &str) -> bool;
    fn write(&self, path: &str, bytes: &[u8]);
    fn save(&self, path: &str, bytes: &[u8]);
    fn create(&self, path: &str, bytes: &[u8]);
    fn mkdir(&self, path: &str);
    fn rename(&self, from: &str, to: &str);
    fn remove(&self, path: &str);
    fn chmod(&self, path: &str, mode: u32);
    fn link(&self, from: &str, to: &str);
}

impl Hands for Client {
    fn name(&self) -> &'static str {
        "client"
    }
    fn can_fill(&self, dir: &str) -> bool {
        dir.is_empty()
            || self
                .tree
                .stat(self.ino(dir))
                .is_ok_and(|seen| seen.node.listed.is_some())
    }
    fn write(&self, path: &str, bytes: &[u8]) {
        Client::write(self, path, bytes);
    }
    fn save(&self, path: &str, bytes: &[u8]) {
        Client::save(self, path, bytes);
    }
    fn create(&self, path: &str, bytes: &[u8]) {
        Client::create(self, path, bytes);
    }
    fn mkdir(&self, path: &str) {
        Client::mkdir(self, path);
    }
    fn rename(&self, from: &str, to: &str) {
        Client::rename(self, from, to);
    }
    fn remove(&self, path: &str) {
        Client::remove(self, path);
    }
    fn chmod(&self, path: &str, mode: u32) {
        Client::chmod(self, path, mode);
    }
    fn link(&self, from: &str, to: &str) {
        Client::link(self, from, to);
    }
}

impl Hands for Bed {
    fn name(&self) -> &'static str {
        "server"
    }
    fn can_fill(&self, _: &str) -> bool {
        true
    }
    fn write(&self, path: &str, bytes: &[u8]) {
        self.server_write(path, bytes);
    }
    fn save(&self, path: &str, bytes: &[u8]) {
        self.server_save(path, bytes);
    }
    fn create(&self, path: &str, bytes: &[u8]) {
        self.server_write(path, bytes);
    }
    fn mkdir(&self, path: &str) {
        self.server_mkdir(path);
    }
    fn rename(&self, from: &str, to: &str) {
        self.server_rename(from, to);
    }
    fn remove(&self, path: &str) {
        self.server_remove(path);
    }
    fn chmod(&self, path: &str, mode: u32) {
        self.server_chmod(path, mode);
    }
    fn link(&self, from: &str, to: &str) {
        self.server_link(from, to);
    }
}

fn history(seed: u64, tally: &mut Tally) {
    let bed = Bed::new();
    let mut world = World::new(seed);
    for _ in 0..25 {
        change(&mut world, &bed.server_view(), &bed);
    }
    bed.open().know_all();
    for _ in 0..ROUNDS {
        let client = bed.open();
        client.fetch_all();
        for _ in 0..world.rng.usize(0..8) {
            change(&mut world, &client.view_names(), &client);
        }
        for _ in 0..world.rng.usize(0..8) {
            change(&mut world, &bed.server_view(), &bed);
        }
        let versions = versions(&bed, &client);
        tally.versions += versions.len();
        drop(client);
        tally.troubles += usize::from(troubled_run(&bed, &mut world));
        check(&bed, &versions);
    }
    let versions = versions(&bed, &bed.open());
    tally.conflicts += decide_all(&bed, &mut world);
    check(&bed, &versions);
    tally.histories += 1;
}

/// What either side has at this moment: from here on only driftfs could lose it.
fn versions(bed: &Bed, client: &Client) -> BTreeSet<Vec<u8>> {
    let all = [client.view_known(), bed.server_view()];
    let files = all.iter().flat_map(View::values);
    files
        .filter(|shown| shown.kind == Kind::File)
        .map(|shown| shown.content.clone())
        .collect()
}

/// One run in which something may go wrong.
fn troubled_run(bed: &Bed, world: &mut World) -> bool {
    let troubles = [
        Trouble::DieBefore,
        Trouble::DieAfter,
        Trouble::LostReply,
        Trouble::Silent,
        Trouble::Late,
        Trouble::Refuse(13),
    ];
    let trouble = troubles[world.rng.usize(0..troubles.len())];
    let at = world.rng.usize(0..60);
    let calls = Arc::new(AtomicUsize::new(0));
    let armed = Arc::new(AtomicBool::new(true));
    let seen = calls.clone();
    let client = bed.open_with(
        &move |posix| {
            Arc::new(Meddler::new(
                posix,
                at,
                Some(trouble),
                seen.clone(),
                armed.clone(),
            ))
        },
        None,
    );
    let ran = catch_unwind(AssertUnwindSafe(|| client.re.run(&Mode::Approved)));
    if std::env::var_os("DRIFTFS_SEED").is_some() {
        let told = ran.map_err(|_| "died");
        eprintln!("  {trouble:?} at {at}: {told:?}");
    }
    calls.load(std::sync::atomic::Ordering::SeqCst) > at
}

/// A run in peace, and a second one that finds nothing to do.
fn check(bed: &Bed, versions: &BTreeSet<Vec<u8>>) {
    let client = bed.open();
    let told = || {
        if std::env::var_os("DRIFTFS_SEED").is_some() {
            let names = |view: View| view.into_keys().collect::<Vec<_>>().join(" ");
            eprintln!(
                "  client {}\n  server {}",
                names(client.view_names()),
                names(bed.server_view())
            );
        }
    };
    told();
    let first = client.re.run(&Mode::Approved).expect("a run");
    told();
    let again = client.re.run(&Mode::Approved).expect("a run");
    if std::env::var_os("DRIFTFS_SEED").is_some() {
        eprintln!("  in peace: {first:?}");
    }
    assert!(
        again.is_quiet(),
        "a second run changes nothing: {again:#?}\nafter {first:#?}"
    );
    assert_eq!(
        client.tree.meta().read(|rows| rows.doctor()).unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(
        client.tree.meta().read(|rows| rows.intents()).unwrap(),
        Vec::new()
    );
    assert_eq!(bed.leftovers(), Vec::<String>::new());
    if again.is_settled() {
        assert_same(
            &client.view(),
            &bed.server_view(),
            "settled, so client and server are equal",
        );
    }
    let wanted: Vec<&[u8]> = versions.iter().map(Vec::as_slice).collect();
    assert_eq!(
        every_version(bed, &client, &wanted),
        Vec::<String>::new(),
        "versions that are nowhere"
    );
}

/// Decides every conflict one way or the other until there is none. Gives how many there were.
fn decide_all(bed: &Bed, world: &mut World) -> usize {
    let client = bed.open();
    let mut decided = 0;
    for round in 0..20 {
        let report = client.re.run(&Mode::Approved).expect("a run");
        if report.is_settled() {
            assert_same(
                &client.view(),
                &bed.server_view(),
                "decided, so client and server are equal",
            );
            return decided;
        }
        if round == 18 && std::env::var_os("DRIFTFS_SEED").is_some() {
            eprintln!("{:#?}", client.re.preview());
            let rows = client.tree.meta().read(|rows| rows.conflicts()).unwrap();
            rows.iter()
                .for_each(|row| eprintln!("{} {}", row.path, row.terms));
            eprintln!("client {:#?}", client.view_names().keys());
            eprintln!("server {:#?}", bed.server_view().keys());
        }
        assert!(round < 19, "it never settles: {report:#?}");
        for conflict in &report.conflicts {
            // Later rounds take the client's always: taking turns could go on for ever.
            let take = match round < 10 && world.rng.bool() {
                true => Take::Server,
                false => Take::Client,
            };
            let path: &RelPath = &conflict.path;
            let done = resolve(&client.tree, path, take);
            if std::env::var_os("DRIFTFS_SEED").is_some() {
                eprintln!("  {path}: {take:?} {done:?}");
            }
            decided += usize::from(done.is_ok());
        }
    }
    decided
}
