//! The part of the three trees that a comparison of everything needs once the server was sifted: what differs on any side,
//! with all it hangs on. Everything else is equal on all three sides, and stays so whatever is done about the rest.
//!
//! An object that is left out has a live node without a mark, is in no conflict, and is at its place on the server as base says. Its
//! directory is then on all three sides too, so nothing can be decided that takes it away, and the name is held on
//! every side, so nothing else can come to it.

use std::collections::{HashMap, HashSet};

use super::reading::Reading;
use super::sifting::Sifted;
use super::trees::{BaseTree, Heard, LiveTree, ServerTree, Sid};
use super::universe::LeftOut;
use crate::meta::{BaseNode, Conflict, MetaError, Rows};
use crate::model::{Bid, Kind, Listed, Mask, Name, Observed};
use crate::variants::Terms;

/// Where more differs than this, and it is a good part of the tree, all rows are read in one go: that is quicker.
const MANY: usize = 10_000;

/// Names that steps give for a moment; see `sequence`.
const ASIDE: &[u8] = b".driftfs-aside-";

/// What differs, of base and live.
pub(super) struct Differing {
    pub(super) base: BaseTree,
    pub(super) live: LiveTree,
    pub(super) left_out: LeftOut,
}

/// Reads it. `more` are base objects that are wanted besides.
pub(super) fn differing(
    rows: &Rows<'_>,
    sifted: &Sifted,
    more: &[Bid],
) -> Result<Differing, MetaError> {
    let known = rows.count_bases()? as usize;
    let marked = rows.marked()?;
    // What was removed here has no mark itself.
    let gone = rows.bases_without_node()?;
    let many = marked.len() + gone.len() + sifted.missing.len() + more.len();
    if many > MANY && many > known / 4 {
        return Ok(Differing {
            base: BaseTree::all(rows)?,
            live: LiveTree::all(rows)?,
            left_out: LeftOut::default(),
        });
    }
    let mut picking = Picking {
        read: Reading::new(rows)?,
        sifted,
    };
    for ino in marked {
        picking.read.live_object(ino)?;
    }
    for bid in gone {
        picking.read.base_object(bid)?;
    }
    for (dir, _) in &sifted.differing {
        picking.read.base_object(*dir)?;
    }
    for bid in sifted.missing.iter().chain(more) {
        picking.with_all_beneath(*bid)?;
    }
    for conflict in rows.conflicts()? {
        picking.disputed(&conflict)?;
    }
    for ino in rows.beyond_base()? {
        picking.read.live_object(ino)?;
    }
    picking.finish(known)
}

struct Picking<'a, 'r> {
    read: Reading<'a, 'r>,
    sifted: &'a Sifted,
}

impl Picking<'_, '_> {
    /// A base object, and all in it where its listing was not compared.
    fn with_all_beneath(&mut self, bid: Bid) -> Result<(), MetaError> {
        let mut seen = HashSet::from([bid]);
        let mut left = vec![bid];
        while let Some(bid) = left.pop() {
            self.read.base_object(bid)?;
            let node = self.read.base.nodes.get(&bid);
            let is_dir = node.is_some_and(|node| node.attrs.kind == Kind::Dir);
            if !is_dir || self.sifted.was_entered(bid) {
                continue;
            }
            let entries = self.read.rows.base_entries(bid)?;
            left.extend(
                entries
                    .into_iter()
                    .map(|(_, child)| child)
                    .filter(|child| seen.insert(*child)),
            );
        }
        Ok(())
    }

    /// Everything a conflict is about.
    fn disputed(&mut self, conflict: &Conflict) -> Result<(), MetaError> {
        let terms = Terms::parse(&conflict.terms).ok();
        let second = terms.and_then(|terms| terms.other);
        let second = second.map(|second| (second.bid, second.ino));
        let both = [Some((conflict.bid, conflict.ino)), second];
        for (bid, ino) in both.into_iter().flatten() {
            bid.map_or(Ok(()), |bid| self.read.base_object(bid))?;
            ino.map_or(Ok(()), |ino| self.read.live_object(ino))?;
        }
        Ok(())
    }

