//! A brake before the cliff: an unmounted share looks like an empty folder, and a dutiful merge would delete everything.

use serde::{Deserialize, Serialize};

use super::plan::path_of;
use super::steps::{Action, Plan, Side};
use super::universe::{Key, Server, Universe, Version};
use crate::model::Kind;

/// Fewer removals than this never stop a plan.
const FEW: usize = 50;

/// Why a plan must be approved first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cliff {
    /// The server's root directory is something else, or nothing.
    RootRetyped,
    /// Everything in the root is gone on the server.
    ServerEmptied,
    /// Everything in the root is gone here.
    ClientEmptied,
    /// Many objects would be removed here.
    ManyRemovalsHere,
    /// Many objects would be removed on the server.
    ManyRemovalsThere,
}

/// A plan that is not carried out before a person approved it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    /// What it would run into.
    pub cliff: Cliff,
    /// In a sentence, with the next command to type.
    pub why: String,
    /// Objects that would be removed here.
    pub removals_here: usize,
    /// Objects that would be removed on the server.
    pub removals_there: usize,
    /// Objects known on both sides before.
    pub known: usize,
}

/// Stops a plan that empties or retypes the root, or removes more than 50 objects and more than a fifth of all known ones.
pub fn brake(u: &Universe, plan: &Plan) -> Option<Brake> {
    if u.objects.is_empty() {
        return None;
    }
    let known = u
        .objects
        .iter()
        .skip(1)
        .filter(|object| object.base.is_some())
        .count()
        + u.left_out.known;
    let (here, there) = (removals(plan, Side::Client), removals(plan, Side::Server));
    let limit = FEW.max(known / 5);
    let cliff = if retyped(u) {
        Cliff::RootRetyped
    } else if emptied(u, Side::Server) && here > 0 {
        Cliff::ServerEmptied
    } else if emptied(u, Side::Client) && there > 0 {
        Cliff::ClientEmptied
    } else if here > limit {
        Cliff::ManyRemovalsHere
    } else if there > limit {
        Cliff::ManyRemovalsThere
    } else {
        return None;
    };
    Some(Brake {
        cliff,
        why: why(cliff, here, there, known),
        removals_here: here,
        removals_there: there,
        known,
    })
}

fn removals(plan: &Plan, side: Side) -> usize {
    let on_side = plan.steps.iter().filter(|step| step.side == side);
    on_side
        .filter(|step| matches!(step.action, Action::Remove(_)))
        .count()
}

fn retyped(u: &Universe) -> bool {
    match &u.get(Key::ROOT).server {
        Server::Present(version) => version.attrs.kind != Kind::Dir,
        Server::Absent => true,
        Server::Unknown(_) => false,
    }
}

/// True when base has two names or more in the root, and this side has none. (With one, removing it is ordinary.)
fn emptied(u: &Universe, side: Side) -> bool {
    let in_root = |version: Option<&Version>| {
        let places = version.into_iter().flat_map(|version| &version.places);
        places.filter(|place| place.parent == Key::ROOT).count()
    };
    let keys = || u.keys().skip(1);
    let base: usize = keys().map(|key| in_root(u.get(key).base.as_ref())).sum();
    let unknown = keys().any(|key| matches!(u.get(key).server, Server::Unknown(_)));
    let now: usize = keys().map(|key| in_root(u.version(side, key))).sum();
    let calm = u.left_out.in_root;
    base + calm >= 2 && now + calm == 0 && !(unknown && side == Side::Server)
}

fn why(cliff: Cliff, here: usize, there: usize, known: usize) -> String {
    let root = "the top directory of the share";
    let what = match cliff {
        Cliff::RootRetyped => format!("{root} is not a directory any more on the server"),
        Cliff::ServerEmptied => {
            format!(
                "{root} is empty on the server, and {here} of {known} objects would be removed here"
            )
        }
        Cliff::ClientEmptied => {
            format!(
                "{root} is empty here, and {there} of {known} objects would be removed on the server"
            )
        }
        Cliff::ManyRemovalsHere => format!("{here} of {known} objects would be removed here"),
        Cliff::ManyRemovalsThere => {
            format!("{there} of {known} objects would be removed on the server")
        }
    };
    format!(
        "{what}. Nothing was changed. See `driftfs plan`; if that is what you want: `driftfs approve`"
    )
}

/// The paths a plan would remove on a side, for a person to look at.
pub fn removed_paths(u: &Universe, plan: &Plan, side: Side) -> Vec<crate::model::RelPath> {
    let steps = plan.steps.iter().filter(|step| step.side == side);
    let removing = steps.filter(|step| matches!(step.action, Action::Remove(_)));
    removing.map(|step| path_of(u, step.key)).collect()
}
