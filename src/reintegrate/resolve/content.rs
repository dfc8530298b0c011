//! Both sides changed the contents, or both created something of one name.

use super::rows;
use super::{Case, Resolved, Take};
use crate::meta::{Node, WriteTxn};
use crate::model::{Bid, ConflictKind, Dirty, Kind, Name, ObjectId};
use crate::reintegrate::trouble::Stop;
use crate::tree::TreeError;
use crate::variants::Term;

/// What else a decision does to the live node.
#[derive(Clone, Copy)]
enum Becomes<'a> {
    /// It stays as it is.
    Itself,
    /// It is the server's version now.
    Servers(&'a Term),
    /// It has other bytes than both: these, with this mtime.
    Other(&'a Term),
}

impl Case<'_> {
    pub(super) fn content(&self, take: Take) -> Result<Resolved, Stop> {
        let Some(server) = self.terms.server.as_ref() else {
            return self.refuse("the server's version is not known", "client");
        };
        match take {
            Take::Client => self.keep_client(server, take),
            Take::Server => self.take_server(server),
            Take::Base => self.take_base(server),
            Take::Both => {
                // What would be refused after the copy is refused before it.
                self.node()?;
                self.server_places(server)?;
                let note = self.copy_of_server(server)?;
                let mut done = self.keep_client(server, take)?;
                done.note = note;
                Ok(done)
            }
            Take::Merged => self.take_merged(server),
        }
    }

    /// Base becomes the server's version; the live one is then an ordinary change.
    pub(super) fn keep_client(&self, server: &Term, take: Take) -> Result<Resolved, Stop> {
        let ino = self.node()?;
        let places = self.server_places(server)?;
        self.tree.commit(|txn| {
            let mut node = txn.node(ino)?.ok_or(TreeError::NotFound)?;
            self.agree(txn, &mut node, server, &places, Becomes::Itself)?;
            txn.put_node(&node)?;
            rows::mark_names(txn, ino)?;
            self.close(txn, take).map_err(Stop::from)
        })?;
        Ok(self.done(
            true,
            "the version here goes to the server with the next sync",
        ))
    }

    fn take_server(&self, server: &Term) -> Result<Resolved, Stop> {
        if server.attrs.kind == Kind::File && server.object.is_none() {
            return self.refuse(
                "the contents of the server's version are not here",
                "client",
            );
        }
        self.put(
            server.object,
            server,
            Becomes::Servers(server),
            Take::Server,
        )?;
        Ok(self.done(
            false,
            "the server's version is here now; yours is kept in a snapshot",
        ))
    }

    fn take_base(&self, server: &Term) -> Result<Resolved, Stop> {
        let Some(base) = self.terms.base.as_ref() else {
            return self.refuse(
                "both sides created it: there is no older version",
                "client|server|both",
            );
        };
        if base.attrs.kind == Kind::File && base.object.is_none() {
            return self.refuse(
                "the contents of the older version are not here",
                "client|server|both",
            );
        }
        self.put(base.object, server, Becomes::Other(base), Take::Base)?;
        Ok(self.done(true, "the older version is back and goes to the server with the next sync; yours is kept in a snapshot"))
    }

    fn take_merged(&self, server: &Term) -> Result<Resolved, Stop> {
        let path = &self.path;
        let Some(proposal) = self.terms.merged else {
            return self.refuse(
                "no driver could merge it, so there is no merged version",
                "client|server|both",
            );
        };
        if proposal.markers {
            return Err(Stop::Pending(format!(
                "the merged version has conflict markers in it. Next: edit {path} with the help of \
                 .drift/merged/{path}, then driftfs resolve --take client {path}"
            )));
        }
        let Some(client) = self.terms.client.as_ref() else {
            return self.refuse("it was removed here", "client|server");
        };
        self.put(
            Some(proposal.object),
            server,
            Becomes::Other(client),
            Take::Merged,
        )?;
        Ok(self.done(true, "the merged version is here and goes to the server with the next sync; yours is kept in a snapshot"))
    }

    /// Puts bytes (or a target, or a device number) into the live node; everything else in the same transaction.
    fn put(
        &self,
        object: Option<ObjectId>,
        server: &Term,
        becomes: Becomes<'_>,
        take: Take,
    ) -> Result<(), Stop> {
        let ino = self.node()?;
        let places = self.server_places(server)?;
        self.snapshot()?;
        let node = self.tree.stat(ino)?.node;
        match (node.attrs.kind, object) {
            (Kind::File, Some(object)) => {
                let put = self
                    .tree
                    .replace_bytes(ino, object, Some(node.rev), &mut |txn, node| {
                        self.agree(txn, node, server, &places, becomes)?;
                        self.close(txn, take)
                    });
                match put {
                    Err(TreeError::Busy) => self.refuse(
                        "a program has it open for writing; close it there",
                        take.word(),
                    ),
                    other => Ok(other?),
                }
            }
            _ => self.tree.commit(|txn| {
                let mut node = txn.node(ino)?.ok_or(TreeError::NotFound)?;
                self.agree(txn, &mut node, server, &places, becomes)?;
                node.rev += 1;
                txn.put_node(&node)?;
                self.close(txn, take).map_err(Stop::from)
            }),
        }
    }

    /// Base becomes the server's version and the node what it shall be. The caller stores the node.
    fn agree(
        &self,
        txn: &WriteTxn<'_>,
        node: &mut Node,
        server: &Term,
        places: &[(Bid, Name)],
        becomes: Becomes<'_>,
    ) -> Result<(), TreeError> {
        let created = self.bid.is_none();
        match self.bid {
            Some(bid) => rows::take_bytes(txn, bid, server)?,
            None => {
                node.bid = rows::put_new(txn, server, places)?;
                rows::may_differ(node);
            }
        }
        match becomes {
            Becomes::Itself => node.dirty = node.dirty.with(Dirty::BYTES),
            Becomes::Servers(term) => {
                // The live file has the agreed bytes from now on.
                if let Some(bid) = node.bid
                    && let Some(mut row) = txn.base(bid)?
                {
                    row.object = None;
                    txn.put_base(&row)?;
                }
                take_shape(node, term);
                node.dirty = node.dirty.without(Dirty::BYTES);
                if created {
                    take_attributes(node, term);
                    node.dirty = Dirty::CLEAN;
                }
            }
            Becomes::Other(term) => {
                take_shape(node, term);
                node.dirty = node.dirty.with(Dirty::BYTES);
            }
        }
        Ok(())
    }

    /// Where the server has what both created. What base has already stays where base has it.
    fn server_places(&self, server: &Term) -> Result<Vec<(Bid, Name)>, Stop> {
        if self.bid.is_some() || self.conflict.kind != ConflictKind::Created {
            return Ok(Vec::new());
        }
        let places = self
            .tree
            .meta()
            .read(|db| rows::places(db, &server.places))?;
        let missing = || {
            Stop::Pending(format!(
                "the directory of {} is not agreed on yet. Next: driftfs sync",
                self.path
            ))
        };
        let places = places.filter(|places| !places.is_empty());
        let places = places.ok_or_else(missing)?;
        let held = self
            .tree
            .meta()
            .read(|rows| rows::forgotten(rows, None, &places))?;
        if held > 0 {
            return Err(Stop::Pending(format!(
                "what had the name {} before is in a conflict of its own, and was never read here. Next: decide that one first, \
                 driftfs conflicts lists it",
                self.path
            )));
        }
        Ok(places)
    }
}

/// Target, device number and mtime; the size of a file is that of its bytes.
fn take_shape(node: &mut Node, term: &Term) {
    node.target = term.target.clone();
    node.attrs.rdev = term.attrs.rdev;
    node.attrs.mtime = term.attrs.mtime;
    node.attrs.ctime = crate::sys::now();
    if node.attrs.kind == Kind::Symlink {
        node.attrs.size = term.attrs.size;
    }
}

fn take_attributes(node: &mut Node, term: &Term) {
    node.attrs.mode = term.attrs.mode;
    node.attrs.uid = term.attrs.uid;
    node.attrs.gid = term.attrs.gid;
    if let Some(xattrs) = &term.xattrs {
        node.xattrs = xattrs.clone();
    }
}
