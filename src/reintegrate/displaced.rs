//! What the server has elsewhere than base when a round is over, because both sides disagree about its place: reads of
//! what lies in it go there.

use std::collections::HashMap;

use super::job::Job;
use super::trouble::Stop;
use super::universe::{Key, Place};
use crate::fetch::Seat;
use crate::model::{Bid, Few, Name};

impl Job<'_> {
    /// Tells where these are. To be called after a round that looked at everything.
    pub fn tell_displaced(&self) -> Result<(), Stop> {
        let moved: Vec<(Bid, &Few<Place>)> = (1..self.universe.objects.len())
            .map(Key)
            .filter_map(|key| {
                let now = self.world.get(key);
                let scanned = self.universe.get(key).base.as_ref();
                let same = scanned.is_none_or(|base| base.places == now.server);
                let bid = now.bid.filter(|_| !same && !now.server.is_empty())?;
                Some((bid, &now.server))
            })
            .collect();
        let mut seats = HashMap::new();
        self.hand.on.read(|rows| {
            for (bid, places) in moved {
                let first = rows.base_places(bid)?.into_iter().next();
                if let Some(first) = first
                    && let Some(seat) = self.seat(&first, places)
                {
                    seats.insert(bid, seat);
                }
            }
            Ok::<_, Stop>(())
        })?;
        self.hand.on.fetch.found_elsewhere(seats);
        Ok(())
    }

    /// The server's place of an object; `None` when base's is one of them.
    fn seat(&self, base: &(Bid, Name), places: &Few<Place>) -> Option<Seat> {
        let known = |place: &Place| {
            let dir = self.world.get(place.parent).bid?;
            Some((dir, place.name.clone()))
        };
        if places
            .iter()
            .any(|place| known(place).as_ref() == Some(base))
        {
            return None;
        }
        let place = places.first()?;
        match known(place) {
            Some((dir, name)) => Some(Seat::In(dir, name)),
            None => Some(Seat::At(self.world.path_of(place).ok()?)),
        }
    }
}
