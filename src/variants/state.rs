//! One word for how a node stands, and which versions there are.

use super::standing::Standing;
use super::{Variants, Word};
use crate::meta::{Conflict, Node};
use crate::model::{Bytes, Ino, Kind};
use crate::tree::{Result, Staying};

impl Variants {
    /// The value of `user.drift.state`: `conflict`, `new` (not on the server yet), `dirty` (changed here), `absent`
    /// (contents not here), `local-only` (a rule keeps it on this host), `cached` (contents here), or `clean` (what has no contents).
    pub fn state(&self, ino: Ino) -> Result<&'static str> {
        let node = self.tree.stat(ino)?.node;
        self.read(|rows, standing| {
            // What both created has no base object to be known by: an editor's save leaves only the path.
            let created = |c: &&Conflict| c.bid.is_none() && node.bid.is_none();
            for conflict in standing.conflicts.iter().filter(created) {
                if rows.node_in_conflict(conflict)? == Some(ino) {
                    return Ok("conflict");
                }
            }
            if node.bid.is_none() && Staying::new(self.tree.rules(), rows).has(&node)? {
                return Ok("local-only");
            }
            Ok(word(&node, standing))
        })
    }

    /// The value of `user.drift.variants`: the versions there are of a node, as words separated by spaces.
    pub fn known(&self, ino: Ino) -> Result<String> {
        let mut words = Vec::new();
        for word in [Word::Server, Word::Client, Word::Base] {
            if self.of_node(word, ino)?.is_some() {
                words.push(word.text());
            }
        }
        let proposed = self.read(|_, standing| {
            let one = standing.of_ino(ino);
            Ok(one.is_some_and(|one| one.terms.merged.is_some()))
        })?;
        if proposed {
            words.push(Word::Merged.text());
        }
        Ok(words.join(" "))
    }

    /// A sentence about the conflict of a node with the next command to type; `None` without one.
    pub fn conflict_sentence(&self, ino: Ino) -> Result<Option<String>> {
        self.read(|rows, standing| {
            let Some(conflict) = standing.conflicts.iter().find(|c| c.ino == Some(ino)) else {
                return Ok(None);
            };
            let path = rows.path(ino)?.unwrap_or_else(|| conflict.path.clone());
            Ok(Some(format!(
                "{path}: a conflict ({}) waits for a decision; both versions are kept. Look: driftfs conflicts; \
                 decide: driftfs resolve --take client|server {path}",
                conflict.kind.word()
            )))
        })
    }
}

fn word(node: &Node, standing: &Standing) -> &'static str {
    let in_conflict = standing.of_ino(node.ino).is_some()
        || standing
            .conflicts
            .iter()
            .any(|c| c.bid.is_some() && c.bid == node.bid);
    match (node.attrs.kind, node.bytes) {
        _ if in_conflict => "conflict",
        _ if node.bid.is_none() => "new",
        _ if !node.dirty.is_clean() => "dirty",
        (Kind::File, Bytes::Absent) => "absent",
        (Kind::File, Bytes::Here) => "cached",
        _ => "clean",
    }
}
