//! Bytes by equality, reading as little as possible: a stamp that did not move is equal bytes, a size that differs is
//! different bytes, and only what is left is hashed, ours first, the server's last.

use std::collections::HashMap;
use std::sync::Arc;

use super::universe::Token;
use crate::lower::{Fetched, Lower, LowerError};
use crate::meta::{BaseNode, MetaError, Node, Sealed};
use crate::model::{Bytes, Dirty, Hash, IntentId, Mask, ObjectId, Observed, RelPath, Sameness};
use crate::tree::{Tree, TreeError};

/// Kind of the intent that keeps what a scan read from being swept until the run is over.
const INTENT: &str = "scan";

/// The tokens of one regular file.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens {
    pub(super) base: Option<Token>,
    pub(super) client: Option<Token>,
    /// `Err`: nobody can tell, for this reason.
    pub(super) server: Option<Result<Token, String>>,
    /// Hash of the server's bytes, if they were read.
    pub(super) hash: Option<Hash>,
    /// The server's bytes, sealed, if they were read and are not base's.
    pub(super) read: Option<ObjectId>,
    /// False when the server would not let them be read.
    pub(super) readable: bool,
}

/// One regular file on the three sides.
pub(super) struct Sides<'a> {
    pub(super) base: Option<&'a BaseNode>,
    /// With the attributes its live file gives it now.
    pub(super) client: Option<&'a Node>,
    pub(super) server: Option<(&'a Observed, &'a RelPath)>,
}

/// Why comparing had to stop.
pub(super) enum Halt {
    /// The server does not answer.
    Link(LowerError),
    /// The local side failed.
    Tree(TreeError),
}

impl From<TreeError> for Halt {
    fn from(error: TreeError) -> Halt {
        Halt::Tree(error)
    }
}

/// Whether one side's bytes differ from base.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    No,
    /// Only a comparison of hashes can tell.
    Perhaps,
    Yes,
}

/// Compares.
pub(super) struct Comparer<'a> {
    tree: &'a Arc<Tree>,
    lower: &'a dyn Lower,
    mask: Mask,
    known: HashMap<Hash, Token>,
    next: u64,
    kept: Kept,
}

