//! Bytes, targets and device numbers.

use super::Content;
use crate::model::{Kind, Three};
use crate::reintegrate::universe::{Object, Token, Version};

/// What one version contains, as something that can be compared.
pub(super) fn of(version: &Version) -> (Option<Token>, Option<&[u8]>, u64) {
    let attrs = &version.attrs;
    let rdev = match attrs.kind {
        Kind::Char | Kind::Block => attrs.rdev,
        _ => 0,
    };
    (version.bytes, version.target.as_deref(), rdev)
}

/// What becomes of the content of an object all three trees have.
pub(super) fn merge(
    object: &Object,
    base: &Version,
    client: &Version,
    server: &Version,
) -> Content {
    let three = Three {
        base: of(base),
        client: of(client),
        server: of(server),
    };
    if three.client == three.server {
        return if three.client == three.base {
            Content::Same
        } else {
            Content::Agreed
        };
    }
    match three.trivial() {
        Some(answer) if *answer == three.client => push(client),
        Some(_) => pull(object, server),
        None => both(object, base, client, server),
    }
}

fn push(client: &Version) -> Content {
    if client.readable {
        Content::Push
    } else {
        Content::Waits(
            "the contents are not here to be sent; `driftfs check` says what is missing".into(),
        )
    }
}

fn pull(object: &Object, server: &Version) -> Content {
    if object.busy {
        return Content::Waits(
            "changed on the server, and a program here has it open for writing: close it there, then `driftfs sync`"
                .into(),
        );
    }
    if server.readable {
        Content::Pull
    } else {
        Content::Waits(
            "changed on the server, but its contents cannot be read: see its rights there, then `driftfs sync`".into(),
        )
    }
}

/// Both changed it. Only a file with all three contents at hand can go to a driver; a stored conflict is not tried again.
fn both(object: &Object, base: &Version, client: &Version, server: &Version) -> Content {
    let file = client.attrs.kind == Kind::File;
    if file && !server.readable {
        return Content::Waits(
            "changed here and on the server, but its contents there cannot be read: see its rights there, then `driftfs sync`"
                .into(),
        );
    }
    let known = [base, client].iter().all(|v| v.readable);
    if !file || !known || object.standing.is_some() {
        return Content::Clash;
    }
    if object.busy {
        return Content::Waits(
            "changed here and on the server, and a program here has it open for writing: close it there, then `driftfs sync`"
                .into(),
        );
    }
    Content::Merge
}
