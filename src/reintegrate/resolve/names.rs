//! Both sides renamed it differently, or moved directories into each other.

use super::rows;
use super::{Case, Resolved, Take};
use crate::fetch::Stale;
use crate::model::{Bid, Ino, Name, RelPath, Who};
use crate::reintegrate::trouble::Stop;
use crate::tree::{RenameMode, TreeError};
use crate::variants::Terms;

/// One object of the conflict with all it needs to be moved.
struct Moving<'a> {
    ino: Option<Ino>,
    bid: Bid,
    terms: &'a Terms,
}

impl Case<'_> {
    pub(super) fn names(&self, take: Take) -> Result<Resolved, Stop> {
        if matches!(take, Take::Both | Take::Merged) {
            return self.refuse("the two names are of one object", "client|server|base");
        }
        let moving = self.moving()?;
        let mut done = Resolved::default();
        if take != Take::Client {
            self.snapshot()?;
            done.stale = self.move_live(&moving, take)?;
        }
        self.tree.commit(|txn| {
            for one in &moving {
                self.base_to_server(txn, one)?;
                if let Some(ino) = one.ino {
                    rows::mark_names(txn, ino)?;
                }
            }
            self.close(txn, take).map_err(Stop::from)
        })?;
        let note = match take {
            Take::Server => "it has the server's name here now",
            _ => "the server's is renamed with the next sync",
        };
        done.stale.extend(self.done(true, note).stale);
        Ok(Resolved {
            sync: true,
            note: note.to_owned(),
            stale: done.stale,
        })
    }

    fn moving(&self) -> Result<Vec<Moving<'_>>, Stop> {
        let mut all = Vec::new();
        let Some(bid) = self.bid else {
            return self.refuse(
                "it is not known to the server any more; look at it again with driftfs sync",
                "client",
            );
        };
        all.push(Moving {
            ino: self.ino,
            bid,
            terms: &self.terms,
        });
        if let Some(second) = &self.terms.other
            && let Some(bid) = second.bid
        {
            let (ino, terms) = (second.ino, &second.terms);
            all.push(Moving { ino, bid, terms });
        }
        Ok(all)
    }

    fn base_to_server(
        &self,
        txn: &crate::meta::WriteTxn<'_>,
        one: &Moving<'_>,
    ) -> Result<(), Stop> {
        let Some(server) = &one.terms.server else {
            return Ok(());
        };
        match rows::places(txn, &server.places)? {
            Some(places) if !places.is_empty() => Ok(rows::put_places(txn, one.bid, &places)?),
            _ => Err(Stop::Pending(format!(
                "the directory {} has on the server is not agreed on yet. Next: driftfs sync",
                self.path
            ))),
        }
    }

    /// Gives the live nodes the names of one side. Where one must go before another can, the order is found by trying.
    fn move_live(&self, moving: &[Moving<'_>], take: Take) -> Result<Vec<Stale>, Stop> {
        let mut stale = Vec::new();
        let mut left: Vec<&Moving<'_>> = moving.iter().filter(|one| one.ino.is_some()).collect();
        loop {
            let before = left.len();
            let mut stuck = None;
            let mut still = Vec::new();
            for one in left {
                match self.move_one(one, take, &mut stale) {
                    Ok(()) => {}
                    Err(why) => {
                        stuck = Some(why);
                        still.push(one);
                    }
                }
            }
            match stuck {
                None => return Ok(stale),
                Some(why) if still.len() == before => return Err(why),
                Some(_) => left = still,
            }
        }
    }

    fn move_one(&self, one: &Moving<'_>, take: Take, stale: &mut Vec<Stale>) -> Result<(), Stop> {
        let term = match take {
            Take::Server => &one.terms.server,
            _ => &one.terms.base,
        };
        let (Some(term), Some(ino)) = (term, one.ino) else {
            return Ok(());
        };
        let wanted = self.live(&term.places)?;
        let has = self.tree.meta().read(|db| db.names(ino))?;
        let mut add = wanted.iter().filter(|place| !has.contains(place));
        let mut drop = has.iter().filter(|place| !wanted.contains(place));
        loop {
            match (drop.next(), add.next()) {
                (None, None) => return Ok(()),
                (Some(from), Some(to)) => self.rename(from, to)?,
                (None, Some((dir, name))) => {
                    self.tree.link(ino, *dir, name, Who::DRIFTFS)?;
                }
                (Some((dir, name)), None) => {
                    self.tree.unlink(*dir, name, Who::DRIFTFS)?;
                }
            }
            stale.extend(
                has.iter()
                    .chain(&wanted)
                    .map(|(dir, name)| Stale::Name(*dir, name.clone())),
            );
        }
    }

    fn rename(&self, from: &(Ino, Name), to: &(Ino, Name)) -> Result<(), Stop> {
        let (from, to) = ((from.0, &from.1), (to.0, &to.1));
        match self
            .tree
            .rename(from, to, RenameMode::NoReplace, Who::DRIFTFS)
        {
            Ok(_) => Ok(()),
            Err(TreeError::Exists) => self.refuse(
                &format!("{} is taken here; rename what has that name", to.1),
                "client|server",
            ),
            Err(TreeError::Loop) => self.refuse("a directory would lie in itself", "client"),
            Err(other) => Err(other.into()),
        }
    }

    /// Paths of the server or base tree as places of the live tree.
    fn live(&self, paths: &[RelPath]) -> Result<Vec<(Ino, Name)>, Stop> {
        let live = self.tree.meta().read(|db| {
            let Some(places) = rows::places(db, paths)? else {
                return self.by_name(db, paths);
            };
            rows::live_places(db, &places)
        })?;
        let missing = || {
            Stop::Pending(format!(
                "the directory {} would go to is not here. Next: driftfs sync",
                self.path
            ))
        };
        live.ok_or_else(missing)
    }

    /// Where base has not the directory (it was moved with a side), the live tree may have one of that path.
    fn by_name(
        &self,
        db: &crate::meta::Rows<'_>,
        paths: &[RelPath],
    ) -> Result<Option<Vec<(Ino, Name)>>, crate::meta::MetaError> {
        let mut live = Vec::new();
        for path in paths {
            let Some((dir, name)) = path.split() else {
                return Ok(None);
            };
            match db.resolve(&dir)? {
                Some(node) => live.push((node.ino, name.clone())),
                None => return Ok(None),
            }
        }
        Ok(Some(live))
    }
}
