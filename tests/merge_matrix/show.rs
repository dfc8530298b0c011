//! Trees and conflicts as they stand in the expectation files.

use driftfs::model::{ConflictKind, Kind};

use crate::changes::{ALIKE, BASE, CLIENT, SERVER};
use crate::plan_sim::{Id, Node, ROOT, Tree, entries, kinds};

/// The conflicts, `-` for none.
pub fn conflicts(all: &[ConflictKind]) -> String {
    let count = kinds(all.iter().copied());
    let mut words: Vec<String> = Vec::new();
    for (kind, times) in count {
        words.extend(std::iter::repeat_n(kind.word().to_string(), times));
    }
    if words.is_empty() {
        "-".into()
    } else {
        words.join(" ")
    }
}

/// A tree in one line; an empty `d/` of the base of the same name is not worth a word, so `.` is an empty tree.
pub fn show(tree: &Tree) -> String {
    let mut words = Vec::new();
    below(tree, ROOT, "", &mut words);
    if words.is_empty() {
        ".".into()
    } else {
        words.join(" ")
    }
}

fn below(tree: &Tree, dir: Id, prefix: &str, words: &mut Vec<String>) {
    for (name, id) in entries(tree, dir) {
        let node = &tree[&id];
        let path = format!("{prefix}{name}");
        words.push(word(&path, node));
        if node.kind == Kind::Dir {
            below(tree, id, &format!("{path}/"), words);
        }
    }
}

fn word(path: &str, node: &Node) -> String {
    let linked = if node.places.len() > 1 { "~" } else { "" };
    let what = match node.kind {
        Kind::Dir => "/".to_string(),
        Kind::Symlink => format!("@{}", node.target.as_deref().unwrap_or("?")),
        _ => format!("{linked}:{}", letter(node.bytes)),
    };
    let usual = match node.kind {
        Kind::Dir => 0o755,
        Kind::Symlink => 0o777,
        _ => 0o644,
    };
    let mode = match node.mode {
        mode if mode == usual => String::new(),
        mode => format!("+{mode:o}"),
    };
    let xattr = node.xattrs.get("user.u").map(|value| format!("+u{value}"));
    format!("{path}{what}{mode}{}", xattr.unwrap_or_default())
}

fn letter(bytes: u64) -> &'static str {
    match bytes {
        BASE => "b",
        CLIENT => "C",
        SERVER => "S",
        ALIKE => "e",
        _ => "?",
    }
}
