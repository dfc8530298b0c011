//! The face of the planner: from the three trees to the steps. Pure: no files, no clock, no database.

use super::decide::{self, Content, Fate, Why};
use super::drafts;
use super::places::{self, TREES, Wanted};
use super::sequence;
use super::steps::{Clash, Plan, Side};
use super::universe::{Key, Server, Universe};
use crate::model::{Kind, Problem, RelPath};

/// Decides what has to be done so that client, server and base agree, as far as the rules allow.
pub fn plan(u: &Universe) -> Plan {
    if u.objects.is_empty() {
        return Plan::default();
    }
    let wanted = places::settle(u, decide::decide(u));
    let drafts = drafts::draft(&wanted);
    let (steps, stuck) = sequence::sequence(&wanted, drafts);
    let mut pending = pending(&wanted);
    pending.extend(stuck.into_iter().map(|key| Problem {
        path: path_of(u, key),
        reason: "no order of steps was found for it; do part of it by hand (a rename less), then `driftfs sync`".into(),
    }));
    Plan {
        steps,
        clashes: clashes(&wanted),
        pending,
        notes: notes(u),
    }
}

/// Path of an object in a tree as it is now; `None` when it is not there.
pub fn path_in(u: &Universe, tree: Side, key: Key) -> Option<RelPath> {
    let mut names = Vec::new();
    let mut at = key;
    while at != Key::ROOT {
        let place = u.now(tree, at)?.first()?;
        names.push(place.name.clone());
        at = place.parent;
    }
    names.reverse();
    Some(RelPath::from_names(names))
}

/// Live path, else server path, else base path.
pub fn path_of(u: &Universe, key: Key) -> RelPath {
    let mut paths = TREES.iter().filter_map(|tree| path_in(u, *tree, key));
    paths.next().unwrap_or_default()
}

fn clashes(wanted: &Wanted<'_>) -> Vec<Clash> {
    let mut all = Vec::new();
    for key in wanted.u.keys() {
        for (kind, other, rule) in &wanted.of(key).clashes {
            all.push(Clash {
                key,
                other: *other,
                kind: *kind,
                path: other
                    .and_then(|other| contested(wanted.u, key, other))
                    .unwrap_or_else(|| path_of(wanted.u, key)),
                rule,
            });
        }
    }
    all
}

/// The live path of the name that one object has here and another one has on the server.
fn contested(u: &Universe, key: Key, other: Key) -> Option<RelPath> {
    let theirs: Vec<_> = u
        .now(Side::Server, other)?
        .iter()
        .map(|place| u.slot(Side::Server, place))
        .collect();
    let ours = u.now(Side::Client, key)?.iter();
    let mut shared = ours.filter(|place| theirs.contains(&u.slot(Side::Client, place)));
    let place = shared.next()?;
    Some(path_in(u, Side::Client, place.parent)?.join(&place.name))
}

fn pending(wanted: &Wanted<'_>) -> Vec<Problem> {
    let mut all = Vec::new();
    for key in wanted.u.keys() {
        let verdict = wanted.of(key);
        let existence = match &verdict.fate {
            Fate::Apart(Why::Waits(reason)) if !implied(wanted, key) => Some(reason.clone()),
            Fate::Apart(Why::Beneath(directory)) => beneath(wanted, *directory),
            _ => None,
        };
        let content = match &verdict.fields.content {
            Content::Waits(reason) => Some(reason.clone()),
            _ => None,
        };
        let reasons = existence.into_iter().chain(content);
        all.extend(
            reasons
                .filter(|reason| !reason.is_empty())
                .map(|reason| Problem {
                    path: path_of(wanted.u, key),
                    reason,
                }),
        );
    }
    all
}

/// True for an unchanged object below a directory that is unknown for the same reason: one line is enough for both.
fn implied(wanted: &Wanted<'_>, key: Key) -> bool {
    let object = wanted.u.get(key);
    let Server::Unknown(reason) = &object.server else {
        return false;
    };
    let unchanged = match (&object.base, &object.client) {
        (Some(base), Some(client)) => base == client,
        _ => false,
    };
    let parent = wanted
        .u
        .now(Side::Client, key)
        .and_then(|places| places.first());
    let same = parent.is_some_and(|place| match &wanted.u.get(place.parent).server {
        Server::Unknown(other) => other == reason,
        _ => false,
    });
    unchanged && same
}

/// The sentence for something in a directory that is not on the other side; only for the topmost.
fn beneath(wanted: &Wanted<'_>, directory: Key) -> Option<String> {
    if let Fate::Apart(Why::Beneath(_)) = wanted.of(directory).fate {
        return None;
    }
    let path = path_of(wanted.u, directory);
    if wanted.u.get(directory).stays {
        return Some(format!(
            "lies in {path}, which a rule keeps on this host, so the server keeps it where it was: move it out of there, \
             or change the rule in driftfs' config.toml and mount again"
        ));
    }
    Some(format!(
        "waits because {path} is not on the other side yet: `driftfs conflicts` and `driftfs st` say why"
    ))
}

/// What never leaves this host.
fn notes(u: &Universe) -> Vec<Problem> {
    let mut all = Vec::new();
    for key in u.keys() {
        let object = u.get(key);
        let Some(client) = &object.client else {
            continue;
        };
        let mut note = |reason: &str| {
            all.push(Problem {
                path: path_of(u, key),
                reason: reason.into(),
            });
        };
        if object.stays && object.server_version().is_some() {
            note(
                "a rule keeps it on this host, and the server has something of that name too, which is not shown: \
                 rename this one (mv) to see the other",
            );
        }
        if client.attrs.kind == Kind::Socket && object.base.is_none() {
            note("a socket stays on this host");
        }
        let known = |version: &crate::reintegrate::universe::Version, name: &Vec<u8>| {
            let xattrs = version.xattrs.as_ref();
            xattrs.is_some_and(|xattrs| xattrs.contains_key(name))
        };
        let security = client.xattrs.iter().flatten().any(|(name, _)| {
            decide::stays_local(name) && !object.base.as_ref().is_some_and(|base| known(base, name))
        });
        if security {
            note("security attributes (capabilities, labels) stay on this host");
        }
    }
    all
}
