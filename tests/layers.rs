//! Rooms are guarded by the build: who may import whom, and which outside crate lives where.
//!
//! Rust lets modules of one crate import each other in circles. This test reads every `crate::room` path and every use of
//! a crate that has one home, and fails on one that goes up, sideways or elsewhere. It has samples that must fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Rooms by floor, those not built yet included.
const FLOORS: &[&[&str]] = &[
    &["model"],
    &["sys", "rules"],
    &["meta", "objects", "lower", "merge"],
    &["journal", "link"],
    &["tree"],
    &["fetch", "variants", "snapshot"],
    &["overlay", "hoard", "reintegrate"],
    &["fuse", "control"],
    &["daemon"],
    &["cli"],
];

/// Rooms that, against the floors, may not be imported by these: the kernel's door knows only the overlay.
const NARROW: &[(&str, &[&str])] = &[
    ("fuse", &["model", "sys", "overlay"]),
    ("control", &["model", "sys"]),
    ("cli", &["model", "sys", "control", "daemon"]),
    ("link", &["model", "sys", "lower"]),
];

/// Outside crates with one home.
const HOMES: &[(&str, &str)] = &[
    ("fuser", "fuse"),
    ("rusqlite", "meta"),
    ("nix", "sys"),
    ("libc", "sys"),
    ("xattr", "sys"),
    ("reflink_copy", "sys"),
    ("blake3", "sys"),
    ("gix_merge", "merge"),
    ("toml_edit", "rules"),
    ("gix_imara_diff", "merge"),
    ("clap", "cli"),
];

/// Calls that only `sys` makes (types of `std::fs` and `std::io` may be named anywhere).
const HOST_CALLS: &[&str] = &[
    "std::fs::read",
    "std::fs::write",
    "std::fs::remove",
    "std::fs::rename",
    "std::fs::create_dir",
    "std::fs::copy",
    "std::fs::metadata",
    "std::fs::symlink_metadata",
    "std::fs::OpenOptions",
    "std::fs::set_permissions",
    "File::open",
    "File::create",
    "fs::read(",
    "fs::write(",
    "fs::remove_",
    "fs::rename(",
    "fs::create_dir",
    "fs::hard_link",
    "fs::canonicalize",
    "Command::new",
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Source with comments and `#[cfg(test)]` modules cut away: tests in a file may reach wherever they need.
fn code_of(text: &str) -> String {
    let body = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    body.lines()
        .map(|line| {
            if line.trim_start().starts_with("//") {
                ""
            } else {
                line
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Identifiers that follow `prefix` anywhere in the code, `{a, b}` groups included.
fn following(code: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            let mut fresh = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => fresh = true,
                    c if c.is_alphanumeric() || c == '_' => {
                        if fresh && depth == 0 {
                            word.push(c);
                        }
                        continue;
                    }
                    _ => {}
                }
                if !word.is_empty() {
                    found.push(std::mem::take(&mut word));
                    fresh = c == ',';
                }
            }
            if !word.is_empty() {
                found.push(word);
            }
        } else {
            found.push(
                rest.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect(),
            );
        }
    }
    found
}

/// Every rule the file of `room` breaks.
fn breaches(room: &str, text: &str) -> Vec<String> {
    let code = code_of(text);
    let mut found = Vec::new();
    let Some(own) = floor(room) else {
        return vec![format!("room {room} stands on no floor")];
    };
    for other in following(&code, "crate::") {
        let Some(theirs) = floor(&other) else {
            continue;
        };
        if other == room {
            continue;
        }
        let narrow = NARROW.iter().find(|(name, _)| *name == room);
        let allowed = match narrow {
            Some((_, rooms)) => rooms.contains(&other.as_str()),
            None => theirs < own,
        };
        if !allowed {
            found.push(format!(
                "{room} (floor {own}) imports {other} (floor {theirs})"
            ));
        }
    }
    for (name, home) in HOMES {
        if room != *home
            && (code.contains(&format!("{name}::")) || code.contains(&format!("use {name};")))
        {
            let word_start = code.match_indices(&format!("{name}::")).any(|(at, _)| {
                !code[..at]
                    .chars()
                    .next_back()
                    .is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '.')
            });
            if word_start || code.contains(&format!("use {name};")) {
                found.push(format!(
                    "{room} uses the crate {name}, whose home is {home}"
                ));
            }
        }
    }
    if room != "sys" {
        found.extend(
            HOST_CALLS
                .iter()
                .filter(|call| code.contains(**call))
                .map(|call| format!("{room} calls the host itself: {call}")),
        );
        if code.contains("unsafe {") || code.contains("unsafe fn") {
            found.push(format!("{room} has unsafe code"));
        }
    }
    found
}

fn sources() -> Vec<(String, PathBuf)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut todo = vec![src.clone()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let inside = path.strip_prefix(&src).unwrap();
                let mut parts = inside.components();
                let first = parts
                    .next()
                    .unwrap()
                    .as_os_str()
                    .to_string_lossy()
                    .into_owned();
                if parts.next().is_some() {
                    found.push((first, path));
                }
            }
        }
    }
    found
}

#[test]
fn rooms_import_only_from_lower_floors_and_crates_stay_at_home() {
    let files = sources();
    assert!(files.len() > 20, "the sources were not found");
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (room, path) in files {
        let found = breaches(&room, &std::fs::read_to_string(&path).unwrap());
        if !found.is_empty() {
            all.insert(path.display().to_string(), found);
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn samples_that_must_fail_do() {
    let bad = [
        ("tree", "use crate::overlay::Overlay;"),
        ("meta", "use crate::objects::Objects;"),
        ("fetch", "use crate::{model::Ino, reintegrate::Plan};"),
        ("overlay", "fn f() { crate::fuse::errno(1); }"),
        ("fuse", "use crate::tree::Tree;"),
        ("overlay", "use nix::errno::Errno;"),
        ("lower", "let n = libc::EIO;"),
        ("tree", "let x = std::fs::read(path)?;"),
        ("daemon", "let x = unsafe { f() };"),
        ("attic", "fn f() {}"),
    ];
    for (room, text) in bad {
        assert!(
            !breaches(room, text).is_empty(),
            "{room}: {text} should be refused"
        );
    }
}

#[test]
fn samples_that_may_pass_do() {
    let good = [
        (
            "tree",
            "use crate::meta::Meta;\nuse crate::{model::Ino, sys};",
        ),
        ("sys", "let x = std::fs::read(path)?; let n = libc::EIO;"),
        (
            "overlay",
            "// crate::fuse is above us\nuse crate::tree::Tree;",
        ),
        (
            "fuse",
            "use fuser::Filesystem; use crate::overlay::Overlay;",
        ),
        ("meta", "#[cfg(test)]\nmod tests { use crate::daemon::X; }"),
        ("tree", "use std::fs::File; fn f(file: &File) {}"),
    ];
    for (room, text) in good {
        assert_eq!(breaches(room, text), Vec::<String>::new(), "{room}: {text}");
    }
}
