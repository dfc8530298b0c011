//! A run that ends anywhere, or in which any one call goes wrong, is finished by the next one and reaches the same end.
//! The loss guarded against: a file that is nowhere, twice somewhere, or old where it should be new.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::bed::{Bed, Client, View, assert_same};
use crate::both_sides::every_version;
use crate::meddler::{Meddler, Trouble, die};
use driftfs::lower::{Lower, Posix};
use driftfs::reintegrate::{Mode, Points, Width};

/// One lane: calls come in the same order every time. Several steps share their transactions and go through each stage
/// together.
const TOGETHER: Width = Width {
    together: 8,
    lanes: 1,
};

/// Everything a merge has to do once: both sides changed most kinds of things.
fn scenario(width: Width) -> Bed {
    let mut bed = Bed::new();
    bed.width = width;
    for dir in ["docs", "docs/old", "gone", "moved"] {
        bed.server_mkdir(dir);
    }
    let prose = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n";
    for path in [
        "a",
        "b",
        "c",
        "d",
        "e",
        "clash",
        "docs/old/x",
        "docs/old/y",
        "moved/m",
        "twin",
    ] {
        bed.server_write(path, format!("{path}, base\n").as_bytes());
    }
    bed.server_write("docs/plan", prose.as_bytes());
    bed.server_link("twin", "docs/twin");
    let client = bed.open();
    client.know_all();
    client.write("a", b"a, client\n");
    client.write("docs/plan", prose.replace("one", "ONE").as_bytes());
    client.write("clash", b"clash, client\n");
    client.write("twin", b"twin, client\n");
    client.create("new", b"new, client\n");
    client.mkdir("fresh");
    client.create("fresh/leaf", b"leaf, client\n");
    client.rename("b", "docs/b");
    client.remove("docs/old/x");
    client.remove("gone");
    client.chmod("docs/old/y", 0o600);
    client.link("docs/old/y", "y-too");
    client.rename("docs/old", "older");
    bed.server_save("docs/plan", prose.replace("seven", "SEVEN").as_bytes());
    bed.server_save("clash", b"clash, server\n");
    bed.server_write("c", b"c, server\n");
    bed.server_write("new-there", b"new, server\n");
    bed.server_remove("d");
    bed.server_rename("moved", "moved-there");
    bed.server_chmod("e", 0o640);
    bed
}

/// Contents that must be somewhere whatever happened.
const VERSIONS: &[&[u8]] = &[
    b"a, base\n",
    b"a, client\n",
    b"clash, base\n",
    b"clash, client\n",
    b"clash, server\n",
    b"twin, base\n",
    b"twin, client\n",
    b"new, client\n",
    b"leaf, client\n",
    b"b, base\n",
    b"c, server\n",
    b"new, server\n",
    b"docs/old/x, base\n",
    b"docs/old/y, base\n",
    b"moved/m, base\n",
    b"one\ntwo\nthree\nfour\nfive\nsix\nSEVEN\n",
    b"ONE\ntwo\nthree\nfour\nfive\nsix\nSEVEN\n",
];

/// Both trees and the conflicts, once everything is carried out.
struct End {
    client: View,
    server: View,
    conflicts: Vec<String>,
}

impl End {
    fn assert_is(&self, wanted: &End, what: &str) {
        assert_same(&self.client, &wanted.client, &format!("{what}: the client"));
        assert_same(&self.server, &wanted.server, &format!("{what}: the server"));
        assert_eq!(self.conflicts, wanted.conflicts, "{what}");
    }
}