    fn finish(mut self, known: usize) -> Result<Differing, MetaError> {
        let in_root = self.read.rows.base_entries(Bid::ROOT)?;
        for (name, bid) in &in_root {
            if name.bytes().starts_with(ASIDE) {
                self.read.base_object(*bid)?;
            }
        }
        let Reading { base, live, .. } = self.read;
        let kept = base.children.get(&Bid::ROOT).map_or(0, |names| names.len());
        Ok(Differing {
            left_out: LeftOut {
                known: known.saturating_sub(base.nodes.len()),
                in_root: in_root.len().saturating_sub(kept),
            },
            base,
            live,
        })
    }
}

impl Sifted {
    /// True when a directory was listed, or was to be.
    fn was_entered(&self, bid: Bid) -> bool {
        self.heard.has(bid) || self.silent.contains_key(&bid)
    }

    /// The server's side of what differs, as far as it is known by now. `None`: base is not what the listings were compared
    /// with any more, so that something that was seen would count as gone.
    pub(super) fn plant(&self, base: &BaseTree, mask: &Mask) -> Option<ServerTree> {
        let mut planting = Planting {
            sifted: self,
            base,
            mask,
            server: ServerTree::new(),
            of: HashMap::from([(Bid::ROOT, Sid::ROOT)]),
        };
        if let Some(root) = self.own.get(&Bid::ROOT) {
            planting.server.objects[0].seen = Some(root.clone());
        }
        for (dir, entries) in &self.differing {
            let at = planting.seat(*dir)?;
            for differing in entries {
                let sid = planting.server.meet(at, &differing.entry, mask);
                if let Some(bid) = differing.dir {
                    planting.of.insert(bid, sid);
                    if let Some(own) = self.own.get(&bid) {
                        planting.server.objects[sid.0].seen = Some(own.clone());
                    }
                }
            }
        }
        for bid in base.in_order() {
            if self.quiet.has(bid) {
                planting.seat(bid)?;
            }
        }
        planting.hear();
        Some(planting.server)
    }
}

struct Planting<'a> {
    sifted: &'a Sifted,
    base: &'a BaseTree,
    mask: &'a Mask,
    server: ServerTree,
    of: HashMap<Bid, Sid>,
}

impl Planting<'_> {
    /// The server's object of a base object that is quiet, or a directory that was met; with the way to it.
    fn seat(&mut self, bid: Bid) -> Option<Sid> {
        let mut way: Vec<(Bid, &Name, Observed)> = Vec::new();
        let mut at = bid;
        while !self.of.contains_key(&at) {
            let seen = self.as_seen(at)?;
            let (dir, name) = self.base.places_of(at).next()?;
            way.push((at, name, seen));
            at = *dir;
        }
        let mut sid = *self.of.get(&at)?;
        while let Some((bid, name, seen)) = way.pop() {
            let entry = Listed {
                name: name.clone(),
                seen,
            };
            sid = self.server.meet(sid, &entry, self.mask);
            self.of.insert(bid, sid);
        }
        Some(sid)
    }

    /// What the server showed of a quiet object: what base has of it. A directory may have changed between the listing above
    /// it and its own.
    fn as_seen(&self, bid: Bid) -> Option<Observed> {
        if !self.sifted.quiet.has(bid) {
            return None;
        }
        let own = self.sifted.own.get(&bid).cloned();
        own.or_else(|| self.base.nodes.get(&bid).map(as_base))
    }

    /// What the listings of directories told of names that are not there.
    fn hear(&mut self) {
        for (bid, sid) in &self.of {
            if let Some(why) = self.sifted.silent.get(bid) {
                self.server.heard.insert(*sid, Heard::Nothing(why.clone()));
            } else if self.sifted.heard.has(*bid) {
                let unknown = self.sifted.unknown.get(bid).cloned().unwrap_or_default();
                self.server.heard.insert(*sid, Heard::Names(unknown));
            }
        }
    }
}

/// A base object as the server shows it while nothing differs.
fn as_base(base: &BaseNode) -> Observed {
    Observed {
        stamp: base.stamp,
        attrs: base.attrs,
        nlink: 1,
        same_device: false,
        target: base.target.clone(),
        xattrs: None,
    }
}
