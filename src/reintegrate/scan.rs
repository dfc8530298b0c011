//! Looking: base, live and the server's side, joined by identity into a [`Universe`]. Changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use super::build::{Built, Joined};
use super::differing::differing;
use super::identify::Identity;
use super::sifting::{Sift, Sifted};
use super::takeover::{Heirs, heirs};
use super::tokens::{self, Comparer, Halt, Kept};
use super::touched::touched;
use super::trees::{BaseTree, LiveTree, ServerTree, Sid};
use super::universe::{Key, LeftOut, Object, Place, Server, Universe};
use super::walk::{Found, Walk};
use super::width::Width;
use crate::fetch::{Fetch, Hold, is_known};
use crate::lower::{Lower, LowerError};
use crate::meta::{Conflict, MetaError, Rows};
use crate::model::{Bid, Ino, Mask, ObjectId, RelPath};
use crate::tree::{Staying, Tree, TreeError};

/// How far a scan looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything that is listed here.
    Whole,
    /// Everything that is listed here, and what all three sides have alike is left out ([`Universe::left_out`]): the plan is
    /// that of [`Scope::Whole`], and what it costs in memory grows with what differs.
    Differing,
    /// Only the directories that changes made here touch: enough to push them. What is not at its place there stays
    /// unknown, since it may have been moved.
    Touched,
}

/// Why there is no scan.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The server does not answer.
    #[error(transparent)]
    Link(LowerError),
    /// The state directory failed.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl From<Halt> for ScanError {
    fn from(halt: Halt) -> ScanError {
        match halt {
            Halt::Link(error) => ScanError::Link(error),
            Halt::Tree(error) => ScanError::Tree(error),
        }
    }
}

/// What was seen.
pub struct Scan {
    /// The three trees side by side.
    pub universe: Universe,
    /// Server bytes that were read for comparing, sealed. They stay while this value lives.
    pub read: BTreeMap<Key, ObjectId>,
    /// Server objects whose numbers may be taken over for new nodes.
    pub numbered: BTreeSet<Key>,
    /// Objects whose stamp is not base's.
    pub moved: Vec<Key>,
    /// Keeps what was read from being swept.
    pub kept: Kept,
    /// Keeps refreshes from moving base.
    pub hold: Hold,
}

/// Whether a stored conflict is still the same one: neither side changed since. Told where the server has the object now.
pub type Standing<'a> = &'a dyn Fn(&Conflict, &Object, &[RelPath]) -> bool;

/// Looks at everything `scope` names. While the result lives, refreshes leave base alone. One scan at a time.
pub fn scan(
    tree: &Arc<Tree>,
    lower: &dyn Lower,
    fetch: &Fetch,
    mask: Mask,
    scope: Scope,
    standing: Standing<'_>,
) -> Result<Scan, ScanError> {
    let lanes = Width::default().lanes;
    scan_with(tree, lower, fetch, mask, scope, standing, lanes)
}

/// As [`scan`], asking the server for so many directories at once.
pub(super) fn scan_with(
    tree: &Arc<Tree>,
    lower: &dyn Lower,
    fetch: &Fetch,
    mask: Mask,
    scope: Scope,
    standing: Standing<'_>,
    lanes: usize,
) -> Result<Scan, ScanError> {
    tokens::drop_left_over(tree)?;
    let hold = fetch.hold();
    let (here, heirs, found) = match scope {
        Scope::Differing => match sifted(tree, lower, mask, lanes)? {
            Some(found) => found,
            None => walked(tree, lower, mask, Scope::Whole, lanes)?,
        },
        Scope::Whole | Scope::Touched => walked(tree, lower, mask, scope, lanes)?,
    };
    let joined = join(
        tree,
        &here,
        &found.server,
        (found.identity, heirs, found.both),
        mask,
    )?;
    let mut comparer = Comparer::new(tree, lower, mask);
    let built = joined.build(tree, &mut comparer, lanes)?;
    if built.wants_whole {
        fetch.want_sync();
    }
    let Built {
        universe,
        read,
        numbered,
        moved,
        ..
    } = built;
    Ok(Scan {
        universe: with_conflicts(tree, universe, standing)?,
        read,
        numbered,
        moved,
        kept: comparer.into_kept(),
        hold,
    })
}

/// The rows, and what of the server belongs to them.
type Looked = (Here, Heirs, Found);

