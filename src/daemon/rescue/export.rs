//! `driftfs export`: every version that is not on the server, copied out of a state directory.
//!
//! ```text
//! OUT/changed/PATH             what the live tree has, where it differs from what the server was last given
//! OUT/conflicts/N/WORD/PATH    the other versions of a conflict (server, base, merged)
//! OUT/under-way/N/ID           bytes of changes that were being carried out
//! OUT/MANIFEST.json            all of it, with removals and attributes that have no bytes
//! ```

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::copies::Copies;
use super::{RescueError, Result, Still, io};
use crate::control::JsonPath;
use crate::meta::{Conflict, MetaError, Node, Rows};
use crate::model::{Attrs, Bytes, Dirty, Kind, ObjectId, RelPath};
use crate::objects::Objects;
use crate::variants::{Term, Terms};

/// One version that was copied, or a change that has no bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rescued {
    /// Where it belongs, beneath the root of the share.
    #[serde(flatten)]
    pub path: JsonPath,
    /// What it is: `changed`, `removed`, `server`, `base`, `merged`, `under-way`.
    pub what: &'static str,
    /// Kind of the object.
    pub kind: &'static str,
    /// What differs from the server: `bytes`, `attributes`, `xattrs`, `names`, `entries`, `new`.
    pub differs: Vec<&'static str>,
    /// Mode, owner and group, where known.
    pub owner: Option<(u32, u32, u32)>,
    /// The copy, beneath OUT; none for what has no bytes.
    pub file: Option<JsonPath>,
    /// Why there is no copy although there should be one.
    pub failed: Option<String>,
}

/// What an export brought out. Also the content of `MANIFEST.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Everything that is not on the server.
    pub versions: Vec<Rescued>,
    /// Copies made.
    pub copied: usize,
    /// Versions that could not be copied.
    pub failed: usize,
}

impl Exported {
    /// True when every version was copied.
    pub fn is_complete(&self) -> bool {
        self.failed == 0
    }

    fn add(&mut self, version: Rescued) {
        self.copied += usize::from(version.file.is_some());
        self.failed += usize::from(version.failed.is_some());
        self.versions.push(version);
    }
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for version in &self.versions {
            if let Some(why) = &version.failed {
                writeln!(
                    f,
                    "not copied: {} ({}): {why}",
                    version.path.path, version.what
                )?;
            }
        }
        let removed = self
            .versions
            .iter()
            .filter(|version| version.what == "removed")
            .count();
        writeln!(
            f,
            "{} versions copied, {} failed, {removed} removals noted; MANIFEST.json lists them",
            self.copied, self.failed
        )
    }
}

/// Copies everything that is not on the server to `out`, which must not exist or be empty. Changes nothing in the state
/// directory. (`all_dirty` is the only choice so far; it is named so that the command says what it does.)
pub fn export(dir: &Path, out: &Path, _all_dirty: bool) -> Result<Exported> {
    let still = Still::open(dir)?;
    let copies = Copies::open(out).map_err(io(format!("making {}", out.display())))?;
    let copies = copies.ok_or_else(|| RescueError::NotEmpty(out.to_owned()))?;
    let mut work = Work {
        objects: &still.objects,
        copies,
        done: Exported::default(),
    };
    still.meta.read(|rows| {
        work.changes(rows)?;
        work.removals(rows)?;
        for conflict in rows.conflicts()? {
            work.conflict(&conflict);
        }
        work.under_way(rows)
    })?;
    let manifest = serde_json::to_vec_pretty(&work.done).unwrap_or_default();
    let written = work.copies.text(Path::new("MANIFEST.json"), &manifest);
    written
        .and_then(|()| work.copies.sync())
        .map_err(io("writing MANIFEST.json"))?;
    Ok(work.done)
}

struct Work<'a> {
    objects: &'a Objects,
    copies: Copies,
    done: Exported,
}

