//! The new bytes of a clean file that the server changed in place while its old ones are here.
//!
//! The old version, attributes and bytes, is shown until the new one is complete, and then replaced in one step: a
//! program never sees a new size over old bytes, and a link lost midway costs nothing.

use super::absorb;
use super::bytes::{local, read};
use super::{FetchError, Inner, Stale};
use crate::lower::Fetched;
use crate::meta::{BaseNode, MetaError, Sealed};
use crate::model::{Bid, Hash, Ino, IntentId, Name, ObjectId, RelPath, Stamp};
use crate::objects::Draft;
use crate::tree::{Tree, TreeError};

/// Kind of the intent that keeps the new bytes from being swept before they are in place.
const INTENT: &str = "fetch";

/// One file to be pulled.
#[derive(Clone, Debug)]
pub(super) struct Pull {
    pub(super) ino: Ino,
    /// The directory of base and the name, for asking a sync.
    pub(super) place: (Bid, Name),
    pub(super) path: RelPath,
    /// Base as it was when the change was seen; if it moved since, somebody else took the change.
    pub(super) base: BaseNode,
    /// What the server has.
    pub(super) seen: Stamp,
}

/// Brings it. A writer in the way leaves it to a sync.
pub(super) fn run(inner: &Inner, pull: &Pull) -> Result<(), FetchError> {
    match try_run(inner, pull) {
        Err(FetchError::Tree(TreeError::Busy)) => {
            inner
                .asked
                .differs(pull.place.0, &pull.place.1, Some(pull.seen));
            Ok(())
        }
        Ok(()) => {
            inner.stale.push(vec![Stale::Node(pull.ino)]);
            Ok(())
        }
        other => other,
    }
}

fn try_run(inner: &Inner, pull: &Pull) -> Result<(), FetchError> {
    let (draft, fetched) = read(inner, &pull.path)?;
    let mask = inner.mask()?;
    if !pull.base.stamp.same_object(&fetched.seen.stamp, &mask) {
        // Another file has that name since the look: only a sync can tell what became of ours.
        return Err(TreeError::Busy.into());
    }
    let base = BaseNode {
        attrs: fetched.seen.attrs,
        xattrs: fetched.seen.xattrs.clone().or(pull.base.xattrs.clone()),
        stamp: fetched.seen.stamp,
        object: None,
        hash: Some(fetched.hash),
        ..pull.base.clone()
    };
    if inner.holds.held() {
        return Err(TreeError::Busy.into());
    }
    if pull.base.hash == Some(fetched.hash) {
        return attributes_only(inner, pull, base);
    }
    let (object, intent) = seal(inner, draft, &fetched)?;
    let replaced = put(inner, pull, &base, object, intent);
    if replaced.is_err() {
        inner
            .tree
            .commit(|txn| -> Result<(), MetaError> { txn.drop_intent(intent) })?;
    }
    replaced
}

/// The bytes are what we have: only attributes changed.
fn attributes_only(inner: &Inner, pull: &Pull, base: BaseNode) -> Result<(), FetchError> {
    inner.tree.commit(|txn| -> Result<(), FetchError> {
        let now = txn.base(base.bid)?;
        let node = txn.node(pull.ino)?;
        let (Some(now), Some(mut node)) = (now, node) else {
            return Err(TreeError::Busy.into());
        };
        if now.stamp != pull.base.stamp || !node.dirty.is_clean() {
            return Err(TreeError::Busy.into());
        }
        take(&mut node, &base);
        txn.put_base(&BaseNode {
            object: now.object,
            ..base.clone()
        })?;
        txn.put_node(&node)?;
        absorb::record(txn, pull.ino, pull.path.clone(), "attributes")?;
        Ok(())
    })
}

fn take(node: &mut crate::meta::Node, base: &BaseNode) {
    node.attrs = base.attrs;
    if let Some(xattrs) = &base.xattrs {
        node.xattrs = xattrs.clone();
    }
}

fn seal(
    inner: &Inner,
    draft: Draft,
    fetched: &Fetched,
) -> Result<(ObjectId, IntentId), FetchError> {
    seal_with_intent(&inner.tree, draft, fetched.seen.attrs.size, fetched.hash)
}

/// Makes a draft a sealed object that an intent keeps until its user names it.
fn seal_with_intent(
    tree: &Tree,
    draft: Draft,
    size: u64,
    hash: Hash,
) -> Result<(ObjectId, IntentId), FetchError> {
    // The number first, then the file, then the row: a file without a row is swept at the next start.
    let id = tree.commit(|txn| -> Result<ObjectId, MetaError> { txn.new_object() })?;
    local(tree.objects().seal(draft, id))?;
    let intent = tree.commit(|txn| -> Result<IntentId, MetaError> {
        txn.put_sealed(&Sealed {
            id,
            size,
            hash: Some(hash),
            durable: false,
        })?;
        txn.add_intent(INTENT, "{}", &[id])
    })?;
    Ok((id, intent))
}

fn put(
    inner: &Inner,
    pull: &Pull,
    base: &BaseNode,
    object: ObjectId,
    intent: IntentId,
) -> Result<(), FetchError> {
    let mut also = |txn: &crate::meta::WriteTxn<'_>, node: &mut crate::meta::Node| {
        let now = txn.base(base.bid).map_err(meta)?;
        let moved = now.is_none_or(|now| now.stamp != pull.base.stamp);
        if moved || node.bid != Some(base.bid) || inner.holds.held() {
            return Err(TreeError::Busy);
        }
        take(node, base);
        txn.put_base(base).map_err(meta)?;
        txn.drop_intent(intent).map_err(meta)?;
        absorb::record(txn, pull.ino, pull.path.clone(), "contents").map_err(meta)
    };
    Ok(inner
        .tree
        .replace_bytes(pull.ino, object, None, &mut also)?)
}

fn meta(error: MetaError) -> TreeError {
    match error {
        MetaError::Full => TreeError::NoSpace,
        other => TreeError::Meta(other),
    }
}

/// Forgets what a killed daemon was about to put in place: the server still has it.
pub(super) fn drop_left_over(tree: &Tree) {
    let dropped = tree.commit(|txn| -> Result<(), MetaError> {
        for intent in txn.intents()? {
            if intent.kind == INTENT {
                txn.drop_intent(intent.id)?;
            }
        }
        Ok(())
    });
    if let Err(error) = dropped {
        tracing::warn!("left-over fetches stay until the next start: {error}");
    }
}
