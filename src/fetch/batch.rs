//! Small files asked for together, each taken only when the server's file surely is the one base knows.

use std::sync::Arc;

use super::ahead::{self, Chosen, Landing};
use super::bytes::{Wanted, local};
use super::flight::Flight;
use super::next::{self, Candidate};
use super::refresh::calm;
use super::{FetchError, Inner};
use crate::lower::{LowerError, Packed};
use crate::meta::BaseNode;
use crate::model::{Bytes, Kind, Mask, Name, RelPath};
use crate::sys;
use crate::tree::Small;

/// Files of one question.
pub(super) const FILES: usize = 64;
/// Bytes of one question.
pub(super) const BYTES: u64 = 4 << 20;
/// A file up to this size is small.
pub(super) const SMALL: u64 = 1 << 20;

/// One batch of a trail.
pub(super) fn bring(mut landing: Landing, flight: &Arc<Flight>) -> Result<(), FetchError> {
    let inner = landing.inner.clone();
    let Some(next) = next::choose(&inner, &landing.turn)? else {
        return Ok(());
    };
    let sizes = |file: &Candidate| (file.ino, file.base.stamp.size);
    landing.chosen = next.files.iter().map(sizes).collect();
    let chosen = Chosen {
        files: landing.chosen.clone(),
        then: next.then,
    };
    inner.ahead.chose(&landing.turn, &chosen, flight);
    // The next batch is chosen while the server answers this one.
    ahead::go_on(&inner);
    landing.placed = place(&inner, &next.path, &next.files)?;
    Ok(())
}

/// A small clean file somebody waits for. False when it must be had the long way.
pub(super) fn alone(inner: &Inner, wanted: &Wanted) -> Result<bool, FetchError> {
    let (node, base) = (&wanted.node, &wanted.base);
    let plain = base.object.is_none() && base.hash.is_none() && base.stamp.size <= SMALL;
    let Some((dir, name)) = wanted.path.split() else {
        return Ok(false);
    };
    if !plain || base.attrs.kind != Kind::File || !node.dirty.is_clean() {
        return Ok(false);
    }
    let file = Candidate {
        ino: node.ino,
        name: name.clone(),
        base: base.clone(),
    };
    let placed = place(inner, &dir, std::slice::from_ref(&file))?;
    Ok(!placed.is_empty())
}

/// Asks for files of one directory and places those that are what base knows. Gives their numbers.
fn place(
    inner: &Inner,
    dir: &RelPath,
    files: &[Candidate],
) -> Result<Vec<crate::model::Ino>, FetchError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let mask = inner.mask()?;
    let names: Vec<Name> = files.iter().map(|file| file.name.clone()).collect();
    let into = local(sys::memory_file())?;
    let answers = match inner.lower.read_many(dir, &names, SMALL, &into) {
        Ok(answers) => answers,
        Err(error @ LowerError::Link { .. }) => {
            inner.ahead.stop();
            return Err(inner.told("reading", error));
        }
        // The long way finds out what it means.
        Err(error) => {
            tracing::debug!(%dir, %error, "small files did not come together");
            return Ok(Vec::new());
        }
    };
    let mut small = Vec::with_capacity(files.len());
    for (file, answer) in files.iter().zip(answers) {
        let Ok(packed) = answer else { continue };
        if let Some(base) = agreed(&file.base, &packed, &mask) {
            let size = packed.seen.stamp.size as usize;
            small.push(Small {
                ino: file.ino,
                bytes: local(sys::read_at(&into, packed.at, size))?,
                base,
                before: file.base.stamp,
            });
        }
    }
    // What was packed short is no file of the server's.
    small.retain(|file| file.bytes.len() as u64 == file.base.stamp.size);
    Ok(inner.tree.place_small(small)?)
}

/// The base row for what was read; `None` when the server has something else than base.
fn agreed(base: &BaseNode, packed: &Packed, mask: &Mask) -> Option<BaseNode> {
    if !calm(base, &packed.seen, mask) {
        return None;
    }
    if !base.stamp.racy {
        return Some(base.clone());
    }
    // Nothing told whether the file was written after base was looked at; the bytes belong to this look.
    Some(BaseNode {
        stamp: packed.seen.stamp,
        hash: packed.seen.stamp.hash,
        ..base.clone()
    })
}

/// True for a node whose bytes a batch may bring.
pub(super) fn is_plain(node: &crate::meta::Node) -> bool {
    node.attrs.kind == Kind::File
        && node.bytes == Bytes::Absent
        && node.attrs.size <= SMALL
        && node.dirty.is_clean()
}
