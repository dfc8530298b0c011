//! Mode, owner, group and every xattr merge one by one; the mtime never conflicts.

use super::{Content, Fields};
use crate::lower::SetAttrs;
use crate::model::{Kind, Three, Time, Xattrs};
use crate::reintegrate::universe::Version;

/// True for extended attributes that never leave this host.
pub(in crate::reintegrate) fn stays_local(name: &[u8]) -> bool {
    name.starts_with(b"security.")
}

/// True when anything but names, content and mtime differs.
pub(super) fn differ(base: &Version, now: &Version) -> bool {
    let a = (mode(base), base.attrs.uid, base.attrs.gid);
    let b = (mode(now), now.attrs.uid, now.attrs.gid);
    a != b || xattrs(base, base) != xattrs(now, base)
}

/// Merges the attributes of an object all three trees have. Expects `fields.content` to be decided.
pub(super) fn merge(base: &Version, client: &Version, server: &Version, fields: &mut Fields) {
    let three = Three {
        base,
        client,
        server,
    };
    one(fields, of(&three, mode), |set| &mut set.mode);
    one(fields, of(&three, |v| v.attrs.uid), |set| &mut set.uid);
    one(fields, of(&three, |v| v.attrs.gid), |set| &mut set.gid);
    each_xattr(&three, fields);
    if client.attrs.kind == Kind::File {
        time(&three, fields);
    }
}

/// A symlink has no mode of its own.
fn mode(version: &Version) -> u32 {
    match version.attrs.kind {
        Kind::Symlink => 0o777,
        _ => version.attrs.mode,
    }
}

fn of<T>(three: &Three<&Version>, field: impl Fn(&Version) -> T) -> Three<T> {
    Three {
        base: field(three.base),
        client: field(three.client),
        server: field(three.server),
    }
}

/// What has to be set where so that one attribute agrees.
enum Outcome<T> {
    Nothing,
    OnServer(T),
    OnClient(T),
    Agreed(T),
    Clash,
}

fn outcome<T: PartialEq + Clone>(three: &Three<T>) -> Outcome<T> {
    if three.client == three.server {
        if three.client == three.base {
            Outcome::Nothing
        } else {
            Outcome::Agreed(three.client.clone())
        }
    } else if three.server == three.base {
        Outcome::OnServer(three.client.clone())
    } else if three.client == three.base {
        Outcome::OnClient(three.server.clone())
    } else {
        Outcome::Clash
    }
}

fn one<T: PartialEq + Clone>(
    fields: &mut Fields,
    three: Three<T>,
    slot: impl Fn(&mut SetAttrs) -> &mut Option<T>,
) {
    match outcome(&three) {
        Outcome::Nothing => {}
        Outcome::OnServer(value) => *slot(&mut fields.server) = Some(value),
        Outcome::OnClient(value) => *slot(&mut fields.client) = Some(value),
        Outcome::Agreed(value) => *slot(&mut fields.agreed) = Some(value),
        Outcome::Clash => fields.clash = true,
    }
}

