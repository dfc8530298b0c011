//! What a thing is in a version, and where its bytes are.

use std::fs::File;

use super::standing::Standing;
use super::terms::Term;
use super::walk::gone;
use super::{Thing, Variants, Word};
use crate::meta::{BaseNode, Rows};
use crate::model::{Attrs, Bid, Bytes, Dirty, Ino, Kind, ObjectId, Xattrs};
use crate::tree::{Result, TreeError};

/// Where the bytes of a version are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// In the live file.
    Live(Ino),
    /// In a sealed object.
    Sealed(ObjectId),
    /// Agreed on, and still in the live file of a clean node: opening seals a clone of them.
    Agreed(Bid),
    /// Known, but not kept here.
    NotHere,
    /// It has none (no regular file).
    None,
}

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its attributes.
    pub attrs: Attrs,
    /// Target of a symlink.
    pub target: Option<Vec<u8>>,
    /// Its extended attributes.
    pub xattrs: Xattrs,
    /// Its bytes.
    pub bytes: Where,
}

impl Variants {
    /// What a thing is in a version. `NotFound` when it is not there any more.
    pub fn version(&self, word: Word, thing: Thing) -> Result<Version> {
        match thing {
            Thing::Node(ino) => self.live(word, ino),
            Thing::Base(bid) => self.read(|rows, _| base(rows, bid)),
            Thing::Term(..) => self.read(|rows, standing| {
                let one = gone(standing.of_thing(thing))?;
                let term = gone(one.term(word))?;
                of_term(rows, term, one.bid)
            }),
        }
    }

    /// Opens the bytes of a version for reading; `None` when they are not here. The client's are the live file itself.
    pub fn open(&self, version: &Version) -> Result<Option<File>> {
        let objects = self.tree.objects();
        let what = "opening a stored version";
        let object = match version.bytes {
            Where::Live(ino) => {
                let file = objects.open_live(ino, false);
                return file
                    .map(Some)
                    .map_err(|source| TreeError::Io { what, source });
            }
            Where::Sealed(id) => Some(id),
            Where::Agreed(bid) => self.tree.base_bytes(bid)?,
            Where::NotHere | Where::None => None,
        };
        let file = object.map(|id| objects.open_sealed(id)).transpose();
        file.map_err(|source| TreeError::Io { what, source })
    }

    fn live(&self, word: Word, ino: Ino) -> Result<Version> {
        let node = self.tree.stat(ino)?.node;
        let mut version = Version {
            attrs: node.attrs,
            target: node.target,
            xattrs: node.xattrs,
            bytes: match (node.attrs.kind, node.bytes) {
                (Kind::File, Bytes::Here) => Where::Live(ino),
                (Kind::File, Bytes::Absent) => Where::NotHere,
                _ => Where::None,
            },
        };
        if word == Word::Merged {
            self.read(|rows, standing| proposed(rows, standing, ino, &mut version))?;
        }
        Ok(version)
    }
}

/// Puts the proposal for a node in conflict in place of its bytes.
fn proposed(rows: &Rows<'_>, standing: &Standing, ino: Ino, version: &mut Version) -> Result<()> {
    let proposal = standing.of_ino(ino).and_then(|one| one.terms.merged);
    if let Some(proposal) = proposal
        && let Some(sealed) = rows.sealed(proposal.object)?
    {
        version.attrs.size = sealed.size;
        version.bytes = Where::Sealed(proposal.object);
    }
    Ok(())
}

fn base(rows: &Rows<'_>, bid: Bid) -> Result<Version> {
    let row: BaseNode = gone(rows.base(bid)?)?;
    let bytes = base_bytes(rows, &row)?;
    Ok(Version {
        attrs: row.attrs,
        target: row.target,
        xattrs: row.xattrs.unwrap_or_default(),
        bytes,
    })
}

fn base_bytes(rows: &Rows<'_>, row: &BaseNode) -> Result<Where> {
    if row.attrs.kind != Kind::File {
        return Ok(Where::None);
    }
    if let Some(id) = row.object {
        return Ok(Where::Sealed(id));
    }
    for ino in rows.nodes_of(row.bid)? {
        let node = rows.node(ino)?;
        if node.is_some_and(|node| node.bytes == Bytes::Here && !node.dirty.has(Dirty::BYTES)) {
            return Ok(Where::Agreed(row.bid));
        }
    }
    Ok(Where::NotHere)
}

fn of_term(rows: &Rows<'_>, term: &Term, bid: Option<Bid>) -> Result<Version> {
    let bytes = match (term.attrs.kind, term.object) {
        (Kind::File, Some(id)) => Where::Sealed(id),
        (Kind::File, None) => agreed_bytes(rows, term, bid)?,
        _ => Where::None,
    };
    Ok(Version {
        attrs: term.attrs,
        target: term.target.clone(),
        xattrs: term.xattrs.clone().unwrap_or_default(),
        bytes,
    })
}

/// Terms whose bytes are no matter of the conflict (names, attributes) name none: base still has them.
fn agreed_bytes(rows: &Rows<'_>, term: &Term, bid: Option<Bid>) -> Result<Where> {
    let row = match bid {
        Some(bid) => rows.base(bid)?,
        None => None,
    };
    let same = |row: &BaseNode| {
        term.stamp
            .is_some_and(|stamp| same_bytes(&stamp, &row.stamp))
    };
    match row.filter(same) {
        Some(row) => base_bytes(rows, &row),
        None => Ok(Where::NotHere),
    }
}

fn same_bytes(a: &crate::model::Stamp, b: &crate::model::Stamp) -> bool {
    match (a.hash, b.hash) {
        (Some(a), Some(b)) => a == b,
        _ => a.size == b.size && a.mtime == b.mtime && a.ino == b.ino,
    }
}
