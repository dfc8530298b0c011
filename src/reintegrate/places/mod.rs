//! Final names: which wanted places fit together, so that afterwards client, server and base are each a valid tree.
//!
//! Starts from what is wanted of each object alone and takes back what cannot stand, until nothing changes. An object
//! only ever goes from *gone* to *both* (a directory that must come back) to *apart* (left as each side has it), so
//! this ends. Base is checked like the other two: a name held there by a conflict is not free.

use std::collections::HashSet;

mod cycles;
mod directories;
mod names;

use super::decide::{Fate, Fields, Verdict, Why};
use super::steps::Side;
use super::universe::{Key, Place, Universe, Version};
use crate::model::{ConflictKind, Few, Kind};

/// All three trees.
pub(super) const TREES: [Side; 3] = [Side::Client, Side::Server, Side::Base];

/// The universe and what is wanted of it.
pub(super) struct Wanted<'a> {
    /// What there is.
    pub u: &'a Universe,
    /// What is wanted of each object.
    pub verdicts: Vec<Verdict>,
}

impl Universe {
    /// What one tree has of an object now.
    pub(super) fn version(&self, tree: Side, key: Key) -> Option<&Version> {
        let object = self.get(key);
        match tree {
            Side::Client => object.client.as_ref(),
            Side::Server => object.server_version(),
            Side::Base => object.base.as_ref(),
        }
    }

    /// The names one tree has for an object now.
    pub(super) fn now(&self, tree: Side, key: Key) -> Option<&Few<Place>> {
        self.version(tree, key).map(|version| &version.places)
    }

    /// The kind of an object.
    pub(super) fn kind(&self, key: Key) -> Option<Kind> {
        let versions = TREES.iter().find_map(|tree| self.version(*tree, key));
        versions.map(|version| version.attrs.kind)
    }

    /// All keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> + use<> {
        (0..self.objects.len()).map(Key)
    }

    /// A place as this tree tells places apart.
    pub(super) fn slot(&self, tree: Side, place: &Place) -> (Key, Vec<u8>) {
        let bytes = place.name.bytes();
        let folded = match std::str::from_utf8(bytes) {
            Ok(text) if tree == Side::Server && !self.case_sensitive => {
                text.to_lowercase().into_bytes()
            }
            _ => bytes.to_vec(),
        };
        (place.parent, folded)
    }
}

impl Wanted<'_> {
    /// What is wanted of one object.
    pub fn of(&self, key: Key) -> &Verdict {
        &self.verdicts[key.0]
    }

    /// The names of an object in a tree once the plan is done; `None`: it is not there.
    pub fn then(&self, tree: Side, key: Key) -> Option<&Few<Place>> {
        match &self.of(key).fate {
            Fate::Both(places) => Some(places),
            Fate::Gone => None,
            Fate::Apart(_) => self.u.now(tree, key),
        }
    }

    /// The directory of a directory in a tree once the plan is done.
    pub fn parent_then(&self, tree: Side, key: Key) -> Option<Key> {
        self.then(tree, key)?.first().map(|place| place.parent)
    }

    fn both(&self, key: Key) -> bool {
        matches!(self.of(key).fate, Fate::Both(_))
    }

    /// Leaves an object as each side has it. Without base nothing of it is agreed, so no field can be either.
    fn set_apart(&mut self, key: Key, why: Why) {
        let baseless = self.u.get(key).base.is_none();
        let verdict = &mut self.verdicts[key.0];
        verdict.fate = Fate::Apart(why);
        verdict.filled = false;
        verdict
            .clashes
            .retain(|(kind, _, _)| *kind != ConflictKind::Deleted);
        if baseless {
            verdict.fields = Fields::none();
        }
    }

    /// A directory one side removed comes back with what lives in it.
    fn bring_back(&mut self, key: Key) {
        let sides = [Side::Client, Side::Server];
        let living = sides
            .iter()
            .find_map(|side| self.u.now(*side, key))
            .cloned();
        match living {
            Some(places) => {
                self.verdicts[key.0] = Verdict::by("filled-directory", Fate::Both(places));
                self.verdicts[key.0].filled = true;
            }
            None => self.set_apart(key, Why::Waits(String::new())),
        }
    }
}

/// Takes back what cannot stand.
pub(super) fn settle<'a>(u: &'a Universe, verdicts: Vec<Verdict>) -> Wanted<'a> {
    let mut wanted = Wanted { u, verdicts };
    while directories::check(&mut wanted) | names::check(&mut wanted) | cycles::check(&mut wanted) {
    }
    filled(&mut wanted);
    wanted
}

/// Names the conflict about a directory that comes back, at the directory whose own contents are the reason: one whose
/// contents are only other such directories, or carry the conflict themselves, needs no second one.
fn filled(wanted: &mut Wanted<'_>) {
    let listed = |verdict: &Verdict| {
        let deleted = |(kind, _, _): &(ConflictKind, _, _)| *kind == ConflictKind::Deleted;
        verdict.filled || verdict.clashes.iter().any(deleted)
    };
    let mut reasons = HashSet::new();
    for key in wanted.u.keys().filter(|key| !listed(wanted.of(*key))) {
        for tree in [Side::Client, Side::Server] {
            let places = wanted.then(tree, key).into_iter().flatten();
            reasons.extend(places.map(|place| place.parent));
        }
    }
    for verdict in reasons.iter().map(|key| key.0) {
        let verdict = &mut wanted.verdicts[verdict];
        if verdict.filled {
            let clash = (ConflictKind::Deleted, None, "edit-beats-delete");
            verdict.clashes.push(clash);
        }
    }
}
