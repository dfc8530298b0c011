//! The universe out of three trees: one object per identity, one version per side.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::identify::Identity;
use super::takeover::Heirs;
use super::tokens::{Comparer, Halt, Sides, Tokens};
use super::trees::{BaseTree, Heard, LiveTree, ServerTree, Sid};
use super::universe::{Key, Object, Place, Server, Token, Universe, Version};
use crate::meta::{BaseNode, Node};
use crate::model::{Bid, Bytes, Dirty, Ino, Kind, Name, ObjectId, Xattrs};
use crate::tree::Tree;

/// The three trees with what is one in them.
pub(super) struct Joined<'a> {
    pub(super) base: &'a BaseTree,
    pub(super) live: &'a LiveTree,
    pub(super) server: &'a ServerTree,
    pub(super) identity: Identity,
    pub(super) heirs: Heirs,
    pub(super) both: HashMap<Sid, Ino>,
    /// Server objects that base knows at a place this scan did not look at.
    pub(super) strangers: HashSet<Sid>,
    /// True when the whole tree was looked at: what is nowhere is gone.
    pub(super) whole: bool,
    /// True when the lower's numbers stay.
    pub(super) stable_numbers: bool,
    /// Nodes with a writer.
    pub(super) written: HashSet<Ino>,
}

/// Who is what on each side.
#[derive(Clone, Copy, Default)]
struct Ids {
    bid: Option<Bid>,
    ino: Option<Ino>,
    sid: Option<Sid>,
}

/// The universe, and server bytes that were read for it.
pub(super) struct Built {
    pub(super) universe: Universe,
    pub(super) read: BTreeMap<Key, ObjectId>,
    /// Server objects whose numbers may be taken over for new nodes.
    pub(super) numbered: BTreeSet<Key>,
    /// True when something is not where it was and this scan did not look everywhere.
    pub(super) wants_whole: bool,
}

