//! Is it on the server? Met, surely gone, or nobody could tell: a place that was not seen is never an empty one.

use std::collections::HashMap;

use super::build::Joined;
use super::keys::{Ids, Keys};
use super::trees::Heard;
use crate::model::{Bid, Kind, Name};

/// Why an object that is not at its place is left alone by a scan that did not look everywhere.
pub(super) const ELSEWHERE: &str =
    "it is not where it was on the server; a sync of everything finds out: driftfs sync";

/// What is known of an object's presence on the server; of several places the last of these counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It was met.
    Met,
    /// Its place was looked at, and it is not there.
    Absent,
    /// Its place was not looked at: as base says.
    NotLooked,
    /// It may be at a place this scan did not look at.
    Elsewhere,
    /// Nobody could tell.
    Unknown(String),
}

impl Joined<'_> {
    /// What is known of every base directory. A directory has one place and comes after the one it lies in; a
    /// hard-linked file may come before some of its directories, so files are looked at when all of these are known.
    pub(super) fn fates_of_dirs(&self, keys: &Keys) -> HashMap<Bid, Fate> {
        let mut fates = HashMap::new();
        for ids in &keys.ids {
            let Some(bid) = ids.bid else { continue };
            let node = self.base.nodes.get(&bid);
            if node.is_some_and(|node| node.attrs.kind == Kind::Dir) {
                let fate = self.fate(ids, &fates);
                fates.insert(bid, fate);
            }
        }
        fates
    }

    /// What is known of an object's presence on the server; `fates` of the directories it lies in.
    pub(super) fn fate(&self, ids: &Ids, fates: &HashMap<Bid, Fate>) -> Fate {
        if let Some(sid) = ids.sid {
            return if self.strangers.contains(&sid) {
                Fate::Elsewhere
            } else {
                Fate::Met
            };
        }
        let Some(bid) = ids.bid else {
            return Fate::Absent;
        };
        let places = self.base.places_of(bid);
        let worst = places.map(|(dir, name)| self.fate_at(*dir, name, fates));
        match worst.max() {
            Some(Fate::Absent) if !self.whole => Fate::Elsewhere,
            Some(fate) => fate,
            None => Fate::Absent,
        }
    }

    fn fate_at(&self, dir: Bid, name: &Name, fates: &HashMap<Bid, Fate>) -> Fate {
        let Some(sid) = self.identity.server_of.get(&dir) else {
            return match fates.get(&dir) {
                Some(Fate::Met) | None => Fate::NotLooked,
                Some(fate) => fate.clone(),
            };
        };
        match self.server.heard.get(sid) {
            Some(Heard::Names(unknown)) => match unknown.get(name) {
                Some(why) => Fate::Unknown(format!("the server does not show what it is: {why}")),
                None => Fate::Absent,
            },
            Some(Heard::Nothing(why)) => Fate::Unknown(why.clone()),
            None => Fate::NotLooked,
        }
    }
}