impl Work<'_> {
    /// Every node that differs from base, or may: a live file with another stat than its row counts as written.
    fn changes(&mut self, rows: &Rows<'_>) -> std::result::Result<(), MetaError> {
        for node in rows.all_nodes()? {
            if node.nlink == 0 || !self.may_differ(&node) {
                continue;
            }
            let path = rows.path(node.ino)?;
            // Not reachable from the root: the database is damaged, the bytes are not.
            let place = match &path {
                Some(path) if path.is_root() => "changed".into(),
                Some(path) => Path::new("changed").join(path.os()),
                None => PathBuf::from(format!("changed/lost/{}", node.ino)),
            };
            self.change(&node, path.unwrap_or_default(), &place);
        }
        Ok(())
    }

    fn may_differ(&self, node: &Node) -> bool {
        let file = node.attrs.kind == Kind::File && node.bytes == Bytes::Here;
        let written = || match self.objects.live_stat(node.ino) {
            Ok(Some((stat, _))) => node.live_stat != Some(stat),
            // Said when it is copied.
            _ => true,
        };
        node.bid.is_none() || !node.dirty.is_clean() || (file && written())
    }

    fn change(&mut self, node: &Node, path: RelPath, place: &Path) {
        let mut version = Rescued {
            path: JsonPath::of(&path),
            what: "changed",
            kind: node.attrs.kind.word(),
            differs: differs(node),
            owner: Some(owner(&node.attrs)),
            file: None,
            failed: None,
        };
        match node.attrs.kind {
            Kind::File if node.bytes == Bytes::Here => {
                let live = self.objects.open_live(node.ino, false);
                self.copy(&mut version, live, place, Some(&node.attrs));
            }
            Kind::Dir => self.note(&mut version, |copies| copies.dir(place)),
            Kind::Symlink => {
                let target = node.target.clone().unwrap_or_default();
                self.note(&mut version, |copies| copies.symlink(place, &target));
                if version.failed.is_none() {
                    version.file = Some(JsonPath::host(place));
                }
            }
            _ => {}
        }
        self.done.add(version);
    }

    /// What base has and the live tree has not.
    fn removals(&mut self, rows: &Rows<'_>) -> std::result::Result<(), MetaError> {
        for base in rows.all_bases()? {
            let mut living = false;
            for ino in rows.nodes_of(base.bid)? {
                living |= rows.node(ino)?.is_some_and(|node| node.nlink > 0);
            }
            let Some(path) = rows.base_path(base.bid)?.filter(|_| !living) else {
                continue;
            };
            self.done.add(Rescued {
                path: JsonPath::of(&path),
                what: "removed",
                kind: base.attrs.kind.word(),
                differs: Vec::new(),
                owner: Some(owner(&base.attrs)),
                file: None,
                failed: None,
            });
        }
        Ok(())
    }

    fn conflict(&mut self, conflict: &Conflict) {
        let top = Path::new("conflicts").join(conflict.id.to_string());
        let Ok(terms) = Terms::parse(&conflict.terms) else {
            // The bytes are named beside the terms.
            for id in &conflict.objects {
                self.object(
                    &conflict.path,
                    "under-way",
                    *id,
                    &top.join(id.to_string()),
                    None,
                );
            }
            return;
        };
        self.terms(&conflict.path, &terms, &top);
        if let Some(second) = &terms.other {
            self.terms(&conflict.path, &second.terms, &top.join("other"));
        }
    }

    fn terms(&mut self, path: &RelPath, terms: &Terms, top: &Path) {
        for (word, term) in [("server", &terms.server), ("base", &terms.base)] {
            if let Some(term) = term {
                self.term(path, word, term, top);
            }
        }
        if let Some(proposal) = terms.merged {
            let place = top.join("merged").join(path.os());
            self.object(path, "merged", proposal.object, &place, None);
        }
    }

    fn term(&mut self, path: &RelPath, word: &'static str, term: &Term, top: &Path) {
        let path = term.places.first().unwrap_or(path);
        if let Some(id) = term.object {
            let place = top.join(word).join(path.os());
            self.object(path, word, id, &place, Some(&term.attrs));
        }
    }

    /// Bytes that changes under way need. Most are older versions of what is in `changed`; none is left out.
    fn under_way(&mut self, rows: &Rows<'_>) -> Result<()> {
        for intent in rows.intents()? {
            for id in intent.objects {
                let place = Path::new("under-way")
                    .join(intent.id.to_string())
                    .join(id.to_string());
                self.object(&RelPath::root(), "under-way", id, &place, None);
            }
        }
        Ok(())
    }

    fn object(
        &mut self,
        path: &RelPath,
        what: &'static str,
        id: ObjectId,
        place: &Path,
        attrs: Option<&Attrs>,
    ) {
        let mut version = Rescued {
            path: JsonPath::of(path),
            what,
            kind: Kind::File.word(),
            differs: Vec::new(),
            owner: attrs.map(owner),
            file: None,
            failed: None,
        };
        self.copy(&mut version, self.objects.open_sealed(id), place, attrs);
        self.done.add(version);
    }

    fn copy(
        &self,
        version: &mut Rescued,
        from: std::io::Result<File>,
        place: &Path,
        attrs: Option<&Attrs>,
    ) {
        match from.and_then(|from| self.copies.file(place, &from, attrs)) {
            Ok(path) => version.file = Some(JsonPath::host(&path)),
            Err(error) => version.failed = Some(error.to_string()),
        }
    }

    fn note(&self, version: &mut Rescued, make: impl FnOnce(&Copies) -> std::io::Result<()>) {
        if let Err(error) = make(&self.copies) {
            version.failed = Some(error.to_string());
        }
    }
}

fn owner(attrs: &Attrs) -> (u32, u32, u32) {
    (attrs.mode, attrs.uid, attrs.gid)
}

fn differs(node: &Node) -> Vec<&'static str> {
    let flags = [
        (Dirty::BYTES, "bytes"),
        (Dirty::ATTRS, "attributes"),
        (Dirty::XATTRS, "xattrs"),
        (Dirty::NAMES, "names"),
        (Dirty::ENTRIES, "entries"),
    ];
    let set = flags.into_iter().filter(|(flag, _)| node.dirty.has(*flag));
    let mut words: Vec<_> = set.map(|(_, word)| word).collect();
    if node.bid.is_none() {
        words.push("new");
    }
    words
}