impl Joined<'_> {
    /// Builds it. Reads bytes only where stamps cannot tell.
    pub(super) fn build(self, tree: &Tree, comparer: &mut Comparer<'_>) -> Result<Built, Halt> {
        let keys = Keys::new(&self);
        let mut built = Built {
            universe: Universe {
                objects: Vec::with_capacity(keys.ids.len()),
                case_sensitive: true,
            },
            read: BTreeMap::new(),
            numbered: BTreeSet::new(),
            wants_whole: false,
        };
        let dirs = self.fates_of_dirs(&keys);
        for (index, ids) in keys.ids.iter().enumerate() {
            let fate = self.fate(ids, &dirs);
            built.wants_whole |= fate == Fate::Elsewhere;
            let (object, read) = self.object(ids, fate, &keys, tree, comparer)?;
            built.universe.objects.push(object);
            if ids.sid.is_some_and(|sid| self.numbered(sid)) {
                built.numbered.insert(Key(index));
            }
            built.read.extend(read.map(|id| (Key(index), id)));
        }
        Ok(built)
    }

    fn numbered(&self, sid: Sid) -> bool {
        let seen = self.server.get(sid).seen.as_ref();
        self.stable_numbers && seen.is_some_and(|seen| seen.same_device)
    }

    fn object(
        &self,
        ids: &Ids,
        fate: Fate,
        keys: &Keys,
        tree: &Tree,
        comparer: &mut Comparer<'_>,
    ) -> Result<(Object, Option<ObjectId>), Halt> {
        let base = ids.bid.and_then(|bid| self.base.nodes.get(&bid));
        let row = ids.ino.and_then(|ino| self.live.nodes.get(&ino));
        let client = row.map(|node| as_of_now(tree, node)).transpose()?;
        let tokens = self.tokens(ids, base, client.as_ref(), comparer)?;
        let server = self.server(ids, fate, base, keys, &tokens);
        let seen = ids.sid.and_then(|sid| self.server.stamp(sid));
        let stamp = seen.or(base.map(|base| &base.stamp).filter(|_| present(&server)));
        let hash = tokens.hash;
        let object = Object {
            bid: ids.bid,
            ino: ids.ino,
            base: base.map(|base| self.base_version(base, client.as_ref(), keys, tokens.base)),
            client: client
                .as_ref()
                .map(|node| self.client_version(node, base, keys, tokens.client)),
            stamp: stamp.map(|stamp| crate::model::Stamp {
                hash: hash.or(stamp.hash),
                ..*stamp
            }),
            server,
            busy: ids.ino.is_some_and(|ino| self.written.contains(&ino)),
            standing: None,
            rev: client.as_ref().map_or(0, |node| node.rev),
            listed: ids.sid.is_some_and(|sid| {
                matches!(self.server.heard.get(&sid), Some(Heard::Names(unknown)) if unknown.is_empty())
            }),
        };
        Ok((object, tokens.read))
    }

    fn tokens(
        &self,
        ids: &Ids,
        base: Option<&BaseNode>,
        client: Option<&Node>,
        comparer: &mut Comparer<'_>,
    ) -> Result<Tokens, Halt> {
        let met = ids.sid.map(|sid| self.server.get(sid));
        let server = met.and_then(|met| Some((met.seen.as_ref()?, &met.path)));
        let kinds = [
            base.map(|base| base.attrs.kind),
            client.map(|node| node.attrs.kind),
            server.map(|(seen, _)| seen.attrs.kind),
        ];
        if !kinds.contains(&Some(Kind::File)) {
            return Ok(Tokens {
                readable: true,
                ..Tokens::default()
            });
        }
        comparer.compare(&Sides {
            base,
            client,
            server,
        })
    }

    fn base_version(
        &self,
        base: &BaseNode,
        client: Option<&Node>,
        keys: &Keys,
        bytes: Option<Token>,
    ) -> Version {
        let names = self.base.places_of(base.bid);
        let live_has_it =
            client.is_some_and(|node| node.bytes == Bytes::Here && !node.dirty.has(Dirty::BYTES));
        Version {
            places: names
                .filter_map(|(dir, name)| keys.at_base(*dir, name))
                .collect(),
            attrs: base.attrs,
            target: base.target.clone(),
            xattrs: base.xattrs.clone(),
            bytes,
            readable: base.attrs.kind != Kind::File || base.object.is_some() || live_has_it,
        }
    }

    fn client_version(
        &self,
        node: &Node,
        base: Option<&BaseNode>,
        keys: &Keys,
        bytes: Option<Token>,
    ) -> Version {
        let names = self.live.places_of(node.ino);
        Version {
            places: names
                .filter_map(|(dir, name)| keys.at_live(*dir, name))
                .collect(),
            attrs: node.attrs,
            target: node.target.clone(),
            xattrs: client_xattrs(node, base),
            bytes,
            readable: node.attrs.kind != Kind::File || node.bytes == Bytes::Here,
        }
    }

    fn server(
        &self,
        ids: &Ids,
        fate: Fate,
        base: Option<&BaseNode>,
        keys: &Keys,
        tokens: &Tokens,
    ) -> Server {
        match (fate, ids.sid, base) {
            (Fate::Met, Some(sid), _) => self.met(ids, sid, base, keys, tokens),
            (Fate::Met | Fate::NotLooked, _, Some(base)) => {
                Server::Present(self.base_version(base, None, keys, tokens.base))
            }
            (Fate::Absent, ..) | (Fate::Met | Fate::NotLooked, ..) => Server::Absent,
            (Fate::Unknown(why), ..) => Server::Unknown(why),
            (Fate::Elsewhere, ..) => Server::Unknown(ELSEWHERE.into()),
        }
    }

    fn met(
        &self,
        ids: &Ids,
        sid: Sid,
        base: Option<&BaseNode>,
        keys: &Keys,
        tokens: &Tokens,
    ) -> Server {
        let met = self.server.get(sid);
        let Some(seen) = &met.seen else {
            let supposed = base.map(|base| self.base_version(base, None, keys, tokens.base));
            return supposed.map_or(Server::Absent, Server::Present);
        };
        let bytes = match &tokens.server {
            Some(Err(why)) => return Server::Unknown(why.clone()),
            Some(Ok(token)) => Some(*token),
            None => None,
        };
        let places = met.places.iter();
        let mut places: BTreeSet<Place> = places
            .filter_map(|(dir, name)| keys.at_server(*dir, name))
            .collect();
        if let Some(bid) = ids
            .bid
            .filter(|_| seen.nlink > 1 && seen.attrs.kind != Kind::Dir)
        {
            places.extend(self.unseen_places(bid, keys));
        }
        Server::Present(Version {
            places,
            attrs: seen.attrs,
            target: seen.target.clone(),
            xattrs: seen.xattrs.clone(),
            bytes,
            readable: tokens.readable,
        })
    }

    /// Names of a hard-linked object in directories this scan has not listed: taken to be still there.
    fn unseen_places(&self, bid: Bid, keys: &Keys) -> Vec<Place> {
        let names = self.base.places_of(bid);
        names
            .filter(|(dir, name)| {
                let heard = self.identity.server_of.get(dir);
                match heard.map(|sid| self.server.heard.get(sid)) {
                    Some(Some(Heard::Names(unknown))) => unknown.contains_key(name),
                    Some(Some(Heard::Nothing(_)) | None) => true,
                    None => false,
                }
            })
            .filter_map(|(dir, name)| keys.at_base(*dir, name))
            .collect()
    }

    /// What is known of every base directory. A directory has one place and comes after the one it lies in; a
    /// hard-linked file may come before some of its directories, so files are looked at when all of these are known.
    fn fates_of_dirs(&self, keys: &Keys) -> HashMap<Bid, Fate> {
        let mut fates = HashMap::new();
        for ids in &keys.ids {
            let Some(bid) = ids.bid else { continue };
            let node = self.base.nodes.get(&bid);
            if node.is_some_and(|node| node.attrs.kind == Kind::Dir) {
                let fate = self.fate(ids, &fates);
                fates.insert(bid, fate);
            }
        }
        fates
    }

    /// What is known of an object's presence on the server; `fates` of the directories it lies in.
    fn fate(&self, ids: &Ids, fates: &HashMap<Bid, Fate>) -> Fate {
        if let Some(sid) = ids.sid {
            return if self.strangers.contains(&sid) {
                Fate::Elsewhere
            } else {
                Fate::Met
            };
        }
        let Some(bid) = ids.bid else {
            return Fate::Absent;
        };
        let places = self.base.places_of(bid);
        let worst = places.map(|(dir, name)| self.fate_at(*dir, name, fates));
        match worst.max() {
            Some(Fate::Absent) if !self.whole => Fate::Elsewhere,
            Some(fate) => fate,
            None => Fate::Absent,
        }
    }

    fn fate_at(&self, dir: Bid, name: &Name, fates: &HashMap<Bid, Fate>) -> Fate {
        let Some(sid) = self.identity.server_of.get(&dir) else {
            return match fates.get(&dir) {
                Some(Fate::Met) | None => Fate::NotLooked,
                Some(fate) => fate.clone(),
            };
        };
        match self.server.heard.get(sid) {
            Some(Heard::Names(unknown)) => match unknown.get(name) {
                Some(why) => Fate::Unknown(format!("the server does not show what it is: {why}")),
                None => Fate::Absent,
            },
            Some(Heard::Nothing(why)) => Fate::Unknown(why.clone()),
            None => Fate::NotLooked,
        }
    }
}

