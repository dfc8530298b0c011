//! `driftfs check`: are rows and files of a state directory sound?

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::{Result, Still, io};
use crate::meta::{MetaError, Node, Rows, Sealed};
use crate::model::{Bytes, Dirty, Kind};
use crate::objects::Objects;
use crate::variants::Terms;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What is wrong, one sentence each. Empty: all is sound.
    pub problems: Vec<String>,
    /// What is waste and goes at the next mount.
    pub notes: Vec<String>,
    /// Nodes in the live tree.
    pub nodes: usize,
    /// Stored copies.
    pub sealed: usize,
    /// True when every stored byte was read.
    pub read_data: bool,
}

impl Checked {
    /// True when nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "wrong: {problem}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        let how = match self.read_data {
            true => "every stored byte was read",
            false => "names, sizes and times; --read-data reads every byte",
        };
        let (nodes, sealed) = (self.nodes, self.sealed);
        if self.is_sound() {
            return writeln!(
                f,
                "sound: {nodes} files and directories, {sealed} stored copies ({how})"
            );
        }
        let wrong = self.problems.len();
        writeln!(
            f,
            "{wrong} things are wrong in {nodes} files and directories, {sealed} stored copies ({how})"
        )?;
        writeln!(
            f,
            "  next: driftfs export --all-dirty --state DIR OUT saves what is not on the server"
        )
    }
}

/// Checks a state directory that nobody uses. Changes nothing in it.
pub fn check(dir: &Path, read_data: bool) -> Result<Checked> {
    let still = Still::open(dir)?;
    let mut found = Checked {
        read_data,
        ..Checked::default()
    };
    still.meta.read(|rows| {
        found.problems.extend(rows.doctor()?);
        found.problems.extend(unreadable_terms(rows)?);
        let nodes = rows.all_nodes()?;
        let sealed = rows.all_sealed()?;
        found.nodes = nodes.iter().filter(|node| node.nlink > 0).count();
        found.sealed = sealed.len();
        for one in &sealed {
            found
                .problems
                .extend(sealed_problem(&still.objects, one, read_data));
        }
        for node in nodes.iter().filter(|node| has_bytes(node)) {
            found
                .problems
                .extend(live_problem(rows, &still.objects, node, read_data)?);
        }
        found.notes = waste(&still.objects, &nodes, &sealed)?;
        Ok::<_, super::RescueError>(())
    })?;
    Ok(found)
}

fn unreadable_terms(rows: &Rows<'_>) -> std::result::Result<Vec<String>, MetaError> {
    let conflicts = rows.conflicts()?.into_iter();
    let broken = conflicts.filter_map(|conflict| {
        let why = Terms::parse(&conflict.terms).err()?;
        Some(format!(
            "the conflict about {} cannot be read: {why}",
            conflict.path
        ))
    });
    Ok(broken.collect())
}

/// Files with a name whose bytes must be here.
fn has_bytes(node: &Node) -> bool {
    node.attrs.kind == Kind::File && node.bytes == Bytes::Here && node.nlink > 0
}

fn sealed_problem(objects: &Objects, row: &Sealed, read_data: bool) -> Option<String> {
    let id = row.id;
    match objects.sealed_size(id) {
        Err(error) => return Some(format!("stored copy {id} cannot be looked at: {error}")),
        Ok(None) => return Some(format!("stored copy {id} has no file")),
        Ok(Some(size)) if size != row.size => {
            return Some(format!(
                "stored copy {id} has {size} bytes instead of {}",
                row.size
            ));
        }
        Ok(Some(_)) => {}
    }
    if !read_data {
        return None;
    }
    match objects.open_sealed(id).and_then(|file| objects.hash(&file)) {
        Err(error) => Some(format!("stored copy {id} cannot be read: {error}")),
        Ok(hash) if row.hash.is_some_and(|known| known != hash) => {
            Some(format!("stored copy {id} has other bytes than were stored"))
        }
        Ok(_) => None,
    }
}

fn live_problem(
    rows: &Rows<'_>,
    objects: &Objects,
    node: &Node,
    read_data: bool,
) -> std::result::Result<Option<String>, MetaError> {
    let name = || {
        Ok::<_, MetaError>(
            rows.path(node.ino)?
                .map_or(format!("node {}", node.ino), |path| path.to_string()),
        )
    };
    let stat = match objects.live_stat(node.ino) {
        Err(error) => {
            return Ok(Some(format!(
                "the contents of {} cannot be looked at: {error}",
                name()?
            )));
        }
        Ok(None) => return Ok(Some(format!("the contents of {} are missing", name()?))),
        Ok(Some((stat, _))) => stat,
    };
    if !read_data {
        return Ok(None);
    }
    let hash = match objects
        .open_live(node.ino, false)
        .and_then(|file| objects.hash(&file))
    {
        Err(error) => {
            return Ok(Some(format!(
                "the contents of {} cannot be read: {error}",
                name()?
            )));
        }
        Ok(hash) => hash,
    };
    // Only of a file that nothing wrote since its row was true do we know what it must hold.
    let untouched = node.live_stat == Some(stat) && !node.dirty.has(Dirty::BYTES);
    let base = match node.bid {
        Some(bid) if untouched => rows.base(bid)?,
        _ => None,
    };
    let known = base
        .filter(|base| base.object.is_none())
        .and_then(|base| base.hash);
    Ok(match known {
        Some(known) if known != hash => Some(format!(
            "the contents of {} have changed by themselves",
            name()?
        )),
        _ => None,
    })
}

/// Files that no row names: left by a crash between placing a file and its row, or between dropping a row and its file.
fn waste(objects: &Objects, nodes: &[Node], sealed: &[Sealed]) -> Result<Vec<String>> {
    let rows: HashSet<_> = sealed.iter().map(|row| row.id).collect();
    let inos: HashSet<_> = nodes.iter().map(|node| node.ino).collect();
    let on_disk = objects.all_sealed().map_err(io("listing stored copies"))?;
    let lost = on_disk.into_iter().filter(|id| !rows.contains(id));
    let mut notes: Vec<String> = lost
        .map(|id| format!("stored copy {id} has no row"))
        .collect();
    let live = objects.all_live().map_err(io("listing live files"))?;
    let nameless = live.into_iter().filter(|ino| !inos.contains(ino));
    notes.extend(nameless.map(|ino| format!("live file {ino} has no row")));
    Ok(notes)
}
