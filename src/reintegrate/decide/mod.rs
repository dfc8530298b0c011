//! What is wanted of one object, looking at nothing but this object: existence, names, content, attributes.
//!
//! Whether two objects then get into each other's way is [`super::places`]'s question.

mod attributes;
mod content;
mod existence;
mod names;

use super::universe::{Key, Object, Place, Server, Universe, Version};
use crate::lower::SetAttrs;
use crate::model::{ConflictKind, Few};

pub(super) use attributes::stays_local;

/// Where an object shall be once the plan is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// On both sides, under these names.
    Both(Few<Place>),
    /// On neither side.
    Gone,
    /// Each side and base keep what they have of it.
    Apart(Why),
}

/// Why an object is left as each side has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// A conflict about its existence or its names.
    Clash,
    /// It never leaves this host (sockets).
    Local,
    /// Something has to happen first; the sentence goes to the pending list unless it is empty.
    Waits(String),
    /// The directory it lies in is not on the other side.
    Beneath(Key),
}

/// What becomes of the bytes (target, device number).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing to do.
    Same,
    /// The client's go to the server.
    Push,
    /// The server's go to the client.
    Pull,
    /// Both have the same new ones.
    Agreed,
    /// A driver decides.
    Merge,
    /// Nobody can decide.
    Clash,
    /// Later, for this reason.
    Waits(String),
}

/// What becomes of everything but names, for an object both sides have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    /// The bytes.
    pub content: Content,
    /// Attributes the client gets.
    pub client: SetAttrs,
    /// Attributes the server gets.
    pub server: SetAttrs,
    /// Attributes both have already.
    pub agreed: SetAttrs,
    /// True when the only change is the mtime, the later one taken.
    pub later: bool,
    /// True when both changed one attribute differently.
    pub clash: bool,
}

impl Fields {
    /// Nothing to do.
    pub fn none() -> Fields {
        let nothing = SetAttrs::default;
        Fields {
            content: Content::Same,
            client: nothing(),
            server: nothing(),
            agreed: nothing(),
            later: false,
            clash: false,
        }
    }
}

/// What is wanted of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Where.
    pub fate: Fate,
    /// The rule for its steps of existence and name.
    pub rule: &'static str,
    /// What else.
    pub fields: Fields,
    /// Conflicts: kind, second object, rule.
    pub clashes: Vec<(ConflictKind, Option<Key>, &'static str)>,
    /// True for a directory that comes back only because something lives in it.
    pub filled: bool,
}

impl Verdict {
    /// Left as it is, without a conflict.
    pub fn apart(why: Why) -> Verdict {
        Verdict {
            fate: Fate::Apart(why),
            rule: "",
            fields: Fields::none(),
            clashes: Vec::new(),
            filled: false,
        }
    }

    /// A fate by a rule.
    pub fn by(rule: &'static str, fate: Fate) -> Verdict {
        Verdict {
            fate,
            rule,
            ..Verdict::apart(Why::Local)
        }
    }

    /// The same with a conflict.
    pub fn clashing(mut self, kind: ConflictKind, rule: &'static str) -> Verdict {
        self.clashes.push((kind, None, rule));
        self
    }
}

/// Decides about every object by itself.
pub(super) fn decide(u: &Universe) -> Vec<Verdict> {
    let each = u.objects.iter().enumerate();
    each.map(|(index, object)| match Key(index) {
        Key::ROOT => root(object),
        _ => existence::decide(object),
    })
    .collect()
}

/// The root is everywhere and has no name; its attributes merge like any other's.
fn root(object: &Object) -> Verdict {
    let mut verdict = Verdict::by("", Fate::Both(Few::new()));
    if let (Some(base), Some(client), Some(server)) =
        (&object.base, &object.client, object.server_version())
    {
        fields(object, base, client, server, &mut verdict);
    }
    verdict
}

/// Merges content and attributes of an object all three trees have, into `verdict`.
fn fields(
    object: &Object,
    base: &Version,
    client: &Version,
    server: &Version,
    verdict: &mut Verdict,
) {
    verdict.fields.content = content::merge(object, base, client, server);
    if verdict.fields.content == Content::Clash {
        verdict
            .clashes
            .push((ConflictKind::Content, None, "both-edited"));
    }
    attributes::merge(base, client, server, &mut verdict.fields);
    if verdict.fields.clash {
        verdict
            .clashes
            .push((ConflictKind::Attribute, None, "attributes-both"));
    }
}

impl Object {
    /// The server's version, if it surely has one.
    pub fn server_version(&self) -> Option<&Version> {
        match &self.server {
            Server::Present(version) => Some(version),
            Server::Absent | Server::Unknown(_) => None,
        }
    }
}

/// True when `now` is an edit of `base` that a removal on the other side must not undo. An mtime alone is none.
fn edited(base: &Version, now: &Version) -> bool {
    base.places != now.places
        || content::of(base) != content::of(now)
        || attributes::differ(base, now)
}
