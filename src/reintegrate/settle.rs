//! Base moves and nodes become clean, if nothing was written since the revisions that were sent: one instant.

use super::run::Reintegrate;
use super::trouble::Stop;
use crate::meta::{Node, WriteTxn};
use crate::model::{Ino, Kind};

/// The node being settled; `None` when it is gone by now.
pub type Settled<'a> = Option<&'a mut Node>;

/// What runs in the transaction: it gets the node (stored afterwards) and whether its bytes surely are still those of
/// the revision.
pub type Also<'a> = dyn FnMut(&WriteTxn<'_>, Settled<'_>, bool) -> Result<(), Stop> + 'a;

/// As [`Also`], for each of several changes by its position.
pub type AlsoAll<'a> = dyn FnMut(&WriteTxn<'_>, usize, Settled<'_>, bool) -> Result<(), Stop> + 'a;

impl Reintegrate {
    /// One transaction during which no write reaches the node.
    pub(super) fn settle(
        &self,
        ino: Option<Ino>,
        rev: u64,
        also: &mut Also<'_>,
    ) -> Result<(), Stop> {
        self.settle_all(&[Some((ino, rev))], &mut |txn, _, node, same| {
            also(txn, node, same)
        })
    }

    /// One transaction during which no write reaches any of the nodes. `None`: a change that sends nothing of a node.
    pub(super) fn settle_all(
        &self,
        nodes: &[Option<(Option<Ino>, u64)>],
        also: &mut AlsoAll<'_>,
    ) -> Result<(), Stop> {
        let sent = nodes.iter().flatten();
        let known: Vec<(Ino, u64)> = sent
            .filter_map(|(ino, rev)| Some(((*ino)?, *rev)))
            .collect();
        self.point("settle");
        self.tree.commit_with_all(&known, |txn, same| {
            let mut same = same.iter();
            for (at, sent) in nodes.iter().enumerate() {
                match sent {
                    Some((Some(ino), rev)) => {
                        let same = same.next().is_some_and(|same| *same);
                        settled(txn, *ino, *rev, same, &mut |txn, node, same| {
                            also(txn, at, node, same)
                        })?;
                    }
                    _ => also(txn, at, None, false)?,
                }
            }
            Ok::<_, Stop>(())
        })?;
        self.point("settle");
        Ok(())
    }
}

fn settled(
    txn: &WriteTxn<'_>,
    ino: Ino,
    rev: u64,
    same: bool,
    also: &mut Also<'_>,
) -> Result<(), Stop> {
    let Some(mut node) = txn.node(ino)? else {
        return also(txn, None, false);
    };
    // Only bytes are kept still by the lock of the node.
    let same = same && (node.attrs.kind == Kind::File || node.rev == rev);
    also(txn, Some(&mut node), same)?;
    Ok(txn.put_node(&node)?)
}
