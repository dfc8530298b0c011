//! What of a transaction somebody who looked before it may see differently now.

use super::pending::Pending;
use super::row::looks_the_same;
use super::table::Table;
use crate::model::{Ino, Name};

/// What a transaction changed of what is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Nodes whose attributes are others.
    pub nodes: Vec<Ino>,
    /// Names that came, went, or lead elsewhere.
    pub names: Vec<(Ino, Name)>,
    /// So much that it was not noted: anything.
    pub everything: bool,
}

impl Changed {
    /// True when nothing that is shown was changed.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.nodes.is_empty() && self.names.is_empty()
    }
}

/// Compares a transaction with what was true before it. What is not in memory counts as changed.
pub(super) fn compare(table: &Table, pending: &Pending) -> Changed {
    let mut changed = Changed {
        everything: pending.lost,
        ..Changed::default()
    };
    for (ino, row) in &pending.nodes {
        let Some(row) = row else { continue };
        let same = table
            .node(*ino)
            .is_some_and(|old| looks_the_same(&old, row));
        if !same && !pending.born.contains(ino) {
            changed.nodes.push(Ino(*ino));
        }
    }
    for (parent, names) in &pending.entries {
        // Of a directory that is new or was not listed nobody was told that a name is not there.
        let listed = table.node(*parent).is_none_or(|dir| dir.listed.is_some());
        let looked_at = listed && !pending.born.contains(parent);
        for (name, entry) in names {
            let dir = table.dir(*parent);
            let old = dir.map(|dir| table.find(dir, Ino(*parent), name));
            let now = entry.as_ref().map(|entry| entry.ino);
            let same = match &old {
                Some(old) => old.as_ref().map(|old| old.ino) == now,
                None => false,
            };
            let appeared = matches!(old, None | Some(None)) && now.is_some();
            if !same && (looked_at || !appeared) {
                changed.names.push((Ino(*parent), name.clone()));
            }
        }
    }
    changed
}
