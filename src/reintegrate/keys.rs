//! One key per object of the universe, and what each side calls it.

use std::collections::{HashMap, HashSet};

use super::build::Joined;
use super::hashing::Map;
use super::trees::Sid;
use super::universe::{Key, Place};
use crate::model::{Bid, Ino, Name};

/// Who is what on each side.
#[derive(Clone, Copy, Default)]
pub(super) struct Ids {
    pub(super) bid: Option<Bid>,
    pub(super) ino: Option<Ino>,
    pub(super) sid: Option<Sid>,
}

/// Keys by what each side calls an object.
pub(super) struct Keys {
    pub(super) ids: Vec<Ids>,
    of_base: Map<Bid, Key>,
    of_live: Map<Ino, Key>,
    of_server: Map<Sid, Key>,
}

impl Keys {
    /// Base objects first (the root is the first of them), then what is new here, then what is new on the server: each by
    /// its place, so that the order does not depend on when something was listed, or on what was left out.
    pub(super) fn new(joined: &Joined<'_>) -> Keys {
        let mut keys = Keys {
            ids: Vec::new(),
            of_base: Map::default(),
            of_live: Map::default(),
            of_server: Map::default(),
        };
        let made_here: HashMap<Ino, Sid> =
            joined.both.iter().map(|(sid, ino)| (*ino, *sid)).collect();
        for bid in joined.base.in_order() {
            keys.add(Ids {
                bid: Some(bid),
                ino: joined.heirs.heir_of.get(&bid).copied(),
                sid: joined.identity.server_of.get(&bid).copied(),
            });
        }
        for ino in joined.live.in_order() {
            if !keys.of_live.contains_key(&ino) {
                keys.add(Ids {
                    bid: None,
                    ino: Some(ino),
                    sid: made_here.get(&ino).copied(),
                });
            }
        }
        let hidden = only_searched(joined);
        for sid in joined.server.in_order() {
            let skipped = hidden.contains(&sid) || joined.strangers.contains(&sid);
            if !keys.of_server.contains_key(&sid) && !skipped {
                keys.add(Ids {
                    sid: Some(sid),
                    ..Ids::default()
                });
            }
        }
        keys
    }

    fn add(&mut self, ids: Ids) {
        let key = Key(self.ids.len());
        if let Some(bid) = ids.bid {
            self.of_base.insert(bid, key);
        }
        if let Some(ino) = ids.ino {
            self.of_live.insert(ino, key);
        }
        if let Some(sid) = ids.sid {
            self.of_server.insert(sid, key);
        }
        self.ids.push(ids);
    }

    pub(super) fn at_base(&self, dir: Bid, name: &Name) -> Option<Place> {
        let parent = *self.of_base.get(&dir)?;
        let name = name.clone();
        Some(Place { parent, name })
    }

    pub(super) fn at_live(&self, dir: Ino, name: &Name) -> Option<Place> {
        let parent = *self.of_live.get(&dir)?;
        let name = name.clone();
        Some(Place { parent, name })
    }

    pub(super) fn at_server(&self, dir: Sid, name: &Name) -> Option<Place> {
        let parent = *self.of_server.get(&dir)?;
        let name = name.clone();
        Some(Place { parent, name })
    }
}

/// New objects in directories that were entered only to find something missing, less those on the way to something found:
/// they are not listed here, and stay so.
fn only_searched(joined: &Joined<'_>) -> HashSet<Sid> {
    let server = joined.server;
    let mut hidden: HashSet<Sid> = HashSet::new();
    for (sid, met) in server.all() {
        let new = !joined.identity.base_of.contains_key(&sid) && !joined.both.contains_key(&sid);
        let mut parents = met.places.iter().map(|(dir, _)| dir);
        let searched = !met.places.is_empty() && parents.all(|dir| server.searched.contains(dir));
        if new && searched {
            hidden.insert(sid);
        }
    }
    let mut way: Vec<Sid> = server
        .all()
        .map(|(sid, _)| sid)
        .filter(|sid| !hidden.contains(sid))
        .collect();
    while let Some(sid) = way.pop() {
        for (dir, _) in &server.get(sid).places {
            if hidden.remove(dir) {
                way.push(*dir);
            }
        }
    }
    hidden
}