/// Reads the rows, and lists what they name.
fn walked(
    tree: &Tree,
    lower: &dyn Lower,
    mask: Mask,
    scope: Scope,
    lanes: usize,
) -> Result<Looked, ScanError> {
    let here = read_here(tree, scope)?;
    let heirs = heirs(&here.base, &here.live);
    let walk = here.walk(&heirs, lower, mask, lanes);
    let found = match &here.dirs {
        None => walk.everything(),
        Some(dirs) => walk.these(dirs),
    };
    let found = found.map_err(ScanError::Link)?;
    Ok((here, heirs, found))
}

/// Lists everything and keeps what differs. `None`: base moved meanwhile.
fn sifted(
    tree: &Tree,
    lower: &dyn Lower,
    mask: Mask,
    lanes: usize,
) -> Result<Option<Looked>, ScanError> {
    let (disputed, linked) = tree
        .meta()
        .read(|rows| Ok::<_, MetaError>((disputed(rows)?, rows.linked_bases()?)))
        .map_err(tokens::rows)?;
    let sift = Sift {
        meta: tree.meta(),
        lower,
        mask,
        disputed: &disputed,
        linked: &linked,
        lanes,
        reading: Mutex::default(),
    };
    let sifted = sift.run()?;
    let mut more: &[Bid] = &[];
    loop {
        // Read after the listings, so that what is left out is surely clean: whatever a program changes from here on is met as
        // any change during a merge.
        let here = read_differing(tree, &sifted, more)?;
        let heirs = heirs(&here.base, &here.live);
        let mut walk = here.walk(&heirs, lower, mask, lanes);
        walk.closed = more.is_empty() && !sifted.closed.is_empty();
        let Some(server) = sifted.plant(&here.base, &mask) else {
            return Ok(None);
        };
        if let Some(found) = walk.rest(server).map_err(ScanError::Link)? {
            return Ok(Some((here, heirs, found)));
        }
        more = &sifted.closed;
    }
}

fn read_differing(tree: &Tree, sifted: &Sifted, more: &[Bid]) -> Result<Here, TreeError> {
    let read = tree.meta().read(|rows| {
        let disputed = disputed(rows)?;
        Ok::<_, MetaError>((disputed, differing(rows, sifted, more)?))
    });
    let (disputed, found) = read.map_err(tokens::rows)?;
    Ok(Here {
        staying: staying(tree, &found.live)?,
        base: found.base,
        live: found.live,
        left_out: found.left_out,
        dirs: None,
        disputed,
    })
}

fn disputed(rows: &Rows<'_>) -> Result<HashSet<Bid>, MetaError> {
    let conflicts = rows.conflicts()?.into_iter();
    Ok(conflicts.filter_map(|conflict| conflict.bid).collect())
}

/// What the database says, and which base directories to look at (`None`: all).
struct Here {
    base: BaseTree,
    live: LiveTree,
    left_out: LeftOut,
    dirs: Option<HashSet<Bid>>,
    disputed: HashSet<Bid>,
    staying: HashSet<Ino>,
}

impl Here {
    fn walk<'a>(
        &'a self,
        heirs: &'a Heirs,
        lower: &'a dyn Lower,
        mask: Mask,
        lanes: usize,
    ) -> Walk<'a> {
        Walk {
            lower,
            heirs,
            base: &self.base,
            live: &self.live,
            disputed: &self.disputed,
            mask,
            lanes,
            closed: false,
        }
    }
}

fn read_here(tree: &Tree, scope: Scope) -> Result<Here, TreeError> {
    let read = tree.meta().read(|rows| -> Result<Here, MetaError> {
        let disputed = disputed(rows)?;
        match scope {
            Scope::Whole | Scope::Differing => Ok(Here {
                base: BaseTree::all(rows)?,
                live: LiveTree::all(rows)?,
                left_out: LeftOut::default(),
                dirs: None,
                disputed,
                staying: HashSet::new(),
            }),
            Scope::Touched => {
                let touched = touched(rows, tree.rules())?;
                Ok(Here {
                    base: touched.base,
                    live: touched.live,
                    left_out: LeftOut::default(),
                    dirs: Some(touched.dirs),
                    disputed,
                    staying: HashSet::new(),
                })
            }
        }
    });
    let mut here = read.map_err(tokens::rows)?;
    here.staying = staying(tree, &here.live)?;
    Ok(here)
}

