//! Looking at paths in a process that may hang: the daemon itself makes no system call on the lower.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::control::JsonPath;
use crate::sys::{self, Spot};

/// A share that does not say within this time what it is counts as silent.
const PATIENCE: Duration = Duration::from_secs(4);

/// What a look at a path told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Looked {
    /// The path without links, as far as it exists and answers.
    pub(super) path: PathBuf,
    /// What is there.
    pub(super) found: Found,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Found {
    /// A directory.
    Dir,
    /// Something else.
    Other,
    /// Nothing.
    Missing,
    /// A mount whose daemon is gone.
    Dead,
    /// Nobody answered in time.
    Silent,
    /// An error.
    Error(String),
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    path: JsonPath,
    found: Found,
}

/// Looks at paths, each within a common deadline; those after a silent one are silent too.
pub(super) fn look_at(paths: &[&Path]) -> io::Result<Vec<Looked>> {
    let words = ["look-at", "--"].map(OsString::from);
    let args: Vec<OsString> = words
        .into_iter()
        .chain(paths.iter().map(Into::into))
        .collect();
    let said = sys::output_within(&args, PATIENCE)?;
    let lines: Vec<Line> = said
        .split(|byte| *byte == b'\n')
        .map_while(|line| serde_json::from_slice(line).ok())
        .collect();
    let mut lines = lines.into_iter();
    paths
        .iter()
        .map(|path| match lines.next() {
            Some(line) => Ok(Looked {
                path: PathBuf::from(line.path.os()),
                found: line.found,
            }),
            None => Ok(Looked {
                path: std::path::absolute(path)?,
                found: Found::Silent,
            }),
        })
        .collect()
}

/// The other process: one JSON line per path, each as soon as it is known.
pub fn look_at_main(paths: &[PathBuf]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for path in paths {
        let looked = look(path)?;
        let line = Line {
            path: JsonPath::host(&looked.path),
            found: looked.found,
        };
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}

fn look(path: &Path) -> io::Result<Looked> {
    let found = match sys::spot(path) {
        Spot::Dir => Found::Dir,
        Spot::Other => Found::Other,
        Spot::Missing => Found::Missing,
        Spot::Dead => Found::Dead,
        Spot::Unknown(error) => Found::Error(error.to_string()),
    };
    Ok(Looked {
        path: real(path)?,
        found,
    })
}

/// The path without links; where it does not exist (yet), its nearest existing directory without links.
fn real(path: &Path) -> io::Result<PathBuf> {
    let whole = std::path::absolute(path)?;
    for ancestor in whole.ancestors() {
        if let Ok(real) = sys::canonical(ancestor) {
            let rest = whole.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return Ok(if rest.as_os_str().is_empty() {
                real
            } else {
                real.join(rest)
            });
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_and_what_is_missing_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let base = sys::canonical(dir.path()).unwrap();
        std::fs::create_dir(base.join("d")).unwrap();
        std::os::unix::fs::symlink("d", base.join("l")).unwrap();
        let looked = look(&base.join("l")).unwrap();
        assert_eq!(looked.path, base.join("d"));
        assert_eq!(looked.found, Found::Dir);
        let missing = look(&base.join("l/x/y")).unwrap();
        assert_eq!(missing.path, base.join("d/x/y"));
        assert_eq!(missing.found, Found::Missing);
    }
}
