//! Random work on both sides of a server that was away, again and again, restarts included: what one side did alone
//! arrives exactly, nothing anybody wrote is lost, and once the conflicts are decided both sides are equal.

#[path = "../reconnect/bed.rs"]
#[allow(dead_code)]
mod bed;
mod side;
#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use bed::{Bed, Client, View, assert_same};
use driftfs::meta::{Conflict, Node};
use driftfs::model::{Bytes, Kind};
use driftfs::reintegrate::resolve::{Take, resolve};
use driftfs::reintegrate::{Mode, Report};
use side::{Side, change};
use support::{first_seed, scale};

/// Rounds of one history.
const ROUNDS: u32 = 4;
/// Runs after which nothing may be left to do.
const RUNS: u32 = 6;

/// Told when no conflict could be decided before another sync.
const STUCK: &str = "(nothing to decide before a sync)";

/// Who works while the server is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Client,
    Server,
    Both,
}

/// How much of the server is here before the link goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// All names and all bytes.
    All,
    /// Some directories are listed, and the bytes of some files are here.
    Some,
}

/// Says which history a panic of a helper belongs to.
impl Drop for History {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.say("stopped"));
        }
    }
}

struct History {
    seed: u64,
    bed: Bed,
    client: Client,
    random: fastrand::Rng,
    /// What was done, for the message of a failure.
    told: Vec<String>,
    /// Counts contents, so that no two are equal.
    count: u64,
}

impl History {
    fn new(seed: u64) -> History {
        let bed = Bed::new();
        let client = bed.open();
        let mut history = History {
            seed,
            bed,
            client,
            random: fastrand::Rng::with_seed(seed),
            told: Vec::new(),
            count: 0,
        };
        history.work(Who::Server, 12);
        history
    }

    fn work(&mut self, who: Who, changes: u32) {
        for _ in 0..changes {
            let server = match who {
                Who::Both => self.random.bool(),
                who => who == Who::Server,
            };
            self.count += 1;
            let side = if server {
                Side::Server(&self.bed)
            } else {
                Side::Client(&self.client)
            };
            let told = change(&side, &mut self.random, self.count);
            self.told.extend(told);
        }
    }

    fn say(&self, what: &str) -> String {
        let told = self.told.join("\n  ");
        format!("seed {}: {what}, after\n  {told}\n", self.seed)
    }

    /// Runs until nothing more happens.
    fn sync(&mut self) -> Report {
        for _ in 0..RUNS {
            let report = self.client.re.run(&Mode::Approved);
            let report = report.unwrap_or_else(|error| panic!("{}", self.say(&error.to_string())));
            if report.is_quiet() {
                self.told.push("(synced)".into());
                return report;
            }
        }
        panic!("{}", self.say("it never ends"))
    }

    /// Every content anybody can still get at.
    fn reachable(&self) -> BTreeSet<Vec<u8>> {
        let mut all = local_contents(&self.client);
        all.extend(contents(&self.bed.server_view()));
        all.extend(self.bed.kept_on_server());
        let conflicts = self.client.tree.meta().read(|rows| rows.conflicts());
        for object in conflicts.unwrap().iter().flat_map(|one| &one.objects) {
            let mut bytes = Vec::new();
            let mut file = self.client.tree.objects().open_sealed(*object).unwrap();
            std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
            all.insert(bytes);
        }
        all
    }

    /// What the server's names lead to, with the times nobody may touch.
    fn server_objects(&self) -> BTreeMap<String, (u64, i64, i64)> {
        let view = self.bed.server_view();
        let paths = view.into_keys();
        paths
            .map(|path| {
                let there = std::fs::symlink_metadata(self.bed.server.join(&path)).unwrap();
                let stamp = (there.ino(), there.mtime(), there.mtime_nsec());
                (path, stamp)
            })
            .collect()
    }

    /// One round in which only one side works, beginning and ending with both equal.
    fn alone(&mut self, who: Who) {
        let changes = self.random.u32(1..6);
        self.work(who, changes);
        let wanted = match who {
            Who::Client => self.client.view(),
            _ => self.bed.server_view(),
        };
        let before = self.server_objects();
        let report = self.sync();
        assert!(report.is_settled(), "{}", self.say(&format!("{report:#?}")));
        let say = self.say("what one side did arrives");
        assert_same(&self.client.view(), &wanted, &format!("the client: {say}"));
        assert_same(
            &self.bed.server_view(),
            &wanted,
            &format!("the server: {say}"),
        );
        if who == Who::Server {
            let after = self.server_objects();
            assert_eq!(after, before, "{}", self.say("the server was touched"));
        }
    }

    /// One round in which both work.
    fn together(&mut self) {
        let changes = self.random.u32(2..9);
        let agreed = contents(&self.bed.server_view());
        self.work(Who::Both, changes);
        let mut versions = local_contents(&self.client);
        versions.extend(contents(&self.bed.server_view()));
        self.sync();
        let reachable = self.reachable();
        let lost: Vec<String> = versions
            .iter()
            .filter(|content| !agreed.contains(*content) && !reachable.contains(*content))
            .filter(|content| !merged(&reachable, content))
            .map(|content| String::from_utf8_lossy(content).into_owned())
            .collect();
        assert!(lost.is_empty(), "{}", self.say(&format!("lost: {lost:?}")));
        self.decide();
        let mut report = self.sync();
        // What the server removed before its bytes came here cannot be given back; the sentence says what to do.
        let hollow = "its contents are not here: remove it here too";
        for problem in &report.pending {
            if problem.reason.contains(hollow) {
                self.told
                    .push(format!("(removes the hollow {})", problem.path));
                self.client.remove(&problem.path.to_string());
            }
        }
        if !report.pending.is_empty() {
            self.sync();
            self.decide();
            report = self.sync();
        }
        let say = self.say(&format!("decided: {report:#?}"));
        assert!(report.is_settled(), "{say}");
        assert_same(&self.client.view(), &self.bed.server_view(), &say);
    }

