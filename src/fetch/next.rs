//! Which files come next: those after one in the order of its directory, then those of the next directory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ahead::{self, Turn};
use super::batch::{SMALL, is_plain};
use super::flight::Job;
use super::{FetchError, Inner, names};
use crate::meta::{BaseNode, MetaError, Node, Rows};
use crate::model::{Cookie, Ino, Kind, Name, RelPath};

/// Entries looked at for one batch.
const LOOK: usize = 2048;
/// Directories without anything to bring that one batch passes.
const PASS: usize = 32;
/// Past the last entry of any directory.
pub(super) const END: Cookie = Cookie(i64::MAX as u64);
/// Levels gone up in search of the next directory.
const UP: usize = 64;
/// The longest a directory is waited for that is not listed yet.
const PATIENCE: Duration = Duration::from_secs(30);

/// A small file to be asked for.
pub(super) struct Candidate {
    pub(super) ino: Ino,
    pub(super) name: Name,
    pub(super) base: BaseNode,
}

/// Files of one directory, and where to go on.
pub(super) struct Next {
    pub(super) path: RelPath,
    pub(super) files: Vec<Candidate>,
    pub(super) then: (Ino, Cookie),
}

/// A small file had to be fetched for somebody: its successors may be wanted soon.
pub(super) fn missed(inner: &Arc<Inner>, node: &Node) {
    if node.attrs.size > SMALL {
        return;
    }
    let place = inner.tree.meta().read(|rows| {
        let Some((dir, name)) = rows.names(node.ino)?.into_iter().next() else {
            return Ok(None);
        };
        let entry = rows.entry(dir, &name)?;
        Ok::<_, MetaError>(entry.map(|entry| (dir, entry.cookie)))
    });
    if let Ok(Some((dir, cookie))) = place {
        inner.ahead.missed(dir, cookie);
        ahead::go_on(inner);
    }
}

/// The files a batch brings. `None`: there are no more.
pub(super) fn choose(inner: &Arc<Inner>, turn: &Turn) -> Result<Option<Next>, FetchError> {
    let (mut dir, mut after) = (turn.dir, turn.after);
    for _ in 0..PASS {
        let found = inner
            .tree
            .meta()
            .read(|rows| in_directory(inner, rows, turn, dir, after))?;
        if let Some(found) = found {
            if !found.files.is_empty() || !turn.proven {
                return Ok(Some(found));
            }
            if found.then.1 != END {
                (dir, after) = found.then;
                continue;
            }
        }
        if !turn.proven {
            return Ok(None);
        }
        match inner.tree.meta().read(|rows| after_directory(rows, dir))? {
            Some(next) => (dir, after) = (next, Cookie(0)),
            None => return Ok(None),
        }
        names::fetch(inner, dir, names::For::Later, Instant::now() + PATIENCE)?;
    }
    Ok(None)
}

/// Files of one directory after a position; `None` when it has no place on the server.
fn in_directory(
    inner: &Inner,
    rows: &Rows<'_>,
    turn: &Turn,
    dir: Ino,
    mut after: Cookie,
) -> Result<Option<Next>, MetaError> {
    let Some(bid) = rows.node(dir)?.and_then(|node| node.bid) else {
        return Ok(None);
    };
    let Some(path) = inner.elsewhere.path(rows, bid)? else {
        return Ok(None);
    };
    let (mut files, mut bytes) = (Vec::new(), 0);
    let entries = rows.entries(dir, after, LOOK)?;
    let mut more = entries.len() == LOOK;
    for entry in entries {
        if files.len() >= turn.files || bytes >= turn.bytes {
            more = true;
            break;
        }
        after = entry.cookie;
        let Some(node) = rows.node(entry.ino)?.filter(is_plain) else {
            continue;
        };
        let known = rows.base_entry(bid, &entry.name)?;
        if known.is_none() || known != node.bid || inner.flights.is_open(Job::Bytes(node.ino)) {
            continue;
        }
        let base = match known {
            Some(bid) => rows.base(bid)?,
            None => None,
        };
        if let Some(base) = base.filter(|base| base.object.is_none() && base.hash.is_none()) {
            bytes += base.stamp.size;
            files.push(Candidate {
                ino: node.ino,
                name: entry.name,
                base,
            });
        }
    }
    Ok(Some(Next {
        path,
        files,
        then: (dir, if more { after } else { END }),
    }))
}

/// The directory that a walk through the tree comes to after `dir`.
fn after_directory(rows: &Rows<'_>, dir: Ino) -> Result<Option<Ino>, MetaError> {
    if let Some(child) = first_directory(rows, dir, Cookie(0))? {
        return Ok(Some(child));
    }
    let mut at = dir;
    for _ in 0..UP {
        let Some((parent, name)) = rows.names(at)?.into_iter().next() else {
            return Ok(None);
        };
        let Some(entry) = rows.entry(parent, &name)? else {
            return Ok(None);
        };
        if let Some(sibling) = first_directory(rows, parent, entry.cookie)? {
            return Ok(Some(sibling));
        }
        at = parent;
    }
    Ok(None)
}

fn first_directory(rows: &Rows<'_>, dir: Ino, after: Cookie) -> Result<Option<Ino>, MetaError> {
    for entry in rows.entries(dir, after, LOOK)? {
        let node = rows.node(entry.ino)?;
        if node.is_some_and(|node| node.attrs.kind == Kind::Dir) {
            return Ok(Some(entry.ino));
        }
    }
    Ok(None)
}
