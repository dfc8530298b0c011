//! The rules a tree is under, and what they keep on this host: objects the server never had, all of whose names lie where
//! nothing is sent.
//!
//! What the server has too is shared like everything else, also beneath such a rule: its changes here may be somebody's
//! only copy, and a rule about new files says nothing about them.

use std::collections::HashMap;

use super::Tree;
use crate::meta::{MetaError, Node, Rows};
use crate::model::{Ino, RelPath};
use crate::rules::Rules;

impl Tree {
    /// The same tree under rules. Without this call there are none.
    #[must_use]
    pub fn ruled_by(mut self, rules: Rules) -> Tree {
        self.rules = rules;
        self
    }

    /// What a person wants treated otherwise.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }
}

/// Asks the rules about nodes; remembers where directories are.
pub struct Staying<'a, 'r> {
    rules: &'a Rules,
    rows: &'a Rows<'r>,
    dirs: HashMap<Ino, Option<RelPath>>,
}

impl<'a, 'r> Staying<'a, 'r> {
    /// Knows nothing yet.
    pub fn new(rules: &'a Rules, rows: &'a Rows<'r>) -> Staying<'a, 'r> {
        Staying {
            rules,
            rows,
            dirs: HashMap::new(),
        }
    }

    /// True when `node` never leaves this host.
    pub fn has(&mut self, node: &Node) -> Result<bool, MetaError> {
        if self.rules.is_empty() || node.bid.is_some() || node.ino == Ino::ROOT {
            return Ok(false);
        }
        let names = self.rows.names(node.ino)?;
        for (dir, name) in &names {
            let path = match self.dirs.get(dir) {
                Some(path) => path.clone(),
                None => {
                    let path = self.rows.path(*dir)?;
                    self.dirs.insert(*dir, path.clone());
                    path
                }
            };
            if !path.is_some_and(|path| self.rules.is_local(&path.join(name))) {
                return Ok(false);
            }
        }
        Ok(!names.is_empty())
    }
}
