//! Listing directories.

use super::hidden::is_shown;
use super::{Call, Overlay, Result, Stat};
use crate::model::{Cookie, Ino, Kind, Name};
use crate::tree::TreeError;

/// One entry of a listing.
#[derive(Clone, Debug)]
pub struct DirItem {
    /// The name; `None` for `.` and `..`.
    pub name: Option<Name>,
    /// What it names.
    pub stat: Stat,
    /// Where the listing goes on after it: 1 for `.`, 2 for `..`, else the entry's cookie.
    pub cookie: u64,
}

/// How many entries are read at a time.
const PIECE: usize = 64;

impl Overlay {
    /// Makes sure that the names of a directory are here and fresh.
    pub fn begin_listing(&self, call: &Call, dir: Ino) -> Result<()> {
        if is_shown(dir) {
            return self.begin_listing_shown(dir).map(drop);
        }
        let seen = self.tree.stat(dir)?;
        if seen.node.attrs.kind != Kind::Dir {
            return Err(TreeError::NotDir.into());
        }
        self.look_first(call, dir)?;
        self.list_piece(call, dir, Cookie(2), 1)?;
        Ok(())
    }

    /// Gives entries after `after` (0 from the start) to `take` until it says that it is full (`false`). Entries of live
    /// directories have lasting positions, so that no handle is needed.
    /// `remember`: the kernel will hold a reference to each entry taken (readdirplus).
    pub fn readdir(
        &self,
        call: &Call,
        dir: Ino,
        after: u64,
        remember: bool,
        take: &mut dyn FnMut(&DirItem) -> bool,
    ) -> Result<()> {
        if is_shown(dir) {
            let listing = self.listing_shown(dir)?;
            return self.readdir_shown((dir, &listing), after, remember, take);
        }
        for (cookie, ino) in [(1, dir), (2, self.tree.parent(dir)?)] {
            if after < cookie {
                let stat = Stat::from(&self.tree.stat(ino)?);
                let item = DirItem {
                    name: None,
                    stat,
                    cookie,
                };
                if !take(&item) {
                    return Ok(());
                }
            }
        }
        let mut at = Cookie(after.max(2));
        loop {
            let piece = self.list_piece(call, dir, at, PIECE)?;
            let last = piece.len() < PIECE;
            for item in piece {
                at = Cookie(item.cookie);
                // The reference is counted before the kernel can know of it, and taken back if it was not told.
                if remember {
                    self.tree.remember(item.stat.ino);
                }
                if !take(&item) {
                    if remember {
                        self.tree.forget(item.stat.ino, 1);
                    }
                    return Ok(());
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    fn list_piece(
        &self,
        call: &Call,
        dir: Ino,
        after: Cookie,
        limit: usize,
    ) -> Result<Vec<DirItem>> {
        let entries = self
            .tree
            .list(dir, after, limit)
            .map_err(|error| self.missing(call, error))?;
        let item = |(entry, seen): (crate::meta::Entry, crate::tree::Seen)| DirItem {
            name: Some(entry.name),
            stat: Stat::from(&seen),
            cookie: entry.cookie.0,
        };
        Ok(entries.into_iter().map(item).collect())
    }

    /// fsyncdir: everything acknowledged so far survives power loss afterwards.
    pub fn sync_names(&self) -> Result<()> {
        Ok(self.tree.sync_names()?)
    }
}