fn end(bed: &Bed, client: &Client) -> End {
    let report = client.sync();
    let again = client.sync();
    assert!(
        again.is_quiet(),
        "a second run changes nothing: {again:#?}\nafter {report:#?}"
    );
    assert_eq!(
        bed.leftovers(),
        Vec::<String>::new(),
        "attempts are cleared away: {report:#?}"
    );
    assert_eq!(
        every_version(bed, client, VERSIONS),
        Vec::<String>::new(),
        "{report:#?}"
    );
    let intents = client.tree.meta().read(|rows| rows.intents()).unwrap();
    assert_eq!(intents, Vec::new(), "no intention is left");
    let wrong = client.tree.meta().read(|rows| rows.doctor()).unwrap();
    assert_eq!(wrong, Vec::<String>::new(), "the invariants hold");
    End {
        client: client.view(),
        server: bed.server_view(),
        conflicts: again
            .conflicts
            .iter()
            .map(|one| one.path.to_string())
            .collect(),
    }
}

fn undisturbed() -> End {
    let bed = scenario(Width::ONE);
    let end = end(&bed, &bed.open());
    assert_eq!(end.conflicts, vec!["clash"]);
    assert_eq!(end.server["older/y"].mode, 0o600);
    end
}

/// Lets call number `at` of a run go wrong; gives false when there were fewer calls.
fn with_trouble(at: usize, trouble: Trouble, plain: bool, width: Width, wanted: &End) -> bool {
    let bed = scenario(width);
    let calls = Arc::new(AtomicUsize::new(0));
    let armed = Arc::new(AtomicBool::new(true));
    let (seen, live) = (calls.clone(), armed.clone());
    let client = bed.open_with(
        &move |posix: Posix| -> Arc<dyn Lower> {
            let posix = if plain {
                posix.without_exchange()
            } else {
                posix
            };
            Arc::new(Meddler::new(
                posix,
                at,
                Some(trouble),
                seen.clone(),
                live.clone(),
            ))
        },
        None,
    );
    let run = catch_unwind(AssertUnwindSafe(|| client.re.run(&Mode::Sync)));
    armed.store(false, Ordering::SeqCst);
    let reached = calls.load(Ordering::SeqCst) > at;
    // A refusal or a lost reply is met by the same client again, a death by a new one.
    let survivor = match run {
        Ok(_) if !matches!(trouble, Trouble::DieBefore | Trouble::DieAfter) => client,
        _ => {
            drop(client);
            bed.open()
        }
    };
    end(&bed, &survivor).assert_is(wanted, &format!("call {at} with {trouble:?}"));
    reached
}

fn at_every_call(trouble: Trouble) {
    visit(trouble, false);
}

fn visit(trouble: Trouble, plain: bool) {
    let wanted = undisturbed();
    for width in [Width::ONE, TOGETHER] {
        let mut at = 0;
        while with_trouble(at, trouble, plain, width, &wanted) {
            at += 1;
        }
        assert!(at > 60, "only {at} calls: the scenario does nothing");
        println!(
            "measured: crash: {trouble:?} at each of {at} calls of the lower, {} together, every end equal",
            width.together
        );
    }
}

#[test]
fn dying_before_any_call_reaches_the_same_end() {
    at_every_call(Trouble::DieBefore);
}

#[test]
fn dying_after_any_call_reaches_the_same_end() {
    at_every_call(Trouble::DieAfter);
}

#[test]
fn any_reply_may_be_lost() {
    at_every_call(Trouble::LostReply);
}

#[test]
fn any_call_may_get_no_answer() {
    at_every_call(Trouble::Silent);
}

#[test]
fn any_call_may_be_carried_out_late() {
    at_every_call(Trouble::Late);
}

#[test]
fn servers_that_cannot_exchange_names_reach_the_same_end() {
    for trouble in [
        Trouble::DieBefore,
        Trouble::DieAfter,
        Trouble::LostReply,
        Trouble::Late,
    ] {
        visit(trouble, true);
    }
}

#[test]
fn any_call_may_be_refused() {
    for errno in [13, 28] {
        at_every_call(Trouble::Refuse(errno));
    }
}

