//! From numbers to paths and back, in the live and in the base tree.

use super::open::MetaError;
use super::rows::{Node, Rows};
use crate::model::{Bid, Ino, Name, RelPath};

type Result<T> = std::result::Result<T, MetaError>;

/// Deeper trees than this are damaged rows going in a circle (a path has at most 4096 bytes for the kernel, but a tree
/// may be deeper when walked step by step).
const DEEPEST: usize = 100_000;

/// Climbs from a number to the root by `up`; `None` when some step has no name.
fn climb(
    from: u64,
    root: u64,
    up: impl Fn(u64) -> Result<Option<(u64, Name)>>,
) -> Result<Option<RelPath>> {
    let (mut at, mut names) = (from, Vec::new());
    while at != root {
        match up(at)? {
            Some((parent, name)) if names.len() < DEEPEST => {
                names.push(name);
                at = parent;
            }
            _ => return Ok(None),
        }
    }
    names.reverse();
    Ok(Some(RelPath::from_names(names)))
}

impl Rows<'_> {
    /// A path of a node by its first names up to the root; `None` when it has none.
    pub fn path(&self, ino: Ino) -> Result<Option<RelPath>> {
        climb(ino.0, Ino::ROOT.0, |at| {
            let first = self.first_name(Ino(at))?;
            Ok(first.map(|(parent, name)| (parent.0, name)))
        })
    }

    /// The node a path leads to, following no links.
    pub fn resolve(&self, path: &RelPath) -> Result<Option<Node>> {
        let mut at = Ino::ROOT;
        for name in path.names() {
            match self.entry(at, name)? {
                Some(entry) => at = entry.ino,
                None => return Ok(None),
            }
        }
        self.node(at)
    }

    /// A path of a base object by its first names up to the root.
    pub fn base_path(&self, bid: Bid) -> Result<Option<RelPath>> {
        climb(bid.0, Bid::ROOT.0, |at| {
            let query =
                "SELECT parent, name FROM base_entry WHERE bid = ?1 ORDER BY parent, name LIMIT 1";
            self.one("base_entry", query, [at as i64], |c| {
                Ok((c.number(0)?, c.name(1)?))
            })
        })
    }

    /// The base object a path leads to.
    pub fn base_resolve(&self, path: &RelPath) -> Result<Option<Bid>> {
        let mut at = Bid::ROOT;
        for name in path.names() {
            match self.base_entry(at, name)? {
                Some(bid) => at = bid,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }
}
