//! Deciding a conflict by a word. Every door (command, attribute, hidden path, terminal, web) calls [`resolve`].
//!
//! The one idea: base becomes the server's version as the terms have it. What the live tree then has is an ordinary
//! one-sided change, which the next sync pushes; or, when the server's was taken, no change at all. If the server moved
//! on since, the next look finds a stamp that is not base's, and it is a conflict again: nothing is overwritten unseen.
//!
//! Whatever changes the live tree takes a snapshot first, so the version that was not chosen stays readable.

mod attribute;
mod both;
mod content;
mod deleted;
mod names;
mod occupied;
mod rows;

use super::trouble::{Failure, Stop};
use crate::fetch::Stale;
use crate::meta::{Conflict, Record, WriteTxn};
pub use crate::model::Take;
use crate::model::{Bid, ConflictKind, Ino, RelPath, Who};

use crate::sys;
use crate::tree::{Tree, TreeError};
use crate::variants::Terms;

/// A decision that was carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// True when a sync should follow: something is to be pushed or pulled now.
    pub sync: bool,
    /// What was done, for people.
    pub note: String,
    /// What the kernel must forget.
    pub stale: Vec<Stale>,
}

/// Why a decision was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Unresolved {
    /// The word does not fit this conflict, or something is in the way: what, why, and which word or command works.
    #[error("{0}")]
    Refused(String),
    /// The live tree, the database or the cache disk.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<Stop> for Unresolved {
    fn from(stop: Stop) -> Unresolved {
        match stop {
            Stop::Fatal(failure) => Unresolved::Failed(failure),
            Stop::Pending(why) => Unresolved::Refused(why),
            Stop::Later(why) | Stop::Link(why) => Unresolved::Refused(format!(
                "it changed while it was being decided ({why}). Next: look at it, then the same command again"
            )),
            Stop::Conflict => {
                Unresolved::Refused("it is still in conflict. Next: driftfs conflicts".to_owned())
            }
        }
    }
}

/// Decides every conflict at a live path by taking one version.
pub fn resolve(tree: &Tree, path: &RelPath, take: Take) -> Result<Resolved, Unresolved> {
    let cases = cases(tree, path)?;
    if cases.is_empty() {
        return Err(Unresolved::Refused(format!(
            "{path} is not in conflict. Next: driftfs conflicts lists what is"
        )));
    }
    let several = cases.len() > 1;
    let mut done = Resolved::default();
    let mut notes = Vec::new();
    for case in &cases {
        // `both` and `merged` are about contents; a disagreement about attributes of the same object then goes the client's way.
        let take = match (take, case.conflict.kind) {
            (Take::Both | Take::Merged, ConflictKind::Attribute) if several => Take::Client,
            _ => take,
        };
        let one = case.decide(take)?;
        done.sync |= one.sync;
        done.stale.extend(one.stale);
        notes.push(one.note);
    }
    done.note = notes.join("; ");
    Ok(done)
}

/// One conflict being decided.
struct Case<'a> {
    tree: &'a Tree,
    conflict: Conflict,
    terms: Terms,
    /// The live node, if there is one now.
    ino: Option<Ino>,
    /// The base object, if there is one now.
    bid: Option<Bid>,
    path: RelPath,
}

/// The conflicts whose object is at a path now.
fn cases<'a>(tree: &'a Tree, path: &RelPath) -> Result<Vec<Case<'a>>, Stop> {
    tree.meta().read(|rows| {
        let mut cases = Vec::new();
        for conflict in rows.conflicts()? {
            let ino = rows.node_in_conflict(&conflict)?;
            let live = match ino {
                Some(ino) => rows.path(ino)?,
                None => None,
            };
            if live.as_ref() != Some(path) && conflict.path != *path {
                continue;
            }
            let terms = Terms::parse(&conflict.terms).map_err(|why| {
                Stop::Pending(format!("what is stored of the conflict about {path} cannot be read ({why}). Next: driftfs check"))
            })?;
            let bid = match conflict.bid {
                Some(bid) => rows.base(bid)?.map(|base| base.bid),
                None => None,
            };
            cases.push(Case {
                tree,
                terms,
                ino,
                bid,
                path: path.clone(),
                conflict,
            });
        }
        Ok(cases)
    })
}

impl Case<'_> {
    fn decide(&self, take: Take) -> Result<Resolved, Stop> {
        match self.conflict.kind {
            ConflictKind::Content | ConflictKind::Created => self.content(take),
            ConflictKind::Deleted => self.deleted(take),
            ConflictKind::Attribute => self.attribute(take),
            ConflictKind::Name | ConflictKind::DirCycle => self.names(take),
            ConflictKind::Occupied => self.occupied(take),
        }
    }

    /// A word that does not fit, with those that do.
    fn refuse<T>(&self, why: &str, words: &str) -> Result<T, Stop> {
        let path = &self.path;
        Err(Stop::Pending(format!(
            "{why}. Next: driftfs resolve --take {words} {path}"
        )))
    }

    /// The live node; refused when it is gone.
    fn node(&self) -> Result<Ino, Stop> {
        let gone = || {
            Stop::Pending(format!(
                "{} is not in the live tree any more. Next: driftfs sync",
                self.path
            ))
        };
        self.ino.ok_or_else(gone)
    }

    /// What was there stays readable, whatever comes.
    fn snapshot(&self) -> Result<(), Stop> {
        let now = sys::now();
        let name = format!("before-resolve-{}.{:09}", now.sec, now.nsec);
        self.tree.snapshot(&name, "before-resolve")?;
        Ok(())
    }

    /// The end of every decision, in the transaction that carries it out: the conflict goes, the journal says so.
    fn close(&self, txn: &WriteTxn<'_>, take: Take) -> Result<(), TreeError> {
        txn.drop_conflict(self.conflict.id)?;
        txn.record(&Record {
            seq: 0,
            when: sys::now(),
            who: Who::DRIFTFS,
            program: "driftfs".to_owned(),
            ino: self.ino,
            path: self.path.clone(),
            verb: "resolve".to_owned(),
            detail: format!("{}: {}", self.conflict.kind.word(), take.word()),
        })?;
        Ok(())
    }

    /// Ends the conflict where nothing else is to be done.
    fn close_alone(&self, take: Take, sync: bool, note: &str) -> Result<Resolved, Stop> {
        self.tree
            .commit(|txn| self.close(txn, take).map_err(Stop::from))?;
        Ok(self.done(sync, note))
    }

    fn done(&self, sync: bool, note: &str) -> Resolved {
        Resolved {
            sync,
            note: note.to_owned(),
            stale: self.ino.map(Stale::Node).into_iter().collect(),
        }
    }
}