/// Why an object that is not at its place is left alone by a scan that did not look everywhere.
const ELSEWHERE: &str =
    "it is not where it was on the server; a sync of everything finds out: driftfs sync";

/// What is known of an object's presence on the server; of several places the last of these counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It was met.
    Met,
    /// Its place was looked at, and it is not there.
    Absent,
    /// Its place was not looked at: as base says.
    NotLooked,
    /// It may be at a place this scan did not look at.
    Elsewhere,
    /// Nobody could tell.
    Unknown(String),
}

fn present(server: &Server) -> bool {
    matches!(server, Server::Present(_))
}

/// The node with the attributes its live file gives it. Only written files can differ from their row.
fn as_of_now(tree: &Tree, node: &Node) -> Result<Node, Halt> {
    if node.attrs.kind != Kind::File || node.bytes == Bytes::Absent {
        return Ok(node.clone());
    }
    // The revision stays the row's: a write since then makes whoever relies on it look again.
    let attrs = tree.stat(node.ino)?.node.attrs;
    Ok(Node {
        attrs,
        ..node.clone()
    })
}

/// Extended attributes nobody asked the lower for are the same on both sides until a program sets one.
fn client_xattrs(node: &Node, base: Option<&BaseNode>) -> Option<Xattrs> {
    let unasked = base.is_some_and(|base| base.xattrs.is_none());
    if unasked && !node.dirty.has(Dirty::XATTRS) {
        None
    } else {
        Some(node.xattrs.clone())
    }
}