impl<'a> Comparer<'a> {
    pub(super) fn new(tree: &'a Arc<Tree>, lower: &'a dyn Lower, mask: Mask) -> Comparer<'a> {
        Comparer {
            tree,
            lower,
            mask,
            known: HashMap::new(),
            next: 0,
            kept: Kept {
                tree: tree.clone(),
                intent: None,
                objects: Vec::new(),
            },
        }
    }

    /// What keeps the bytes read; to be dropped when nobody needs them any more.
    pub(super) fn into_kept(self) -> Kept {
        self.kept
    }

    fn fresh(&mut self) -> Token {
        self.next += 1;
        Token(self.next)
    }

    fn token(&mut self, hash: Option<Hash>) -> Token {
        let Some(hash) = hash else {
            return self.fresh();
        };
        if let Some(token) = self.known.get(&hash) {
            return *token;
        }
        let token = self.fresh();
        self.known.insert(hash, token);
        token
    }

    /// The tokens of one file.
    pub(super) fn compare(&mut self, sides: &Sides<'_>) -> Result<Tokens, Halt> {
        let mut tokens = Tokens {
            readable: true,
            ..Tokens::default()
        };
        match sides.base {
            Some(base) => self.with_base(base, sides, &mut tokens)?,
            None => self.without_base(sides, &mut tokens)?,
        }
        Ok(tokens)
    }

    fn with_base(
        &mut self,
        base: &BaseNode,
        sides: &Sides<'_>,
        tokens: &mut Tokens,
    ) -> Result<(), Halt> {
        let mut client = Self::client_change(base, sides.client);
        let mut server = self.server_change(base, sides, client);
        let mut base_hash = base.hash;
        let mut ours = None;
        let both = client != Change::No && server != Change::No;
        if base_hash.is_none() && (client == Change::Perhaps || server == Change::Perhaps || both) {
            base_hash = self.hash_of_base(base, sides.client)?;
        }
        if let Some(node) = sides.client.filter(|_| client == Change::Perhaps || both) {
            ours = Some(self.hash_of_live(node)?);
            client = changed(ours == base_hash);
        }
        if server == Change::Perhaps && base_hash.is_none() {
            // There are no bytes anywhere that a change could be told from: size and mtime must do.
            server = changed(sides.server.is_none_or(|(seen, _)| calm(base, seen)));
        }
        let must_read =
            server == Change::Perhaps || (client == Change::Yes && server == Change::Yes);
        tokens.base = Some(self.token(base_hash));
        tokens.client = sides.client.map(|_| match client {
            Change::No => tokens.base.unwrap_or(Token(0)),
            _ => self.token(ours),
        });
        let Some((seen, path)) = sides.server else {
            return Ok(());
        };
        tokens.server = match server {
            Change::No => tokens.base.map(Ok),
            _ if must_read => Some(self.read(seen, path, &[base_hash, ours], tokens)?),
            _ => Some(Ok(self.fresh())),
        };
        Ok(())
    }

    /// Made on one side, or on both: equal sizes may be equal bytes.
    fn without_base(&mut self, sides: &Sides<'_>, tokens: &mut Tokens) -> Result<(), Halt> {
        let (Some(node), Some((seen, path))) = (sides.client, sides.server) else {
            tokens.client = sides.client.map(|_| self.fresh());
            tokens.server = sides.server.map(|_| Ok(self.fresh()));
            return Ok(());
        };
        if node.attrs.size != seen.stamp.size || node.bytes == Bytes::Absent {
            tokens.client = Some(self.fresh());
            tokens.server = Some(Ok(self.fresh()));
            return Ok(());
        }
        let ours = self.hash_of_live(node)?;
        tokens.client = Some(self.token(Some(ours)));
        tokens.server = Some(self.read(seen, path, &[Some(ours)], tokens)?);
        Ok(())
    }

    fn client_change(base: &BaseNode, client: Option<&Node>) -> Change {
        let Some(node) = client.filter(|node| node.dirty.has(Dirty::BYTES)) else {
            return Change::No;
        };
        let same_size = node.attrs.size == base.attrs.size;
        if same_size {
            Change::Perhaps
        } else {
            Change::Yes
        }
    }

    fn server_change(&self, base: &BaseNode, sides: &Sides<'_>, client: Change) -> Change {
        let Some((seen, _)) = sides.server else {
            return Change::No;
        };
        let stamp = &seen.stamp;
        match base.stamp.compare(stamp, &self.mask) {
            Sameness::Same | Sameness::Attributes => Change::No,
            Sameness::Unverified if base.stamp.racy || client != Change::No => Change::Perhaps,
            // A lower without ctime never says more; hashing the whole share at every scan would not be better.
            Sameness::Unverified => Change::No,
            Sameness::Different if base.stamp.size != stamp.size => Change::Yes,
            // Touched, given other rights, or written with the same bytes: worth a read where it can be told, since
            // what was not edited may go with a removal here and leaves a live file alone.
            Sameness::Different => match sides.client {
                Some(node) if node.bytes == Bytes::Absent && !calm(base, seen) => Change::Yes,
                _ => Change::Perhaps,
            },
        }
    }

    fn hash_of_live(&self, node: &Node) -> Result<Hash, Halt> {
        let objects = self.tree.objects();
        let hash = objects
            .open_live(node.ino, false)
            .and_then(|file| objects.hash(&file));
        Ok(hash.map_err(local)?)
    }

    /// Hash of the agreed bytes, where they are here: sealed, or in the live file of a clean node.
    fn hash_of_base(&self, base: &BaseNode, client: Option<&Node>) -> Result<Option<Hash>, Halt> {
        if let Some(id) = base.object {
            let objects = self.tree.objects();
            let hash = objects.open_sealed(id).and_then(|file| objects.hash(&file));
            return Ok(Some(hash.map_err(local)?));
        }
        let clean =
            client.filter(|node| node.bytes == Bytes::Here && !node.dirty.has(Dirty::BYTES));
        clean.map(|node| self.hash_of_live(node)).transpose()
    }

    /// Reads the server's bytes; they are kept unless they are here already (`known`).
    fn read(
        &mut self,
        seen: &Observed,
        path: &RelPath,
        known: &[Option<Hash>],
        tokens: &mut Tokens,
    ) -> Result<Result<Token, String>, Halt> {
        let draft = self.tree.objects().draft().map_err(local)?;
        let fetched = match self.lower.read(path, draft.file()) {
            Ok(fetched) => fetched,
            Err(error @ LowerError::Link { .. }) => return Err(Halt::Link(error)),
            Err(LowerError::Refused { .. } | LowerError::Outside(_)) => {
                tokens.readable = false;
                return Ok(Ok(self.fresh()));
            }
            Err(error) => return Ok(Err(format!("its contents could not be compared: {error}"))),
        };
        if !still(seen, &fetched, &self.mask) {
            return Ok(Err("it is being written on the server".into()));
        }
        tokens.hash = Some(fetched.hash);
        if !known.contains(&Some(fetched.hash)) {
            let size = fetched.seen.stamp.size;
            tokens.read = Some(self.kept.keep(draft, size, fetched.hash)?);
        }
        Ok(Ok(self.token(Some(fetched.hash))))
    }
}

