//! Where every object of a universe is by now: what the steps of this run have changed since the scan.

use super::trouble::Stop;
use super::universe::{Key, Place, Server, Universe};
use crate::model::{Bid, Few, Ino, Kind, RelPath, Stamp};

/// Longest chain of directories that is followed; more can only be a loop.
const DEEPEST: usize = 10_000;

/// One object by now.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its live node.
    pub ino: Option<Ino>,
    /// Its base object.
    pub bid: Option<Bid>,
    /// Its names on the server.
    pub server: Few<Place>,
    /// Its fingerprint there.
    pub stamp: Option<Stamp>,
    /// True while base and server have the same bytes (or target, or device number) and extended attributes: then `stamp`
    /// may stand in base.
    pub agreed: bool,
    /// The revision the plan saw, or that of the last step.
    pub rev: u64,
}

/// All of them, by [`Key`].
pub struct World {
    standings: Vec<Standing>,
}

impl World {
    /// As the scan saw it.
    pub fn new(universe: &Universe) -> World {
        let standings = universe.objects.iter().map(standing).collect();
        World { standings }
    }

    /// One object.
    pub fn get(&self, key: Key) -> &Standing {
        &self.standings[key.0]
    }

    /// One object, to be moved on.
    pub fn get_mut(&mut self, key: Key) -> &mut Standing {
        &mut self.standings[key.0]
    }

    /// The live node of an object that must have one by now.
    pub fn ino(&self, key: Key) -> Result<Ino, Stop> {
        let missing = || Stop::Later("it is not in the live tree any more".into());
        self.get(key).ino.ok_or_else(missing)
    }

    /// The base object of an object that must have one by now.
    pub fn bid(&self, key: Key) -> Result<Bid, Stop> {
        let missing = || Stop::Later("its directory is not agreed on yet".into());
        self.get(key).bid.ok_or_else(missing)
    }

    /// The fingerprint of an object that must be on the server.
    pub fn stamp(&self, key: Key) -> Result<Stamp, Stop> {
        let missing = || Stop::Later("it is not on the server any more".into());
        self.get(key).stamp.ok_or_else(missing)
    }

    /// A path of an object on the server, by its first names.
    pub fn server_path(&self, key: Key) -> Result<RelPath, Stop> {
        let lost = || Stop::Later("its directory is not on the server any more".into());
        let mut names = Vec::new();
        let mut at = key;
        while at != Key::ROOT {
            let place = self.get(at).server.first().ok_or_else(lost)?;
            names.push(place.name.clone());
            at = place.parent;
            if names.len() > DEEPEST {
                return Err(lost());
            }
        }
        names.reverse();
        Ok(RelPath::from_names(names))
    }

    /// The path of a place on the server.
    pub fn path_of(&self, place: &Place) -> Result<RelPath, Stop> {
        Ok(self.server_path(place.parent)?.join(&place.name))
    }
}

fn standing(object: &super::universe::Object) -> Standing {
    let present = match &object.server {
        Server::Present(version) => Some(version),
        Server::Absent | Server::Unknown(_) => None,
    };
    let agreed = match (&object.base, present) {
        (Some(base), Some(server)) => server.is_all_of(base),
        _ => false,
    };
    Standing {
        ino: object.client.as_ref().and(object.ino),
        bid: object.bid,
        server: present
            .map(|version| &version.places | &object.further)
            .unwrap_or_default(),
        stamp: object.stamp,
        agreed,
        rev: object.rev,
    }
}

/// The fingerprint to believe after we renamed, linked or changed attributes of the object `was`: the new one, unless
/// somebody wrote in between (then the old one, so that the next scan notices). `mtime_set`: we set the mtime ourselves.
pub fn carried(was: &Stamp, now: &Stamp, mtime_set: bool) -> Stamp {
    let same_times = mtime_set || now.mtime == was.mtime;
    let calm = was.kind == now.kind
        && was.ino == now.ino
        && (was.kind == Kind::Dir || (was.size == now.size && same_times));
    if !calm {
        return *was;
    }
    Stamp {
        hash: now.hash.or(was.hash),
        ..*now
    }
}
