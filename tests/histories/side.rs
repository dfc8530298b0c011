//! One side of a history, and one random change of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use driftfs::model::{Cookie, Ino, Kind};

use crate::bed::{Bed, Client};

pub enum Side<'a> {
    Server(&'a Bed),
    Client(&'a Client),
}

impl Side<'_> {
    fn tag(&self) -> &'static str {
        match self {
            Side::Server(_) => "server",
            Side::Client(_) => "client",
        }
    }

    /// Every path with its kind; what is in a directory that is not listed is not known, and neither is the directory
    /// then good for anything but a new name.
    fn paths(&self) -> Paths {
        let mut paths = Paths::default();
        match self {
            Side::Server(bed) => {
                for (path, shown) in bed.server_view() {
                    paths.all.insert(path, shown.kind);
                }
            }
            Side::Client(client) => client_paths(client, Ino::ROOT, "", &mut paths),
        }
        paths
    }

    fn create(&self, path: &str, bytes: &[u8]) {
        match self {
            Side::Server(bed) => {
                bed.server_write(path, bytes);
                bed.server_chmod(path, 0o644);
            }
            Side::Client(client) => client.create(path, bytes),
        }
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        match self {
            Side::Server(bed) => bed.server_write(path, bytes),
            Side::Client(client) => client.write(path, bytes),
        }
    }

    fn save(&self, path: &str, bytes: &[u8]) {
        match self {
            Side::Server(bed) => bed.server_save(path, bytes),
            Side::Client(client) => client.save(path, bytes),
        }
    }

    fn rename(&self, from: &str, to: &str) {
        match self {
            Side::Server(bed) => bed.server_rename(from, to),
            Side::Client(client) => client.rename(from, to),
        }
    }

    fn remove(&self, path: &str) {
        match self {
            Side::Server(bed) => bed.server_remove(path),
            Side::Client(client) => client.remove(path),
        }
    }

    fn mkdir(&self, path: &str) {
        match self {
            Side::Server(bed) => bed.server_mkdir(path),
            Side::Client(client) => client.mkdir(path),
        }
    }

    fn link(&self, from: &str, to: &str) {
        match self {
            Side::Server(bed) => bed.server_link(from, to),
            Side::Client(client) => client.link(from, to),
        }
    }

    fn symlink(&self, target: &str, path: &str) {
        match self {
            Side::Server(bed) => bed.server_symlink(target, path),
            Side::Client(client) => client.symlink(target, path),
        }
    }

    fn chmod(&self, path: &str, mode: u32) {
        match self {
            Side::Server(bed) => {
                let mode = fs::Permissions::from_mode(mode);
                fs::set_permissions(Path::new(&bed.server).join(path), mode).unwrap();
            }
            Side::Client(client) => client.chmod(path, mode),
        }
    }
}

#[derive(Default)]
struct Paths {
    all: BTreeMap<String, Kind>,
    unlisted: BTreeSet<String>,
}

impl Paths {
    fn of(&self, kind: Kind) -> Vec<&str> {
        let paths = self.all.iter().filter(|(_, one)| **one == kind);
        paths.map(|(path, _)| path.as_str()).collect()
    }

    /// True when all that is in it is known.
    fn is_whole(&self, path: &str) -> bool {
        let within = |one: &String| one == path || one.starts_with(&format!("{path}/"));
        !self.unlisted.iter().any(within)
    }
}

fn client_paths(client: &Client, dir: Ino, at: &str, paths: &mut Paths) {
    let rows = client.tree.meta();
    let entries = rows.read(|rows| rows.entries(dir, Cookie(0), 10_000));
    for entry in entries.unwrap() {
        let node = rows.read(|rows| rows.node(entry.ino)).unwrap().unwrap();
        let path = format!("{at}{}", entry.name);
        paths.all.insert(path.clone(), node.attrs.kind);
        if node.attrs.kind == Kind::Dir {
            client_paths(client, entry.ino, &format!("{path}/"), paths);
            if node.listed.is_none() {
                paths.unlisted.insert(path);
            }
        }
    }
}