    /// Decides all conflicts; deciding one may bring up another, or be what another waits for.
    fn decide(&mut self) {
        for _ in 0..20 {
            let conflicts = self.client.tree.meta().read(|rows| rows.conflicts());
            let conflicts = conflicts.unwrap();
            if conflicts.is_empty() {
                return;
            }
            let mut tried = Vec::new();
            let decided = conflicts.iter().find_map(|one| self.word(one, &mut tried));
            // A refusal names a sync as the next step; it must lead somewhere.
            let stuck = decided.is_none() && self.told.last().is_some_and(|last| last == STUCK);
            assert!(!stuck, "{}", self.say(&format!("undecidable: {tried:#?}")));
            self.sync();
            self.told.push(decided.unwrap_or_else(|| STUCK.into()));
        }
        panic!("{}", self.say("conflicts without end"));
    }

    /// Decides one conflict by a random word, or by another if that one is refused.
    fn word(&mut self, conflict: &Conflict, tried: &mut Vec<String>) -> Option<String> {
        let words = [Take::Client, Take::Server, Take::Both];
        let from = self.random.usize(..words.len());
        for step in 0..words.len() {
            let take = words[(from + step) % words.len()];
            match resolve(&self.client.tree, &conflict.path, take) {
                Ok(_) => {
                    let (kind, path) = (conflict.kind.word(), &conflict.path);
                    return Some(format!("({kind} at {path} to {})", take.word()));
                }
                Err(why) => tried.push(format!("{}: {why}", take.word())),
            }
        }
        None
    }

    fn learn(&mut self, known: Known) {
        if known == Known::All {
            return self.client.know_all();
        }
        let budget = self.random.usize(1..12);
        self.client.fetch.names_walk(budget, &|| true);
        let nodes = self.client.tree.meta().read(|rows| rows.all_nodes());
        for node in nodes.unwrap() {
            if node.attrs.kind == Kind::File && self.random.bool() {
                let soon = Instant::now() + Duration::from_secs(60);
                self.client.fetch.bytes(node.ino, soon).unwrap();
            }
        }
    }

    fn restart(&mut self) {
        if self.random.u8(..3) == 0 {
            // The old client must be gone before its state is opened again.
            let nowhere = Bed::new();
            self.client = nowhere.open();
            self.client = self.bed.open();
            self.told.push("(restarted)".into());
        }
    }
}

fn contents(view: &View) -> BTreeSet<Vec<u8>> {
    let files = view.values().filter(|shown| shown.kind == Kind::File);
    files.map(|shown| shown.content.clone()).collect()
}

/// A text both sides edited lives on in the merge: its own line is in something that can be reached.
fn merged(reachable: &BTreeSet<Vec<u8>>, content: &[u8]) -> bool {
    let own = side::own_line(content);
    own.is_some_and(|own| {
        reachable
            .iter()
            .any(|have| have.windows(own.len()).any(|part| part == own))
    })
}

/// The contents that are here, without asking the server.
fn local_contents(client: &Client) -> BTreeSet<Vec<u8>> {
    let nodes = client.tree.meta().read(|rows| rows.all_nodes()).unwrap();
    let here =
        |node: &Node| node.attrs.kind == Kind::File && node.bytes == Bytes::Here && node.nlink > 0;
    let here = nodes.iter().filter(|node| here(node));
    here.map(|node| {
        let mut file = client.tree.objects().open_live(node.ino, false).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        bytes
    })
    .collect()
}

fn run(seeds: u64, known: Known, who: &[Who]) {
    let first = first_seed(1);
    for seed in first..first + seeds {
        let mut history = History::new(seed);
        for _ in 0..ROUNDS {
            history.restart();
            history.learn(known);
            match history.random.choice(who) {
                Some(Who::Both) => history.together(),
                Some(who) => history.alone(*who),
                None => return,
            }
        }
    }
}

#[test]
fn what_the_client_did_alone_arrives_exactly() {
    run(scale(25, 400) as u64, Known::All, &[Who::Client]);
}

#[test]
fn what_the_server_did_alone_arrives_exactly() {
    run(scale(25, 400) as u64, Known::All, &[Who::Server]);
}

#[test]
fn so_it_does_where_only_a_part_is_known() {
    run(
        scale(40, 400) as u64,
        Known::Some,
        &[Who::Client, Who::Server],
    );
}

#[test]
fn what_both_did_loses_nothing_and_becomes_one() {
    let who = [Who::Both, Who::Both, Who::Client, Who::Server];
    run(scale(40, 800) as u64, Known::All, &who);
}

#[test]
fn so_it_is_where_only_a_part_is_known() {
    let who = [Who::Both, Who::Both, Who::Client, Who::Server];
    run(scale(40, 800) as u64, Known::Some, &who);
}
