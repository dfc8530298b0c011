//! Is it there, and where? A total match over what the three trees have of an object.

use super::{Content, Fate, Fields, Verdict, Why, attributes, content, edited, fields, names};
use crate::model::{ConflictKind, Few, Kind};
use crate::reintegrate::universe::{Object, Place, Server, Version};

/// Decides about an object other than the root.
pub(super) fn decide(object: &Object) -> Verdict {
    if object.stays || local(object) {
        return Verdict::apart(Why::Local);
    }
    match (&object.base, &object.client, &object.server) {
        (_, _, Server::Unknown(reason)) => Verdict::apart(Why::Waits(format!(
            "the server could not be asked about it ({reason}); nothing is decided until it can: `driftfs sync`"
        ))),
        (None, None, Server::Absent) => Verdict::apart(Why::Local),
        (Some(_), None, Server::Absent) => Verdict::by("both-removed", Fate::Gone),
        (None, Some(version), Server::Absent) => made("created", version, UNREADABLE_HERE),
        (None, None, Server::Present(version)) => made("created", version, UNREADABLE_THERE),
        (None, Some(client), Server::Present(server)) => both_made(client, server),
        (Some(base), Some(client), Server::Present(server)) => {
            everywhere(object, base, client, server)
        }
        (Some(base), Some(client), Server::Absent) => {
            let verdict = removed(object, base, client);
            if object.busy && verdict.fate == Fate::Gone {
                return Verdict::apart(Why::Waits(
                    "removed on the server, and a program here has it open for writing: close it there, then `driftfs sync`"
                        .into(),
                ));
            }
            verdict
        }
        (Some(base), None, Server::Present(server)) => {
            let verdict = removed(object, base, server);
            let unseen = server.attrs.kind == Kind::Dir && !object.listed;
            if unseen && verdict.fate == Fate::Gone {
                return Verdict::apart(Why::Waits(
                    "removed here, but not all names in it are known on the server: `driftfs sync`"
                        .into(),
                ));
            }
            verdict
        }
    }
}

/// Sockets are an address on this host and mean nothing elsewhere.
fn local(object: &Object) -> bool {
    let versions = [
        object.base.as_ref(),
        object.client.as_ref(),
        object.server_version(),
    ];
    versions
        .into_iter()
        .flatten()
        .any(|version| version.attrs.kind == Kind::Socket)
}

/// Why contents of this host cannot go to the server: they never came here.
const UNREADABLE_HERE: &str =
    "its contents are neither here nor on the server: write them anew, or remove it here (rm)";

/// Why contents of the server cannot come.
const UNREADABLE_THERE: &str =
    "its contents on the server cannot be read: see its rights there, then `driftfs sync`";

/// One side has it, the other gets it, if it can be read.
fn made(rule: &'static str, version: &Version, unreadable: &str) -> Verdict {
    if version.attrs.kind == Kind::File && !version.readable {
        return Verdict::apart(Why::Waits(unreadable.into()));
    }
    Verdict::by(rule, Fate::Both(version.places.clone()))
}

/// Both made something at one name: directories become one, equal things are agreement, the rest is a conflict.
fn both_made(client: &Version, server: &Version) -> Verdict {
    let different =
        || Verdict::apart(Why::Clash).clashing(ConflictKind::Created, "both-created-different");
    if client.attrs.kind != server.attrs.kind || content::of(client) != content::of(server) {
        return different();
    }
    let empty = Few::new();
    let places = names::merge(&empty, &client.places, &server.places);
    let single = |places: &Few<Place>| client.attrs.kind != Kind::Dir || places.len() == 1;
    match (places.filter(single), attributes::adopt(client, server)) {
        (Some(places), Some(fields)) => Verdict {
            fields,
            ..Verdict::by("both-created-same", Fate::Both(places))
        },
        _ => different(),
    }
}

/// One side removed it, the other has `version`: edit beats delete.
fn removed(object: &Object, base: &Version, version: &Version) -> Verdict {
    if !edited(base, version) {
        return Verdict::by("removed", Fate::Gone);
    }
    let unreadable = match &object.client {
        Some(_) => UNREADABLE_HERE,
        None => UNREADABLE_THERE,
    };
    let verdict = made("edit-beats-delete", version, unreadable);
    if let (Fate::Apart(_), Some(_)) = (&verdict.fate, &object.client) {
        return Verdict::apart(Why::Waits(
            "removed on the server, changed here, and its contents are not here: remove it here too, or put the contents back on the server"
                .into(),
        ));
    }
    match verdict.fate {
        Fate::Both(_) => verdict.clashing(ConflictKind::Deleted, "edit-beats-delete"),
        Fate::Gone | Fate::Apart(_) => verdict,
    }
}

/// All three trees have it.
fn everywhere(object: &Object, base: &Version, client: &Version, server: &Version) -> Verdict {
    let kind = base.attrs.kind;
    if client.attrs.kind != kind || server.attrs.kind != kind {
        return Verdict::apart(Why::Clash).clashing(ConflictKind::Content, "both-edited");
    }
    let mut verdict = match names::merge(&base.places, &client.places, &server.places) {
        Some(places) => Verdict::by(name_rule(base, client, server), Fate::Both(places)),
        None => Verdict::apart(Why::Clash).clashing(ConflictKind::Name, "both-renamed"),
    };
    fields(object, base, client, server, &mut verdict);
    if object.standing.is_some() && settled(base, client, server, &verdict.fields) {
        // Given back to the side that removed it; the conflict stays so that the removal can still be chosen.
        verdict = verdict.clashing(ConflictKind::Deleted, "edit-beats-delete");
    }
    verdict
}

/// True when all three versions agree.
fn settled(base: &Version, client: &Version, server: &Version, fields: &Fields) -> bool {
    base.places == client.places
        && base.places == server.places
        && fields.content == Content::Same
        && *fields == Fields::none()
}

fn name_rule(base: &Version, client: &Version, server: &Version) -> &'static str {
    if client.places != base.places && client.places == server.places {
        "both-renamed-alike"
    } else if client
        .places
        .len()
        .max(server.places.len())
        .max(base.places.len())
        > 1
    {
        "links"
    } else {
        "renamed"
    }
}
