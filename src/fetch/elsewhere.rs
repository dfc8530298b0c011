//! Where the server has what it does not have where base says.
//!
//! While both sides disagree about the place of an object, base keeps the old one. What lies in it, or is new in it, can
//! still be read, at the place the last whole look found it at. Forgotten at a restart: the sync after it looks again.

use std::collections::HashMap;
use std::sync::Mutex;

use super::lock;
use crate::meta::{MetaError, Rows};
use crate::model::{Bid, Name, RelPath};

/// Deeper than any tree: only damaged rows, or places of different moments, go in a circle.
const DEEPEST: usize = 100_000;

/// Where the server has an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seat {
    /// In a directory that base knows.
    In(Bid, Name),
    /// In one that is new there.
    At(RelPath),
}

/// Everything that is not at its base place on the server.
#[derive(Default)]
pub(super) struct Elsewhere {
    seats: Mutex<HashMap<Bid, Seat>>,
}

impl Elsewhere {
    pub(super) fn set(&self, seats: HashMap<Bid, Seat>) {
        *lock(&self.seats) = seats;
    }

    /// A path of a base object on the server, as far as we know; `None` when it has no place.
    pub(super) fn path(&self, rows: &Rows<'_>, bid: Bid) -> Result<Option<RelPath>, MetaError> {
        let seats = lock(&self.seats).clone();
        climb(bid, |at| match seats.get(&at) {
            Some(seat) => Ok(Some(seat.clone())),
            None => {
                let place = rows.base_places(at)?.into_iter().next();
                Ok(place.map(|(dir, name)| Seat::In(dir, name)))
            }
        })
    }
}

fn climb(
    bid: Bid,
    up: impl Fn(Bid) -> Result<Option<Seat>, MetaError>,
) -> Result<Option<RelPath>, MetaError> {
    let (mut at, mut names, mut top) = (bid, Vec::new(), RelPath::root());
    while at != Bid::ROOT {
        match up(at)? {
            Some(Seat::In(dir, name)) if names.len() < DEEPEST => {
                names.push(name);
                at = dir;
            }
            Some(Seat::At(path)) => {
                top = path;
                break;
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(
        names.iter().rev().fold(top, |path, name| path.join(name)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::try_from(text).unwrap()
    }

    fn path(seats: &[(u64, Seat)], bid: u64) -> Option<String> {
        let up = |at: Bid| {
            let found = seats.iter().find(|(bid, _)| Bid(*bid) == at);
            Ok(found.map(|(_, seat)| seat.clone()))
        };
        climb(Bid(bid), up).unwrap().map(|path| path.to_string())
    }

    #[test]
    fn the_way_up_goes_through_the_servers_places() {
        let seats = [
            (2, Seat::At(RelPath::parse(b"new/d").unwrap())),
            (3, Seat::In(Bid(2), name("sub"))),
            (4, Seat::In(Bid(3), name("f"))),
            (5, Seat::In(Bid::ROOT, name("top"))),
        ];
        assert_eq!(path(&seats, 4).as_deref(), Some("new/d/sub/f"));
        assert_eq!(path(&seats, 5).as_deref(), Some("top"));
        assert_eq!(path(&seats, 9), None);
    }

    #[test]
    fn places_that_lead_in_a_circle_lead_nowhere() {
        let seats = [
            (2, Seat::In(Bid(3), name("a"))),
            (3, Seat::In(Bid(2), name("b"))),
        ];
        assert_eq!(path(&seats, 2), None);
    }
}