/// The xattrs that are compared: unknown ones count as those of base.
fn xattrs(version: &Version, base: &Version) -> Xattrs {
    let known = version.xattrs.as_ref().or(base.xattrs.as_ref());
    let pairs = known.into_iter().flatten();
    pairs
        .filter(|(name, _)| !stays_local(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn each_xattr(three: &Three<&Version>, fields: &mut Fields) {
    let all = of(three, |version| xattrs(version, three.base));
    let mut names: Vec<&Vec<u8>> = all.base.keys().collect();
    names.extend(all.client.keys().chain(all.server.keys()));
    names.sort();
    names.dedup();
    for name in names {
        let values = Three {
            base: all.base.get(name),
            client: all.client.get(name),
            server: all.server.get(name),
        };
        let entry = |value: Option<&Vec<u8>>| (name.clone(), value.cloned());
        match outcome(&values) {
            Outcome::Nothing => {}
            Outcome::OnServer(value) => fields.server.xattrs.push(entry(value)),
            Outcome::OnClient(value) => fields.client.xattrs.push(entry(value)),
            Outcome::Agreed(value) => fields.agreed.xattrs.push(entry(value)),
            Outcome::Clash => fields.clash = true,
        }
    }
}

/// The mtime goes with the bytes; where the bytes agree, one side's change goes to the other, and of two the later wins.
fn time(three: &Three<&Version>, fields: &mut Fields) {
    if !matches!(fields.content, Content::Same | Content::Agreed) {
        return;
    }
    let alone = [&fields.client, &fields.server]
        .iter()
        .all(|set| **set == SetAttrs::default());
    let times = whole(of(three, |version| version.attrs.mtime));
    match outcome(&times) {
        Outcome::Nothing => {}
        Outcome::OnServer(time) => fields.server.mtime = Some(time),
        Outcome::OnClient(time) => fields.client.mtime = Some(time),
        Outcome::Agreed(time) => fields.agreed.mtime = Some(time),
        Outcome::Clash => {
            fields.later = alone;
            later(times, fields);
        }
    }
}

/// Servers keep times in steps (SMB: 100 ns, old ones: 1 s): a time that came back rounded is not a change.
fn whole(times: Three<Time>) -> Three<Time> {
    let of_base = |time| {
        if rounded(times.base, time) {
            times.base
        } else {
            time
        }
    };
    let (client, server) = (of_base(times.client), of_base(times.server));
    Three {
        base: times.base,
        client,
        server: if rounded(server, client) {
            client
        } else {
            server
        },
    }
}

/// True when one of two times is the other one rounded down.
fn rounded(a: Time, b: Time) -> bool {
    let (early, late) = (a.min(b), a.max(b));
    let down = |step: u32| (late.sec, late.nsec - late.nsec % step);
    let steps = [100, 1000, 1_000_000, 1_000_000_000];
    early == late
        || steps
            .into_iter()
            .any(|step| down(step) == (early.sec, early.nsec))
}

fn later(times: Three<Time>, fields: &mut Fields) {
    if times.client > times.server {
        fields.server.mtime = Some(times.client);
    } else {
        fields.client.mtime = Some(times.server);
    }
}

/// Both made the same thing independently, and base takes the server's version: what the client must change to agree.
/// `None` when an extended attribute has two different values, which nobody may decide alone.
pub(super) fn adopt(client: &Version, server: &Version) -> Option<Fields> {
    let mut fields = Fields::none();
    let (ours, theirs) = (xattrs(client, client), xattrs(server, server));
    let unknown = server.xattrs.is_none();
    for (name, value) in &ours {
        match theirs.get(name) {
            Some(other) if other != value => return None,
            Some(_) => {}
            None => fields
                .server
                .xattrs
                .push((name.clone(), Some(value.clone()))),
        }
    }
    let missing = theirs.iter().filter(|(name, _)| !ours.contains_key(*name));
    fields
        .client
        .xattrs
        .extend(missing.map(|(name, value)| (name.clone(), Some(value.clone()))));
    if unknown {
        fields.server.xattrs.clear();
    }
    let (a, b) = (&client.attrs, &server.attrs);
    let set = &mut fields.client;
    set.mode = (mode(client) != mode(server)).then(|| mode(server));
    set.uid = (a.uid != b.uid).then_some(b.uid);
    set.gid = (a.gid != b.gid).then_some(b.gid);
    set.mtime = (a.kind == Kind::File && !rounded(a.mtime, b.mtime)).then_some(b.mtime);
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_came_back_rounded_is_the_same() {
        let time = |sec, nsec| Time { sec, nsec };
        let exact = time(101, 123_456_789);
        for kept in [(101, 123_456_700), (101, 123_000_000), (101, 0)] {
            assert!(rounded(exact, time(kept.0, kept.1)), "{kept:?}");
            assert!(rounded(time(kept.0, kept.1), exact), "{kept:?}");
        }
        for other in [
            (101, 123_456_788),
            (101, 123_456_790),
            (102, 0),
            (100, 0),
            (100, 5),
        ] {
            assert!(!rounded(exact, time(other.0, other.1)), "{other:?}");
        }
        let three = Three {
            base: time(101, 0),
            client: exact,
            server: time(101, 0),
        };
        assert_eq!(whole(three).client, three.base);
    }
}
