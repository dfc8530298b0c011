//! The universe out of three trees: one object per identity, one version per side.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::fates::{ELSEWHERE, Fate};
use super::identify::Identity;
use super::keys::{Ids, Keys};
use super::takeover::Heirs;
use super::tokens::{Comparer, Halt, Sides, Tokens};
use super::trees::{BaseTree, Heard, LiveTree, ServerTree, Sid};
use super::universe::{Key, LeftOut, Object, Place, Server, Token, Universe, Version};
use super::width::each;
use crate::meta::{BaseNode, Node};
use crate::model::{Bid, Bytes, Dirty, Few, Ino, Kind, ObjectId, Xattrs};
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
    /// What the trees leave out.
    pub(super) left_out: LeftOut,
    /// True when the lower's numbers stay.
    pub(super) stable_numbers: bool,
    /// Nodes a rule keeps on this host.
    pub(super) staying: &'a HashSet<Ino>,
    /// Nodes with a writer.
    pub(super) written: HashSet<Ino>,
}

/// The universe, and server bytes that were read for it.
pub(super) struct Built {
    pub(super) universe: Universe,
    pub(super) read: BTreeMap<Key, ObjectId>,
    /// Server objects whose numbers may be taken over for new nodes.
    pub(super) numbered: BTreeSet<Key>,
    /// Objects whose stamp is not base's.
    pub(super) moved: Vec<Key>,
    /// True when something is not where it was and this scan did not look everywhere.
    pub(super) wants_whole: bool,
}

impl Joined<'_> {
    /// Builds it. Reads bytes only where stamps cannot tell.
    pub(super) fn build(
        self,
        tree: &Tree,
        comparer: &mut Comparer<'_>,
        lanes: usize,
    ) -> Result<Built, Halt> {
        let keys = Keys::new(&self);
        let now = self.written_nodes(tree, lanes)?;
        let mut built = Built {
            universe: Universe {
                objects: Vec::with_capacity(keys.ids.len()),
                case_sensitive: true,
                left_out: self.left_out,
            },
            read: BTreeMap::new(),
            numbered: BTreeSet::new(),
            wants_whole: false,
            moved: Vec::new(),
        };
        let dirs = self.fates_of_dirs(&keys);
        for (index, ids) in keys.ids.iter().enumerate() {
            let fate = self.fate(ids, &dirs);
            built.wants_whole |= fate == Fate::Elsewhere;
            let (object, read) = self.object(ids, fate, &keys, &now, comparer)?;
            if self.moved(ids, &object) {
                built.moved.push(Key(index));
            }
            built.universe.objects.push(object);
            if ids.sid.is_some_and(|sid| self.numbered(sid)) {
                built.numbered.insert(Key(index));
            }
            built.read.extend(read.map(|id| (Key(index), id)));
        }
        Ok(built)
    }

    /// Written nodes with the attributes their live files give them; the row of any other node holds. The revision stays
    /// the row's: a write since then makes whoever relies on it look again.
    fn written_nodes(&self, tree: &Tree, lanes: usize) -> Result<HashMap<Ino, Node>, Halt> {
        let written = |node: &&Node| {
            let file = node.attrs.kind == Kind::File && node.bytes == Bytes::Here;
            file && node.dirty.has(Dirty::BYTES)
        };
        let nodes: Vec<&Node> = self.live.nodes.values().filter(written).collect();
        let seen = each(lanes, &nodes, |node| tree.as_of_now((*node).clone()));
        let mut now = HashMap::with_capacity(nodes.len());
        for seen in seen {
            let node = seen?.node;
            now.insert(node.ino, node);
        }
        Ok(now)
    }

    /// True when the server shows another stamp than base has.
    fn moved(&self, ids: &Ids, object: &Object) -> bool {
        let base = ids.bid.and_then(|bid| self.base.nodes.get(&bid));
        base.zip(object.stamp).is_some_and(|(base, mut stamp)| {
            stamp.hash = stamp.hash.or(base.hash);
            base.stamp != stamp
        })
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
        now: &HashMap<Ino, Node>,
        comparer: &mut Comparer<'_>,
    ) -> Result<(Object, Option<ObjectId>), Halt> {
        let base = ids.bid.and_then(|bid| self.base.nodes.get(&bid));
        let row = |ino| now.get(&ino).or_else(|| self.live.nodes.get(&ino));
        let client = ids.ino.and_then(row);
        let tokens = self.tokens(ids, base, client, comparer)?;
        let mut server = self.server(ids, fate, base, keys, &tokens);
        let further = self.set_further_apart(ids, keys, &mut server);
        let seen = ids.sid.and_then(|sid| self.server.stamp(sid));
        let stamp = seen.or(base.map(|base| &base.stamp).filter(|_| present(&server)));
        let hash = tokens.hash;
        let stays = ids.ino.is_some_and(|ino| self.staying.contains(&ino))
            && !client.is_some_and(|node| is_shared_dir(node, &server));
        let object = Object {
            stays,
            bid: ids.bid,
            ino: ids.ino,
            base: base.map(|base| self.base_version(base, client, keys, tokens.base)),
            client: client.map(|node| self.client_version(node, base, keys, tokens.client)),
            stamp: stamp.map(|stamp| crate::model::Stamp {
                hash: hash.or(stamp.hash),
                ..*stamp
            }),
            server,
            further,
            busy: ids.ino.is_some_and(|ino| self.written.contains(&ino)),
            standing: None,
            rev: client.map_or(0, |node| node.rev),
            listed: ids.sid.is_some_and(|sid| {
                let heard = self.server.heard.get(&sid);
                matches!(heard, Some(Heard::Names(unknown)) if unknown.is_empty())
                    && !self.server.searched.contains(&sid)
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
        let mut places: Few<Place> = places
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

    /// Takes the names in searched directories out of a version that has others.
    fn set_further_apart(&self, ids: &Ids, keys: &Keys, server: &mut Server) -> Few<Place> {
        let (Some(sid), Server::Present(version)) = (ids.sid, server) else {
            return Few::new();
        };
        let met = self.server.get(sid).places.iter();
        let searched = met.filter(|(dir, _)| self.server.searched.contains(dir));
        let further: Few<Place> = searched
            .filter_map(|(dir, name)| keys.at_server(*dir, name))
            .collect();
        if (&version.places - &further).is_empty() {
            return Few::new();
        }
        version.places = &version.places - &further;
        further
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
}

/// Directories of one name are one directory, whatever a rule says of what is in it.
fn is_shared_dir(node: &Node, server: &Server) -> bool {
    let is_dir = |version: &Version| version.attrs.kind == Kind::Dir;
    node.attrs.kind == Kind::Dir && matches!(server, Server::Present(version) if is_dir(version))
}

fn present(server: &Server) -> bool {
    matches!(server, Server::Present(_))
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
