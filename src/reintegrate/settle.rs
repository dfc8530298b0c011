//! Base moves and the node becomes clean, if nothing was written since the revision that was sent: one instant.

use super::run::Reintegrate;
use super::trouble::Stop;
use crate::meta::{Node, WriteTxn};
use crate::model::{Ino, Kind};
use crate::tree::TreeError;

/// The node being settled; `None` when it is gone by now.
pub type Settled<'a> = Option<&'a mut Node>;

/// What runs in the transaction: it gets the node (stored afterwards) and whether its bytes surely are still those of
/// the revision.
pub type Also<'a> = dyn FnMut(&WriteTxn<'_>, Settled<'_>, bool) -> Result<(), Stop> + 'a;

impl Reintegrate {
    /// One transaction during which no write reaches the node.
    pub(super) fn settle(
        &self,
        ino: Option<Ino>,
        rev: u64,
        also: &mut Also<'_>,
    ) -> Result<(), Stop> {
        let kind = match ino.map(|ino| self.tree.stat(ino)) {
            None | Some(Err(TreeError::NotFound)) => None,
            Some(seen) => Some(seen?.node.attrs.kind),
        };
        self.point("settle");
        match (ino, kind) {
            (Some(ino), Some(Kind::File)) => self
                .tree
                .commit_with_bytes(ino, rev, |txn, same| settled(txn, ino, also, |_| same)),
            (Some(ino), Some(_)) => self
                .tree
                .commit(|txn| settled(txn, ino, also, |node| node.rev == rev)),
            _ => self.tree.commit(|txn| also(txn, None, false)),
        }?;
        self.point("settle");
        Ok(())
    }
}

fn settled(
    txn: &WriteTxn<'_>,
    ino: Ino,
    also: &mut Also<'_>,
    unchanged: impl Fn(&Node) -> bool,
) -> Result<(), Stop> {
    let Some(mut node) = txn.node(ino)? else {
        return also(txn, None, false);
    };
    let same = unchanged(&node);
    also(txn, Some(&mut node), same)?;
    Ok(txn.put_node(&node)?)
}
