//! One side removed what the other edited. The edited version is back on both sides by now (or will be with the next
//! sync); the removal can still be chosen.

use super::rows;
use super::{Case, Resolved, Take};
use crate::fetch::Stale;
use crate::meta::MetaError;
use crate::model::{Dirty, Ino, Kind, Name, Who};
use crate::reintegrate::trouble::Stop;
use crate::tree::TreeError;

impl Case<'_> {
    pub(super) fn deleted(&self, take: Take) -> Result<Resolved, Stop> {
        let by_client = self.terms.client.is_none();
        match take {
            Take::Client if by_client => self.remove(take),
            Take::Server if !by_client => self.remove(take),
            Take::Client | Take::Server | Take::Both => {
                self.close_alone(take, true, "the edited version stays")
            }
            Take::Base => self.back_to_base(),
            Take::Merged => self.refuse(
                "one side removed it: there is nothing to merge",
                "client|server|base",
            ),
        }
    }

    /// The removal, as if a person had removed it now.
    fn remove(&self, take: Take) -> Result<Resolved, Stop> {
        let Some(ino) = self.ino else {
            return self.remove_unseen(take);
        };
        self.snapshot()?;
        let names = self.tree.meta().read(|db| db.names(ino))?;
        let dir = self.tree.stat(ino)?.node.attrs.kind == Kind::Dir;
        for (parent, name) in &names {
            self.remove_name(*parent, name, dir)?;
        }
        let mut done = self.close_alone(
            take,
            true,
            "it is removed on both sides with the next sync; a snapshot keeps it",
        )?;
        done.stale.extend(
            names
                .into_iter()
                .map(|(parent, name)| Stale::Name(parent, name)),
        );
        Ok(done)
    }

    fn remove_name(&self, parent: Ino, name: &Name, dir: bool) -> Result<(), Stop> {
        let removed = match dir {
            true => self.tree.rmdir(parent, name, Who::DRIFTFS),
            false => self.tree.unlink(parent, name, Who::DRIFTFS),
        };
        match removed {
            Ok(_) | Err(TreeError::NotFound) => Ok(()),
            Err(TreeError::NotEmpty) => Err(Stop::Pending(format!(
                "{path} has files in it. Next: rm -r {path} if you want them gone, or driftfs resolve --take both {path}",
                path = self.path
            ))),
            Err(other) => Err(other.into()),
        }
    }

    /// The edited version did not come back here yet: base becomes the server's, so that its absence is our removal.
    fn remove_unseen(&self, take: Take) -> Result<Resolved, Stop> {
        self.tree.commit(|txn| {
            if let (Some(bid), Some(server)) = (self.bid, &self.terms.server) {
                rows::take_bytes(txn, bid, server)?;
                take_attributes(txn, bid, server)?;
            }
            self.close(txn, take).map_err(Stop::from)
        })?;
        Ok(self.done(true, "it is removed on the server with the next sync"))
    }

    /// The older bytes as an ordinary edit of what is there now.
    fn back_to_base(&self) -> Result<Resolved, Stop> {
        let ino = self.node()?;
        let base = self
            .terms
            .base
            .as_ref()
            .and_then(|base| Some((base, base.object?)));
        let Some((base, object)) = base else {
            return self.refuse(
                "the contents of the older version are not here",
                "client|server",
            );
        };
        self.snapshot()?;
        // The agreed bytes may lie in the live file: they are sealed before that gets others.
        let agreed = match self.bid {
            Some(bid) => self.tree.base_bytes(bid)?,
            None => None,
        };
        let rev = self.tree.stat(ino)?.node.rev;
        self.tree
            .replace_bytes(ino, object, Some(rev), &mut |txn, node| {
                if let Some(bid) = self.bid
                    && let Some(mut row) = txn.base(bid)?
                {
                    row.object = row.object.or(agreed);
                    txn.put_base(&row)?;
                }
                node.attrs.mtime = base.attrs.mtime;
                node.dirty = node.dirty.with(Dirty::BYTES);
                self.close(txn, Take::Base)
            })?;
        Ok(self.done(
            true,
            "the older version is back and goes to the server with the next sync",
        ))
    }
}

fn take_attributes(
    txn: &crate::meta::WriteTxn<'_>,
    bid: crate::model::Bid,
    server: &crate::variants::Term,
) -> Result<(), MetaError> {
    if let Some(mut row) = txn.base(bid)? {
        row.attrs = server.attrs;
        row.xattrs = server.xattrs.clone().or(row.xattrs);
        txn.put_base(&row)?;
        if let Some(places) = rows::places(txn, &server.places)? {
            rows::put_places(txn, bid, &places)?;
        }
    }
    Ok(())
}
