//! Comparing trees of real files in everything that counts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What counts of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub kind: u32,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    pub size: u64,
    /// Seconds and nanoseconds; of files and symlinks.
    pub mtime: Option<(i64, i64)>,
    pub links: u64,
    pub bytes: Option<[u8; 32]>,
    pub target: Option<Vec<u8>>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// For hard links: the first path of the same inode.
    pub same_as: Option<Vec<u8>>,
}

/// Every object beneath `root` by relative path, `.driftfs` of the root left out.
pub fn shapes(root: &Path) -> BTreeMap<Vec<u8>, Shape> {
    let mut found = BTreeMap::new();
    let mut firsts = BTreeMap::new();
    walk(root, Vec::new(), &mut found, &mut firsts);
    found
}

fn walk(
    dir: &Path,
    at: Vec<u8>,
    found: &mut BTreeMap<Vec<u8>, Shape>,
    firsts: &mut BTreeMap<u64, Vec<u8>>,
) {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    for name in names {
        if at.is_empty() && name == ".driftfs" {
            continue;
        }
        let path = dir.join(&name);
        let mut rel = at.clone();
        if !rel.is_empty() {
            rel.push(b'/');
        }
        rel.extend(name.as_bytes());
        let meta =
            fs::symlink_metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let kind = meta.mode() & 0o170000;
        let is_dir = meta.is_dir();
        let same_as = if !is_dir && meta.nlink() > 1 {
            Some(
                firsts
                    .entry(meta.ino())
                    .or_insert_with(|| rel.clone())
                    .clone(),
            )
        } else {
            None
        };
        let shape = Shape {
            kind,
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            rdev: if kind == 0o020000 || kind == 0o060000 {
                meta.rdev()
            } else {
                0
            },
            size: if is_dir { 0 } else { meta.len() },
            mtime: if is_dir {
                None
            } else {
                Some((meta.mtime(), meta.mtime_nsec()))
            },
            links: if is_dir { 0 } else { meta.nlink() },
            bytes: if meta.is_file() {
                Some(digest(
                    &fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
                ))
            } else {
                None
            },
            target: if meta.is_symlink() {
                Some(fs::read_link(&path).unwrap().into_os_string().into_vec())
            } else {
                None
            },
            xattrs: xattrs_of(&path),
            same_as,
        };
        found.insert(rel.clone(), shape);
        if is_dir {
            walk(&path, rel, found, firsts);
        }
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

fn xattrs_of(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let names = xattr::list(path)
        .map(|all| all.collect::<Vec<_>>())
        .unwrap_or_default();
    names
        .into_iter()
        .filter(|name| !name.as_bytes().starts_with(b"security."))
        // XFS shows its access control lists to root a second time.
        .filter(|name| !name.as_bytes().starts_with(b"trusted.SGI_ACL_"))
        .filter_map(|name| Some((name.as_bytes().to_vec(), xattr::get(path, &name).ok()??)))
        .collect()
}

/// Lists what differs between two trees, in words; empty when they are equal.
pub fn differences(left: &Path, right: &Path) -> Vec<String> {
    let (a, b) = (shapes(left), shapes(right));
    let mut told = Vec::new();
    for path in a
        .keys()
        .chain(b.keys())
        .collect::<std::collections::BTreeSet<_>>()
    {
        let name = String::from_utf8_lossy(path);
        match (a.get(path), b.get(path)) {
            (Some(x), Some(y)) if x != y => told.push(format!("{name}: {x:?}\n   against {y:?}")),
            (Some(_), None) => told.push(format!("{name}: only in {}", left.display())),
            (None, Some(_)) => told.push(format!("{name}: only in {}", right.display())),
            _ => {}
        }
    }
    told
}

/// Asserts that two trees are equal.
#[track_caller]
pub fn assert_equal(left: &Path, right: &Path) {
    let told = differences(left, right);
    assert!(
        told.is_empty(),
        "{} differences:\n{}",
        told.len(),
        told[..told.len().min(10)].join("\n")
    );
}