#[test]
fn dying_at_any_durable_point_reaches_the_same_end() {
    let wanted = undisturbed();
    for (width, least) in [(Width::ONE, 100), (TOGETHER, 60)] {
        let mut at = 0;
        while dies_at_point(at, width, &wanted) {
            at += 1;
        }
        assert!(at > least, "only {at} points: the scenario does nothing");
        println!(
            "measured: crash: died at each of {at} durable points, {} together, every end equal",
            width.together
        );
    }
}

fn dies_at_point(at: usize, width: Width, wanted: &End) -> bool {
    let bed = scenario(width);
    let count = Arc::new(AtomicUsize::new(0));
    let points: Points = {
        let count = count.clone();
        Arc::new(move |_| {
            if count.fetch_add(1, Ordering::SeqCst) == at {
                die();
            }
        })
    };
    let client = bed.open_with(&|posix| Arc::new(posix), Some(points));
    let died = catch_unwind(AssertUnwindSafe(|| client.re.run(&Mode::Sync))).is_err();
    drop(client);
    end(&bed, &bed.open()).assert_is(wanted, &format!("point {at}"));
    died
}

/// Several calls at once: which one goes wrong, and what the others have done by then, is different each time. The end is
/// not.
#[test]
fn any_call_of_several_at_once_may_go_wrong() {
    let wanted = undisturbed();
    let width = Width {
        together: 8,
        lanes: 4,
    };
    let troubles = [
        Trouble::DieBefore,
        Trouble::DieAfter,
        Trouble::LostReply,
        Trouble::Silent,
        Trouble::Late,
        Trouble::Refuse(28),
    ];
    let mut runs = 0;
    for (shift, trouble) in troubles.into_iter().enumerate() {
        let mut at = shift;
        while with_trouble(at, trouble, false, width, &wanted) {
            at += troubles.len();
            runs += 1;
        }
    }
    assert!(runs > 50, "only {runs} runs: the scenario does nothing");
    println!("measured: crash: {runs} runs with four calls at once, every end equal");
}

/// Sends `a` by a client that dies in the middle of giving the new version its name: `half` does what was done by then.
fn dies_within_publish(half: impl Fn(&std::path::Path, &std::path::Path) + Send + Sync + 'static) {
    let bed = Bed::new();
    bed.server_write("a", b"old\n");
    let client = bed.open();
    client.know_all();
    client.write("a", b"new\n");
    drop(client);
    let server = bed.server.clone();
    let points: Points = Arc::new(move |point| {
        if point == "publish" {
            let tx = std::fs::read_dir(server.join(".driftfs/tx")).unwrap();
            let attempt = tx.map(|entry| entry.unwrap().path()).next().unwrap();
            half(&attempt, &server.join("a"));
            die();
        }
    });
    let client = bed.open_with(&|posix| Arc::new(posix), Some(points));
    assert!(catch_unwind(AssertUnwindSafe(|| client.re.run(&Mode::Sync))).is_err());
    drop(client);
    let client = bed.open();
    let report = client.sync();
    assert!(report.is_settled(), "{report:#?}");
    assert_eq!(bed.server_read("a"), b"new\n");
    assert!(bed.kept_on_server().contains(&b"old\n".to_vec()));
    assert_eq!(bed.leftovers(), Vec::<String>::new());
    assert!(client.sync().is_quiet());
}

#[test]
fn an_exchange_that_was_never_compared_goes_back_first() {
    dies_within_publish(|attempt, target| {
        let here = nix::fcntl::AT_FDCWD;
        let flags = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
        nix::fcntl::renameat2(here, &attempt.join("new"), here, target, flags).unwrap();
    });
}

#[test]
fn a_name_that_was_made_free_is_filled() {
    dies_within_publish(|attempt, target| std::fs::rename(target, attempt.join("old")).unwrap());
}

#[test]
fn an_old_version_that_was_linked_first_is_replaced() {
    dies_within_publish(|attempt, target| std::fs::hard_link(target, attempt.join("old")).unwrap());
}
