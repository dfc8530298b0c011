//! Looking.

use super::commit::Core;
use super::live::OpenNode;
use super::{Result, Seen, Tree, TreeError, io};
use crate::meta::{Entry, Node, Rows};
use crate::model::{Bytes, Cookie, Dirty, Ino, Kind, Name};

impl Core {
    /// A node with attributes as of now: while the live file's stat is that of the row, the row holds.
    pub(super) fn see(&self, mut node: Node) -> Result<Seen> {
        if node.attrs.kind != Kind::File {
            return Ok(Seen { node, blocks: 0 });
        }
        let mut blocks = node.attrs.size.div_ceil(512);
        if node.bytes == Bytes::Here {
            // Of a clean file the row holds whatever its live file says, and only its blocks are to be known.
            let clean = !node.dirty.has(Dirty::BYTES) && node.nlink > 0;
            if clean && let Some(blocks) = self.meta.known_blocks(node.ino) {
                return Ok(Seen { node, blocks });
            }
            let live = self.objects.live_stat(node.ino);
            if let Some((stat, used)) = live.map_err(io("looking at a file"))? {
                blocks = used;
                if clean {
                    self.meta.note_blocks(&node, used);
                }
                // No stat in the row: the live file is about to be replaced.
                let written = node.live_stat.is_some_and(|known| known != stat);
                if written && (node.dirty.has(Dirty::BYTES) || node.nlink == 0) {
                    node.attrs.size = stat.size;
                    node.attrs.mtime = stat.mtime;
                    node.attrs.ctime = node.attrs.ctime.max(stat.ctime);
                }
            }
        }
        Ok(Seen { node, blocks })
    }
}

/// A directory whose names are all known here.
pub(super) fn listed_dir(rows: &Rows<'_>, dir: Ino) -> Result<Node> {
    let node = directory(rows, dir)?;
    if node.listed.is_none() {
        return Err(TreeError::NotListed(dir));
    }
    Ok(node)
}

/// A directory.
pub(super) fn directory(rows: &Rows<'_>, dir: Ino) -> Result<Node> {
    let node = rows.node(dir)?.ok_or(TreeError::NotFound)?;
    if node.attrs.kind != Kind::Dir {
        return Err(TreeError::NotDir);
    }
    Ok(node)
}

/// The node an entry of a directory names. `NotFound`: surely none; `NotListed`: not known here.
pub(super) fn named(rows: &Rows<'_>, parent: Ino, name: &Name) -> Result<Node> {
    let dir = directory(rows, parent)?;
    match rows.entry(parent, name)? {
        Some(entry) => rows.node(entry.ino)?.ok_or(TreeError::NotFound),
        None if dir.listed.is_none() => Err(TreeError::NotListed(parent)),
        None => Err(TreeError::NotFound),
    }
}

impl Tree {
    /// A node with attributes as of now.
    pub fn stat(&self, ino: Ino) -> Result<Seen> {
        self.core.see(self.core.row(ino)?)
    }

    /// The node at a name. `NotFound`: surely none; `NotListed`: not known here.
    pub fn lookup(&self, parent: Ino, name: &Name) -> Result<Seen> {
        let node = self.core.meta.quick(|rows| named(rows, parent, name))?;
        self.core.see(node)
    }

    /// Up to `limit` entries after a cookie, with their nodes. `NotListed` when the directory is not.
    pub fn list(&self, dir: Ino, after: Cookie, limit: usize) -> Result<Vec<(Entry, Seen)>> {
        let rows = self.core.meta.quick(|rows| {
            listed_dir(rows, dir)?;
            let mut found = Vec::new();
            for entry in rows.entries(dir, after, limit)? {
                if let Some(node) = rows.node(entry.ino)? {
                    found.push((entry, node));
                }
            }
            Ok::<_, TreeError>(found)
        })?;
        rows.into_iter()
            .map(|(entry, node)| Ok((entry, self.core.see(node)?)))
            .collect()
    }

    /// True when the bytes of a node may change at any moment: by a handle or by a mapping that outlived one.
    pub fn may_be_written(&self, ino: Ino) -> bool {
        self.core.table.is(ino, OpenNode::has_writer) || self.core.silence.is_watched(ino)
    }

    /// True when somebody may write the live file of a node without asking, or was able to a moment ago.
    pub fn is_written_unasked(&self, ino: Ino) -> bool {
        self.core.is_written_unasked(ino)
    }

    /// True when the kernel was told of a node and did not forget it.
    pub fn is_referenced(&self, ino: Ino) -> bool {
        self.core.table.is_referenced(ino)
    }

    /// Every node the kernel was told of and did not forget.
    pub fn referenced(&self) -> Vec<Ino> {
        self.core.table.referenced()
    }

    /// The directory a directory lies in (`..`); root for the root.
    pub fn parent(&self, dir: Ino) -> Result<Ino> {
        self.core.meta.quick(|rows| {
            directory(rows, dir)?;
            if dir == Ino::ROOT {
                return Ok(dir);
            }
            Ok(rows.home(dir)?.unwrap_or(Ino::ROOT))
        })
    }
}
