//! Mode, owner, group or an extended attribute were changed differently. Only what really disagrees is touched: the
//! rest was merged one by one.

use std::collections::BTreeSet;

use super::{Case, Resolved, Take};
use crate::meta::{BaseNode, Node};
use crate::model::{Attrs, Dirty, Three, Xattrs};
use crate::reintegrate::trouble::Stop;
use crate::tree::TreeError;
use crate::variants::Term;

type Field = (fn(&Attrs) -> u32, fn(&mut Attrs, u32));

const FIELDS: [Field; 3] = [
    (|attrs| attrs.mode, |attrs, value| attrs.mode = value),
    (|attrs| attrs.uid, |attrs, value| attrs.uid = value),
    (|attrs| attrs.gid, |attrs, value| attrs.gid = value),
];

impl Case<'_> {
    pub(super) fn attribute(&self, take: Take) -> Result<Resolved, Stop> {
        let terms = (&self.terms.base, &self.terms.client, &self.terms.server);
        let (Some(base), Some(client), Some(server)) = terms else {
            return self.refuse("one side has nothing to compare", "client");
        };
        let side = match take {
            Take::Client => client,
            Take::Server => server,
            Take::Base => base,
            Take::Both | Take::Merged => {
                return self.refuse(
                    "it is about attributes, of which there is one set",
                    "client|server|base",
                );
            }
        };
        let ino = self.node()?;
        if take != Take::Client {
            self.snapshot()?;
        }
        let three = Three {
            base,
            client,
            server,
        };
        self.tree.commit(|txn| {
            let mut node = txn.node(ino)?.ok_or(TreeError::NotFound)?;
            if take != Take::Client {
                settle_node(&mut node, &three, side);
            }
            node.dirty = node.dirty.with(Dirty::ATTRS).with(Dirty::XATTRS);
            txn.put_node(&node)?;
            if let Some(bid) = self.bid
                && let Some(mut row) = txn.base(bid)?
            {
                settle_base(&mut row, &three);
                txn.put_base(&row)?;
            }
            self.close(txn, take).map_err(Stop::from)
        })?;
        let note = match take {
            Take::Server => "the server's attributes are here now",
            _ => "the attributes go to the server with the next sync",
        };
        Ok(self.done(take != Take::Server, note))
    }
}

/// The node gets what one side says of everything that disagrees.
fn settle_node(node: &mut Node, three: &Three<&Term>, side: &Term) {
    for (get, set) in FIELDS {
        if disagree(three, |term| get(&term.attrs)) {
            set(&mut node.attrs, get(&side.attrs));
        }
    }
    for name in disputed(three) {
        put(&mut node.xattrs, &name, value(side, &name));
    }
    node.attrs.ctime = crate::sys::now();
    node.rev += 1;
}

/// Base gets the server's values of everything that disagrees.
fn settle_base(row: &mut BaseNode, three: &Three<&Term>) {
    for (get, set) in FIELDS {
        if disagree(three, |term| get(&term.attrs)) {
            set(&mut row.attrs, get(&three.server.attrs));
        }
    }
    let mut xattrs = row.xattrs.take().unwrap_or_default();
    for name in disputed(three) {
        put(&mut xattrs, &name, value(three.server, &name));
    }
    row.xattrs = Some(xattrs);
}

fn disagree<T: PartialEq>(three: &Three<&Term>, of: impl Fn(&Term) -> T) -> bool {
    let values = Three {
        base: of(three.base),
        client: of(three.client),
        server: of(three.server),
    };
    values.trivial().is_none()
}

/// The extended attributes that disagree. A side whose attributes nobody asked for has none that do.
fn disputed(three: &Three<&Term>) -> BTreeSet<Vec<u8>> {
    if three.client.xattrs.is_none() || three.server.xattrs.is_none() {
        return BTreeSet::new();
    }
    let sides = [three.base, three.client, three.server];
    let names = sides
        .iter()
        .flat_map(|term| term.xattrs.iter().flat_map(|all| all.keys()));
    let disputed = names.filter(|name| disagree(three, |term| value(term, name)));
    disputed.cloned().collect()
}

fn value(term: &Term, name: &[u8]) -> Option<Vec<u8>> {
    term.xattrs.as_ref()?.get(name).cloned()
}

fn put(xattrs: &mut Xattrs, name: &[u8], value: Option<Vec<u8>>) {
    match value {
        Some(value) => xattrs.insert(name.to_vec(), value),
        None => xattrs.remove(name),
    };
}