/// Bytes nobody wrote before: a text with one line of its own, or no text at all.
fn fresh(side: &Side<'_>, random: &mut fastrand::Rng, count: u64) -> Vec<u8> {
    let own = format!("{} {count}", side.tag());
    if random.bool() {
        return format!("{own}\0{}", "x".repeat(random.usize(..40))).into_bytes();
    }
    let mut lines = vec!["head", "one", "two", "three", "four", "five", "tail"];
    let at = random.usize(1..6);
    lines[at] = &own;
    lines.join("\n").into_bytes()
}

/// The line of a text that is its own.
pub fn own_line(content: &[u8]) -> Option<&[u8]> {
    if content.contains(&0) {
        return None;
    }
    let mut lines = content.split(|byte| *byte == b'\n');
    lines.find(|line| line.starts_with(b"server ") || line.starts_with(b"client "))
}

/// One random change; gives what was done, or nothing when the dice fell on something impossible.
pub fn change(side: &Side<'_>, random: &mut fastrand::Rng, count: u64) -> Option<String> {
    let paths = side.paths();
    let (files, dirs) = (paths.of(Kind::File), paths.of(Kind::Dir));
    let any: Vec<&str> = paths.all.keys().map(String::as_str).collect();
    let free = free_name(&paths, &dirs, random);
    let bytes = fresh(side, random, count);
    let file = random.choice(&files).copied();
    let one = random.choice(&any).copied();
    let said = match random.u8(..20) {
        0..=3 => {
            side.create(free.as_deref()?, &bytes);
            format!("creates {}", free?)
        }
        4..=6 => {
            side.write(file?, &bytes);
            format!("writes {}", file?)
        }
        7..=8 => {
            side.save(file?, &bytes);
            format!("saves {}", file?)
        }
        9..=11 => rename(side, one?, &free?)?,
        12 => rename_over(side, file?, random.choice(&files)?)?,
        13..=14 => {
            one.filter(|path| paths.is_whole(path))?;
            side.remove(one?);
            format!("removes {}", one?)
        }
        15..=16 => {
            side.mkdir(free.as_deref()?);
            side.chmod(free.as_deref()?, 0o755);
            format!("makes {}", free?)
        }
        17 => {
            side.link(file?, free.as_deref()?);
            format!("links {} as {}", file?, free?)
        }
        18 => {
            side.symlink(&format!("to/{count}"), free.as_deref()?);
            format!("makes the symlink {}", free?)
        }
        _ => {
            let mode = *random.choice(&[0o600, 0o640, 0o755])?;
            side.chmod(file?, mode);
            format!("chmods {} to {mode:o}", file?)
        }
    };
    Some(format!("{} {said} [{count}]", side.tag()))
}

fn free_name(paths: &Paths, dirs: &[&str], random: &mut fastrand::Rng) -> Option<String> {
    let dir = match random.usize(..=dirs.len()) {
        0 => String::new(),
        at => format!("{}/", dirs[at - 1]),
    };
    let path = format!("{dir}n{}", random.u8(..8));
    let listed = !paths.unlisted.contains(dir.trim_end_matches('/'));
    let free = listed && !paths.all.contains_key(&path);
    (free && dir.matches('/').count() < 4).then_some(path)
}

fn rename(side: &Side<'_>, from: &str, to: &str) -> Option<String> {
    let inside = to == from || to.starts_with(&format!("{from}/"));
    if inside {
        return None;
    }
    side.rename(from, to);
    Some(format!("renames {from} to {to}"))
}

fn rename_over(side: &Side<'_>, from: &str, to: &str) -> Option<String> {
    if from == to {
        return None;
    }
    side.rename(from, to);
    Some(format!("renames {from} over {to}"))
}
