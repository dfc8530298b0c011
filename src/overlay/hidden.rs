//! What `.drift` shows: the versions of a directory, read-only, and the list of conflicts.

use std::sync::Arc;

use super::handles::Body;
use super::told::lock;
use super::{Call, DirItem, Opened, Overlay, OverlayError, Result, Stat};
use crate::model::{Attrs, Bytes, Ino, Kind, Name, Xattrs};
use crate::tree::TreeError;
use crate::variants::{self, InHidden, Thing, Version, Where, Word};

/// A node that `.drift` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shown {
    /// `.drift` itself, of a live directory.
    Drift(Ino),
    /// `.drift/conflicts` of a live directory.
    Conflicts(Ino),
    /// A version of something.
    Version(Word, Thing),
}

/// The entries of a directory that `.drift` shows.
pub(super) type Listing = Vec<(DirItem, Shown)>;

/// So many of them are kept; above that all are forgotten and made again for whoever reads on.
const LISTED: usize = 32;

/// Why a version cannot be read.
const NOT_KEPT: &str = "this version is known, but its contents are not kept here. If the server still has it, \
    `driftfs online --wait` and reading the file itself bring it.";

/// True for a node that `.drift` shows.
pub(super) fn is_shown(ino: Ino) -> bool {
    ino.0 >= Ino::VIEWS
}

impl Overlay {
    /// Refuses a change of what `.drift` shows.
    pub(super) fn check_live(&self, ino: Ino) -> Result<()> {
        if is_shown(ino) {
            Err(OverlayError::ReadOnly)
        } else {
            Ok(())
        }
    }

    /// What a number stands for.
    pub(super) fn shown(&self, ino: Ino) -> Result<Shown> {
        Ok(self.views.key(ino).ok_or(TreeError::NotFound)?)
    }

    /// `.drift` of a live directory, or a name in what it shows.
    pub(super) fn lookup_shown(&self, parent: Ino, name: &Name) -> Result<Stat> {
        let shown = if is_shown(parent) {
            self.beneath(self.shown(parent)?, name)?
        } else {
            Shown::Drift(parent)
        };
        self.stat_shown(shown, 1)
    }

    fn beneath(&self, dir: Shown, name: &Name) -> Result<Shown> {
        let found = match dir {
            Shown::Drift(live) => match variants::in_hidden(name) {
                Some(InHidden::Conflicts) => Some(Shown::Conflicts(live)),
                Some(InHidden::Version(word)) => {
                    let thing = self.variants.of_node(word, live)?;
                    thing.map(|thing| Shown::Version(word, thing))
                }
                None => None,
            },
            Shown::Conflicts(_) => return Err(TreeError::NotDir.into()),
            Shown::Version(word, thing) => {
                let thing = self.variants.lookup(word, thing, name)?;
                thing.map(|thing| Shown::Version(word, thing))
            }
        };
        Ok(found.ok_or(TreeError::NotFound)?)
    }

    /// The stat of what is shown; `references` more are then held on its number.
    fn stat_shown(&self, shown: Shown, references: u64) -> Result<Stat> {
        let attrs = match shown {
            Shown::Drift(dir) => self.directory(dir)?,
            Shown::Conflicts(dir) => Attrs {
                kind: Kind::File,
                size: self.variants.conflicts_text(dir)?.len() as u64,
                ..self.directory(dir)?
            },
            Shown::Version(word, thing) => self.variants.version(word, thing)?.attrs,
        };
        let is_dir = attrs.kind == Kind::Dir;
        // Nothing here can be written, and a file that is not a program need not look like one.
        let execute = if matches!(shown, Shown::Conflicts(_)) {
            0o111
        } else {
            0
        };
        let mode = attrs.mode & !0o222 & !execute;
        Ok(Stat {
            ino: self.views.number(&shown, references),
            attrs: Attrs { mode, ..attrs },
            nlink: if is_dir { 2 } else { 1 },
            blocks: attrs.size.div_ceil(512),
        })
    }

    fn directory(&self, dir: Ino) -> Result<Attrs> {
        let attrs = self.tree.stat(dir)?.node.attrs;
        if attrs.kind != Kind::Dir {
            return Err(TreeError::NotDir.into());
        }
        Ok(attrs)
    }

    /// Attributes of a shown node.
    pub(super) fn getattr_shown(&self, ino: Ino) -> Result<Stat> {
        let stat = self.stat_shown(self.shown(ino)?, 0)?;
        Ok(Stat { ino, ..stat })
    }

    /// Target of a shown symlink.
    pub(super) fn readlink_shown(&self, ino: Ino) -> Result<Vec<u8>> {
        match self.shown(ino)? {
            Shown::Version(word, thing) => {
                let target = self.variants.version(word, thing)?.target;
                Ok(target.ok_or(TreeError::Invalid)?)
            }
            Shown::Drift(_) | Shown::Conflicts(_) => Err(TreeError::Invalid.into()),
        }
    }

