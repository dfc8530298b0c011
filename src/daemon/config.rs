//! The person's own configuration. Never read from the share: what others can write must not decide what is done here.

use std::path::{Path, PathBuf};

use crate::rules::Rules;
use crate::sys;

const FILE: &str = "config.toml";

/// The rules for the mount at `point`: those of the host, then those of the person, of which the last one decides. The
/// error is a sentence.
pub(super) fn rules(point: &Path) -> Result<Rules, String> {
    let mut all = Rules::default();
    for dir in [Some(PathBuf::from("/etc/driftfs")), own_dir()]
        .into_iter()
        .flatten()
    {
        let file = dir.join(FILE);
        let refused = |why: &dyn std::fmt::Display| {
            format!(
                "{}: {why}\n  next: correct that file, then mount again; nothing was mounted",
                file.display()
            )
        };
        if let Some(bytes) = sys::read_small(&dir, FILE).map_err(|e| refused(&e))? {
            let text = String::from_utf8(bytes).map_err(|_| refused(&"it is not UTF-8"))?;
            all = all.then(Rules::read(&text).map_err(|why| refused(&why))?);
        }
    }
    Ok(all.of_mount(point))
}

fn own_dir() -> Option<PathBuf> {
    let from = |variable: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    from("XDG_CONFIG_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".config")))
        .map(|home| home.join("driftfs"))
}