/// True when size and mtime of the very object are what they were.
fn calm(base: &BaseNode, seen: &Observed) -> bool {
    let (before, now) = (&base.stamp, &seen.stamp);
    before.ino == now.ino && before.size == now.size && before.mtime == now.mtime
}

fn changed(equal: bool) -> Change {
    if equal { Change::No } else { Change::Yes }
}

/// True when what was read is what was listed.
fn still(seen: &Observed, fetched: &Fetched, mask: &Mask) -> bool {
    let (before, after) = (&seen.stamp, &fetched.seen.stamp);
    before.same_object(after, mask) && before.size == after.size && before.mtime == after.mtime
}

fn local(source: std::io::Error) -> TreeError {
    if source.kind() == std::io::ErrorKind::StorageFull {
        return TreeError::NoSpace;
    }
    TreeError::Io {
        what: "comparing contents",
        source,
    }
}

/// Keeps what a scan read; dropped, it may be swept.
pub struct Kept {
    tree: Arc<Tree>,
    intent: Option<IntentId>,
    objects: Vec<ObjectId>,
}

impl Kept {
    fn keep(
        &mut self,
        draft: crate::objects::Draft,
        size: u64,
        hash: Hash,
    ) -> Result<ObjectId, TreeError> {
        let id = self.tree.commit(|txn| txn.new_object()).map_err(rows)?;
        self.tree.objects().seal(draft, id).map_err(local)?;
        self.objects.push(id);
        let sealed = Sealed {
            id,
            size,
            hash: Some(hash),
            durable: false,
        };
        let intent = self
            .tree
            .commit(|txn| -> Result<IntentId, MetaError> {
                txn.put_sealed(&sealed)?;
                match self.intent {
                    Some(intent) => txn.set_intent(intent, "{}", &self.objects).map(|()| intent),
                    None => txn.add_intent(INTENT, "{}", &self.objects),
                }
            })
            .map_err(rows)?;
        self.intent = Some(intent);
        Ok(id)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(intent) = self.intent {
            let dropped = self.tree.commit(|txn| txn.drop_intent(intent));
            if let Err(error) = dropped {
                tracing::warn!("what a scan read stays until the next one: {error}");
            }
        }
    }
}

/// Lets go of what a scan of a killed daemon read. One scan at a time, so none of these is in use.
pub(super) fn drop_left_over(tree: &Tree) -> Result<(), TreeError> {
    let intents = tree.meta().read(|rows| rows.intents()).map_err(rows)?;
    let left: Vec<IntentId> = intents
        .into_iter()
        .filter(|intent| intent.kind == INTENT)
        .map(|intent| intent.id)
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    tree.commit(|txn| -> Result<(), MetaError> {
        left.iter().try_for_each(|id| txn.drop_intent(*id))
    })
    .map_err(rows)
}

pub(super) fn rows(error: MetaError) -> TreeError {
    match error {
        MetaError::Full => TreeError::NoSpace,
        other => TreeError::Meta(other),
    }
}