    /// Extended attributes of a shown node.
    pub(super) fn xattrs_shown(&self, ino: Ino) -> Result<Xattrs> {
        match self.shown(ino)? {
            Shown::Version(word, thing) => Ok(self.variants.version(word, thing)?.xattrs),
            Shown::Drift(_) | Shown::Conflicts(_) => Ok(Xattrs::new()),
        }
    }

    /// Lists a shown directory as it is now. The listing holds still until somebody begins to list the directory again.
    pub(super) fn begin_listing_shown(&self, ino: Ino) -> Result<Arc<Listing>> {
        let listing = Arc::new(self.list_shown(ino)?);
        let mut listed = lock(&self.listed);
        if listed.len() >= LISTED {
            listed.clear();
        }
        listed.insert(ino, Arc::clone(&listing));
        Ok(listing)
    }

    /// The listing of a shown directory that somebody began.
    pub(super) fn listing_shown(&self, ino: Ino) -> Result<Arc<Listing>> {
        let known = lock(&self.listed).get(&ino).map(Arc::clone);
        known.map_or_else(|| self.begin_listing_shown(ino), Ok)
    }

    fn list_shown(&self, ino: Ino) -> Result<Listing> {
        let names = match self.shown(ino)? {
            Shown::Drift(dir) => self.names_of_drift(dir),
            Shown::Conflicts(_) => return Err(TreeError::NotDir.into()),
            Shown::Version(word, thing) => {
                let listed = self.variants.list(word, thing)?.into_iter();
                listed
                    .map(|(name, thing, _)| (name, Shown::Version(word, thing)))
                    .collect()
            }
        };
        let mut items: Listing = Vec::with_capacity(names.len());
        for (name, shown) in names {
            // One that vanished meanwhile is left out.
            if let Ok(stat) = self.stat_shown(shown, 0) {
                let cookie = items.len() as u64 + 3;
                let item = DirItem {
                    name: Some(name),
                    stat,
                    cookie,
                };
                items.push((item, shown));
            }
        }
        Ok(items)
    }

    fn names_of_drift(&self, dir: Ino) -> Vec<(Name, Shown)> {
        let words = Word::ALL.map(Word::text).into_iter();
        let all = words.chain([variants::CONFLICTS]);
        let names = all.filter_map(|text| Name::try_from(text).ok());
        names
            .filter_map(|name| {
                let shown = self.beneath(Shown::Drift(dir), &name).ok()?;
                Some((name, shown))
            })
            .collect()
    }

    /// As [`Overlay::readdir`], from a listing.
    pub(super) fn readdir_shown(
        &self,
        (dir, listing): (Ino, &Listing),
        after: u64,
        remember: bool,
        take: &mut dyn FnMut(&DirItem) -> bool,
    ) -> Result<()> {
        let stat = self.getattr_shown(dir)?;
        for cookie in [1, 2] {
            let dot = DirItem {
                name: None,
                stat,
                cookie,
            };
            if after < cookie && !take(&dot) {
                return Ok(());
            }
        }
        for (item, shown) in listing.iter().filter(|(item, _)| item.cookie > after) {
            let mut item = item.clone();
            if remember {
                item.stat.ino = self.views.number(shown, 1);
            }
            if !take(&item) {
                if remember {
                    self.views.forget(item.stat.ino, 1);
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// Opens a shown file for reading.
    pub(super) fn open_shown(&self, call: &Call, ino: Ino) -> Result<Opened> {
        let body = match self.shown(ino)? {
            Shown::Drift(_) => return Err(TreeError::IsDir.into()),
            Shown::Conflicts(dir) => Body::Text(self.variants.conflicts_text(dir)?),
            Shown::Version(word, thing) => {
                let version = self.variants.version(word, thing)?;
                match self.variants.open(&version)? {
                    Some(file) => Body::Stored(file),
                    None => return Err(self.version_away(call, ino, thing, &version)),
                }
            }
        };
        Ok(Opened {
            handle: self.open.add(ino, body),
            keep_cache: false,
            passthrough: false,
            quiet: true,
        })
    }

    /// The answer when the bytes of a version are not here: those of a clean live file can be fetched with it.
    fn version_away(&self, call: &Call, ino: Ino, thing: Thing, version: &Version) -> OverlayError {
        if version.bytes != Where::NotHere {
            return TreeError::Invalid.into();
        }
        if let Some(live) = self.live_without_bytes(thing) {
            return self.missing(call, TreeError::NoBytes(live));
        }
        self.whys.put(ino, NOT_KEPT.into());
        OverlayError::BytesAway {
            ino,
            nonblock: call.nonblock,
        }
    }

    /// The clean live file without bytes that a thing stands for.
    fn live_without_bytes(&self, thing: Thing) -> Option<Ino> {
        let live = match thing {
            Thing::Node(ino) => ino,
            Thing::Base(bid) => {
                let nodes = self.tree.meta().read(|rows| rows.nodes_of(bid));
                nodes.ok()?.into_iter().next()?
            }
            Thing::Term(..) => return None,
        };
        let node = self.tree.stat(live).ok()?.node;
        (node.bytes == Bytes::Absent && node.dirty.is_clean()).then_some(live)
    }
}