/// Keys by what each side calls an object.
struct Keys {
    ids: Vec<Ids>,
    of_base: HashMap<Bid, Key>,
    of_live: HashMap<Ino, Key>,
    of_server: HashMap<Sid, Key>,
}

impl Keys {
    /// Base objects first (the root is the first of them), then what is new here, then what is new on the server.
    fn new(joined: &Joined<'_>) -> Keys {
        let mut keys = Keys {
            ids: Vec::new(),
            of_base: HashMap::new(),
            of_live: HashMap::new(),
            of_server: HashMap::new(),
        };
        let made_here: HashMap<Ino, Sid> =
            joined.both.iter().map(|(sid, ino)| (*ino, *sid)).collect();
        for bid in joined.base.in_order() {
            keys.add(Ids {
                bid: Some(bid),
                ino: joined.heirs.heir_of.get(&bid).copied(),
                sid: joined.identity.server_of.get(&bid).copied(),
            });
        }
        for ino in joined.live.in_order() {
            if !keys.of_live.contains_key(&ino) {
                keys.add(Ids {
                    bid: None,
                    ino: Some(ino),
                    sid: made_here.get(&ino).copied(),
                });
            }
        }
        for (sid, _) in joined.server.all() {
            if !keys.of_server.contains_key(&sid) && !joined.strangers.contains(&sid) {
                keys.add(Ids {
                    sid: Some(sid),
                    ..Ids::default()
                });
            }
        }
        keys
    }

    fn add(&mut self, ids: Ids) {
        let key = Key(self.ids.len());
        if let Some(bid) = ids.bid {
            self.of_base.insert(bid, key);
        }
        if let Some(ino) = ids.ino {
            self.of_live.insert(ino, key);
        }
        if let Some(sid) = ids.sid {
            self.of_server.insert(sid, key);
        }
        self.ids.push(ids);
    }

    fn at_base(&self, dir: Bid, name: &Name) -> Option<Place> {
        let parent = *self.of_base.get(&dir)?;
        let name = name.clone();
        Some(Place { parent, name })
    }

    fn at_live(&self, dir: Ino, name: &Name) -> Option<Place> {
        let parent = *self.of_live.get(&dir)?;
        let name = name.clone();
        Some(Place { parent, name })
    }

    fn at_server(&self, dir: Sid, name: &Name) -> Option<Place> {
        let parent = *self.of_server.get(&dir)?;
        let name = name.clone();
        Some(Place { parent, name })
    }
}
