//! `both`: the client's keeps its name, the server's becomes a new local file beside it.

use super::Case;
use crate::meta::Rows;
use crate::model::{Ino, Kind, Name, Time, Who};
use crate::reintegrate::trouble::Stop;
use crate::sys;
use crate::tree::NewNode;
use crate::variants::Term;

impl Case<'_> {
    /// Makes the copy; gives the sentence that names it.
    pub(super) fn copy_of_server(&self, server: &Term) -> Result<String, Stop> {
        let kind = server.attrs.kind;
        if !matches!(kind, Kind::File | Kind::Symlink) {
            return self.refuse(
                &format!("a {} has no second copy", kind.word()),
                "client|server",
            );
        }
        if kind == Kind::File && server.object.is_none() {
            return self.refuse(
                "the contents of the server's version are not here",
                "client",
            );
        }
        let (dir, name) = self.beside("server")?;
        let who = Who {
            uid: server.attrs.uid,
            gid: server.attrs.gid,
            pid: 0,
        };
        let new = NewNode {
            kind,
            mode: server.attrs.mode,
            rdev: 0,
            target: server.target.clone(),
        };
        let made = self.tree.create(dir, &name, &new, who)?.node;
        if let Some(object) = server.object {
            self.tree
                .replace_bytes(made.ino, object, Some(made.rev), &mut |_, node| {
                    node.attrs.mode = server.attrs.mode;
                    node.attrs.mtime = server.attrs.mtime;
                    node.xattrs = server.xattrs.clone().unwrap_or_default();
                    node.dirty = node.dirty.with(crate::model::Dirty::BYTES);
                    Ok(())
                })?;
        }
        Ok(format!(
            "the version here keeps its name; the server's is {name} beside it"
        ))
    }

    /// A free name beside the object: `NAME (SIDE 2026-11-21 0108).EXT`.
    pub(super) fn beside(&self, side: &str) -> Result<(Ino, Name), Stop> {
        let Some((dir, name)) = self.path.split() else {
            return self.refuse("the root of the share has no second name", "client|server");
        };
        let now = sys::now();
        self.tree.meta().read(|rows| {
            let parent = rows
                .resolve(&dir)?
                .filter(|node| node.attrs.kind == Kind::Dir);
            let missing = || {
                Stop::Pending(format!(
                    "{dir} is not a directory here any more. Next: driftfs sync"
                ))
            };
            let parent = parent.ok_or_else(missing)?.ino;
            let free = free_name(rows, parent, name, side, now)?;
            Ok((parent, free))
        })
    }
}

fn free_name(rows: &Rows<'_>, dir: Ino, name: &Name, side: &str, now: Time) -> Result<Name, Stop> {
    for number in 1..10_000 {
        let candidate = second_name(name, side, now, number);
        let candidate = Name::new(&candidate).map_err(|why| Stop::Pending(why.to_string()))?;
        if rows.entry(dir, &candidate)?.is_none() {
            return Ok(candidate);
        }
    }
    Err(Stop::Pending(format!(
        "no free name beside {name}. Next: remove old copies"
    )))
}

/// The name with the side and the time before its extension, cut to what a name may have.
fn second_name(name: &Name, side: &str, now: Time, number: u32) -> Vec<u8> {
    let at = jiff::Timestamp::from_second(now.sec).unwrap_or_default();
    let mut mark = format!(" ({side} {})", at.strftime("%Y-%m-%d %H%M"));
    if number > 1 {
        mark = format!(" ({side} {} {number})", at.strftime("%Y-%m-%d %H%M"));
    }
    let bytes = name.bytes();
    // A dot in front makes a hidden file, not an extension; a very long one is no extension either.
    let dot = bytes
        .iter()
        .rposition(|byte| *byte == b'.')
        .filter(|at| *at > 0 && bytes.len() - at <= 32);
    let (stem, extension) = bytes.split_at(dot.unwrap_or(bytes.len()));
    let room = Name::MAX - mark.len() - extension.len();
    let mut cut = stem.len().min(room);
    // Not in the middle of a character.
    while cut < stem.len() && cut > 0 && stem[cut] & 0xc0 == 0x80 {
        cut -= 1;
    }
    [&stem[..cut], mark.as_bytes(), extension].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, number: u32) -> String {
        let now = Time {
            sec: 1_795_223_280,
            nsec: 0,
        };
        let name = Name::try_from(name).unwrap();
        String::from_utf8(second_name(&name, "server", now, number)).unwrap()
    }

    #[test]
    fn the_mark_stands_before_the_extension() {
        assert_eq!(
            named("report.txt", 1),
            "report (server 2026-11-21 0108).txt"
        );
        assert_eq!(
            named("report.txt", 2),
            "report (server 2026-11-21 0108 2).txt"
        );
        assert_eq!(named("Makefile", 1), "Makefile (server 2026-11-21 0108)");
        assert_eq!(named(".profile", 1), ".profile (server 2026-11-21 0108)");
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let long = format!("{}.txt", "ä".repeat(125));
        let made = named(&long, 1);
        assert!(made.len() <= Name::MAX && made.ends_with("0108).txt"));
    }
}
