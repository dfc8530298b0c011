//! Suites of others, run on the mount and on the file system underneath in the same run, and compared by name.

#[path = "../support/mod.rs"]
mod support;

mod fsx;
mod pjdfstest;

use std::path::PathBuf;

/// A program that `scripts/test` installs.
pub fn tool(test: &str, name: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("DRIFTFS_TOOLS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin"),
        PathBuf::from,
    );
    let path = dir.join(name);
    if path.exists() {
        return Some(path);
    }
    support::skip(test, &format!("needs {name}; scripts/test installs it"));
    None
}