/// Live nodes a rule keeps on this host.
fn staying(tree: &Tree, live: &LiveTree) -> Result<HashSet<Ino>, TreeError> {
    if tree.rules().is_empty() {
        return Ok(HashSet::new());
    }
    let found = tree.meta().read(|rows| {
        let mut staying = Staying::new(tree.rules(), rows);
        let mut found = HashSet::new();
        for node in live.nodes.values().filter(|node| node.bid.is_none()) {
            if staying.has(node)? {
                found.insert(node.ino);
            }
        }
        Ok::<_, MetaError>(found)
    });
    found.map_err(tokens::rows)
}

fn join<'a>(
    tree: &Tree,
    here: &'a Here,
    server: &'a ServerTree,
    (identity, heirs, both): (Identity, Heirs, HashMap<Sid, Ino>),
    mask: Mask,
) -> Result<Joined<'a>, TreeError> {
    let whole = here.dirs.is_none();
    let strangers = if whole {
        HashSet::new()
    } else {
        let new = server.all().map(|(sid, _)| sid);
        let new = new.filter(|sid| !identity.base_of.contains_key(sid));
        strangers(tree, server, new, &mask)?
    };
    Ok(Joined {
        base: &here.base,
        live: &here.live,
        server,
        identity,
        heirs,
        both,
        strangers,
        whole,
        left_out: here.left_out,
        stable_numbers: mask.ino,
        staying: &here.staying,
        written: tree.written_now().into_iter().collect(),
    })
}

/// Objects that look new only because this scan did not look where base knows them.
fn strangers(
    tree: &Tree,
    server: &ServerTree,
    new: impl Iterator<Item = Sid>,
    mask: &Mask,
) -> Result<HashSet<Sid>, TreeError> {
    let found = tree.meta().read(|rows| -> Result<_, MetaError> {
        let mut found = HashSet::new();
        for sid in new {
            if let Some(seen) = server.stamp(sid)
                && is_known(rows, seen, mask)?.is_some()
            {
                found.insert(sid);
            }
        }
        Ok(found)
    });
    found.map_err(tokens::rows)
}

/// Marks the objects whose stored conflict still stands.
fn with_conflicts(
    tree: &Tree,
    mut universe: Universe,
    standing: Standing<'_>,
) -> Result<Universe, TreeError> {
    let conflicts = tree.meta().read(|rows| rows.conflicts());
    let conflicts = conflicts.map_err(tokens::rows)?;
    if conflicts.is_empty() {
        return Ok(universe);
    }
    let (mut of_node, mut of_base) = (HashMap::new(), HashMap::new());
    for (at, object) in universe.objects.iter().enumerate() {
        object.ino.map(|ino| of_node.insert(ino, at));
        object.bid.map(|bid| of_base.insert(bid, at));
    }
    for conflict in conflicts {
        let by_node = conflict.ino.and_then(|ino| of_node.get(&ino)).copied();
        let by_base = conflict.bid.and_then(|bid| of_base.get(&bid)).copied();
        // The first one met, as both may have parted.
        let of_it = by_node.into_iter().chain(by_base).min();
        let Some(at) = of_it else { continue };
        let object = &universe.objects[at];
        let paths = server_paths(&universe, object);
        if object.standing.is_none() && standing(&conflict, object, &paths) {
            universe.objects[at].standing = Some(conflict.id);
        }
    }
    Ok(universe)
}

/// Every path the server has an object under, in order.
fn server_paths(universe: &Universe, object: &Object) -> Vec<RelPath> {
    let Server::Present(version) = &object.server else {
        return Vec::new();
    };
    let places = version.places.iter();
    let mut paths: Vec<RelPath> = places
        .filter_map(|place| server_path(universe, place))
        .collect();
    paths.sort();
    paths
}

fn server_path(universe: &Universe, place: &Place) -> Option<RelPath> {
    let mut names = vec![place.name.clone()];
    let mut at = place.parent;
    while at != Key::ROOT {
        let Server::Present(version) = &universe.get(at).server else {
            return None;
        };
        let up = version.places.first()?;
        names.push(up.name.clone());
        at = up.parent;
        if names.len() > universe.objects.len() {
            return None;
        }
    }
    names.reverse();
    Some(RelPath::from_names(names))
}
