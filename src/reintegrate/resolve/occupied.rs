//! Two different objects want one name: one here, one on the server.

use super::rows;
use super::{Case, Resolved, Take};
use crate::fetch::Stale;
use crate::meta::Rows;
use crate::model::{Bid, Ino, Kind, Name, Who};
use crate::reintegrate::trouble::Stop;
use crate::tree::{RenameMode, TreeError};
use crate::variants::{Term, Terms};

/// The object that holds the name on one side.
struct Holder<'a> {
    ino: Option<Ino>,
    bid: Option<Bid>,
    terms: &'a Terms,
}

impl Case<'_> {
    pub(super) fn occupied(&self, take: Take) -> Result<Resolved, Stop> {
        let ours = self.holder(|terms| terms.client.as_ref());
        let theirs = self.holder(|terms| terms.server.as_ref());
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            return self.close_alone(take, true, "the name is free on one side by now");
        };
        match take {
            Take::Client => self.give_to_client(&theirs, take),
            Take::Server => self.give_to_server(&ours),
            Take::Both => self.keep_both(&ours, &theirs),
            Take::Base | Take::Merged => {
                self.refuse("two different things have this name", "client|server|both")
            }
        }
    }

    fn holder<'t>(&'t self, side: impl Fn(&Terms) -> Option<&Term>) -> Option<Holder<'t>> {
        let first = Holder {
            ino: self.ino,
            bid: self.bid,
            terms: &self.terms,
        };
        let second = self.terms.other.as_ref().map(|second| Holder {
            ino: second.ino,
            bid: second.bid,
            terms: &second.terms,
        });
        let holds = |one: &Holder<'_>| {
            let places = side(one.terms).map(|term| &term.places);
            places.is_some_and(|places| places.contains(&self.conflict.path))
        };
        [Some(first), second].into_iter().flatten().find(holds)
    }

    /// Base says that the server's object has the name: what we have there instead is then our change.
    fn give_to_client(&self, theirs: &Holder<'_>, take: Take) -> Result<Resolved, Stop> {
        let Some(server) = &theirs.terms.server else {
            return self.close_alone(take, true, "the name is free on the server by now");
        };
        // What is in a directory that only the server has keeps it there: the next look would bring the conflict back.
        let only_there = theirs.bid.is_none() || theirs.terms.client.is_none();
        if server.attrs.kind == Kind::Dir && only_there {
            return self.refuse(
                "the server has a directory there that is not here, and it may be full of files",
                "server|both",
            );
        }
        self.tree.commit(|txn| {
            let places = self.places_there(txn, server)?;
            // What was never read here can only come from the server, and base says from where.
            let unread = rows::forgotten(txn, theirs.bid, &places)?;
            if unread > 0 {
                let why = format!(
                    "of what was agreed under this name {unread} were never read here, and the server has it there no more, so it cannot be sent"
                );
                return self.refuse(&why, "server|both");
            }
            match theirs.bid {
                Some(bid) => {
                    rows::take_version(txn, bid, server)?;
                    rows::put_places(txn, bid, &places)?;
                }
                None => {
                    rows::put_new(txn, server, &places)?;
                }
            }
            for ino in [self.ino, theirs.ino].into_iter().flatten() {
                rows::mark_names(txn, ino)?;
            }
            self.close(txn, take).map_err(Stop::from)
        })?;
        Ok(self.done(true, "the one here takes the name on the server with the next sync; the server's is kept there in .driftfs/retained"))
    }

    /// The places of the server's object in base.
    fn places_there(&self, rows: &Rows<'_>, server: &Term) -> Result<Vec<(Bid, Name)>, Stop> {
        let missing = || {
            Stop::Pending(format!(
                "the directory of {} is not agreed on yet. Next: driftfs sync",
                self.path
            ))
        };
        rows::places(rows, &server.places)?.ok_or_else(missing)
    }

    /// True when what is here could be sent whole.
    fn is_read(&self, theirs: &Holder<'_>, server: &Term) -> Result<bool, Stop> {
        self.tree.meta().read(|rows| {
            let places = self.places_there(rows, server)?;
            Ok(rows::forgotten(rows, theirs.bid, &places)? == 0)
        })
    }

    /// What we have there goes; the next sync brings the server's.
    fn give_to_server(&self, ours: &Holder<'_>) -> Result<Resolved, Stop> {
        let place = self.our_place()?;
        self.snapshot()?;
        if !self.move_back(ours, &place)? {
            let dir = matches!(&ours.terms.client, Some(term) if term.attrs.kind == Kind::Dir);
            let removed = match dir {
                true => self.tree.rmdir(place.0, &place.1, Who::DRIFTFS),
                false => self.tree.unlink(place.0, &place.1, Who::DRIFTFS),
            };
            match removed {
                Ok(_) | Err(TreeError::NotFound) => {}
                Err(TreeError::NotEmpty) => {
                    return self.refuse("the directory here has files in it", "both");
                }
                Err(other) => return Err(other.into()),
            }
        }
        let mut done = self.close_alone(
            Take::Server,
            true,
            "the server's comes with the next sync; yours is kept in a snapshot",
        )?;
        done.stale.push(Stale::Name(place.0, place.1));
        Ok(done)
    }

    /// An object that was moved to the name goes back to where base has it, when that is free.
    fn move_back(&self, ours: &Holder<'_>, place: &(Ino, Name)) -> Result<bool, Stop> {
        let Some(base) = &ours.terms.base else {
            return Ok(false);
        };
        let back = self.tree.meta().read(|db| {
            let Some(places) = rows::places(db, &base.places)? else {
                return Ok::<_, crate::meta::MetaError>(None);
            };
            rows::live_places(db, &places)
        })?;
        let Some((dir, name)) = back.and_then(|places| places.into_iter().next()) else {
            return Ok(false);
        };
        let moved = self.tree.rename(
            (place.0, &place.1),
            (dir, &name),
            RenameMode::NoReplace,
            Who::DRIFTFS,
        );
        match moved {
            Ok(_) => Ok(true),
            Err(TreeError::Exists | TreeError::Loop | TreeError::NotFound) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    /// A new file of the server's gets a copy beside ours; anything else is left the name, and ours goes beside it.
    fn keep_both(&self, ours: &Holder<'_>, theirs: &Holder<'_>) -> Result<Resolved, Stop> {
        if let Some(server) = theirs
            .terms
            .server
            .as_ref()
            .filter(|_| theirs.bid.is_none())
            && server.attrs.kind == Kind::File
            && server.object.is_some()
            && self.is_read(theirs, server)?
        {
            let note = self.copy_of_server(server)?;
            let mut done = self.give_to_client(theirs, Take::Both)?;
            done.note = note;
            return Ok(done);
        }
        let place = self.our_place()?;
        let (dir, name) = self.beside("client")?;
        let to = (dir, &name);
        self.tree
            .rename((place.0, &place.1), to, RenameMode::NoReplace, Who::DRIFTFS)?;
        let note = format!(
            "the one here is {name} now; the server's comes under its name with the next sync"
        );
        let mut done = self.close_alone(Take::Both, true, &note)?;
        done.stale.push(Stale::Name(place.0, place.1));
        done.stale.extend(ours.ino.map(Stale::Node));
        Ok(done)
    }

    /// The live directory and name the two disagree about.
    fn our_place(&self) -> Result<(Ino, Name), Stop> {
        let path = &self.conflict.path;
        let missing = || Stop::Pending(format!("{path} is not here any more. Next: driftfs sync"));
        let (dir, name) = path.split().ok_or_else(missing)?;
        let dir = self
            .tree
            .meta()
            .read(|db| db.resolve(&dir))?
            .ok_or_else(missing)?;
        Ok((dir.ino, name.clone()))
    }
}
