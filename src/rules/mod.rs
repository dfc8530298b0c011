//! What a person wants treated otherwise, by path.
//!
//! Rules come from the person's own configuration, never from the share. Of several that match a path the last one that says
//! something about a matter decides it. A rule about a directory is about everything in it.

mod glob;
mod read;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::model::RelPath;
use glob::Glob;

/// One `[[rule]]`.
#[derive(Clone, Debug)]
struct Rule {
    glob: Glob,
    /// Only in this mount.
    mount: Option<PathBuf>,
    /// What is made there stays on this host.
    local_only: Option<bool>,
    /// The directory is plain local storage.
    redirect: Option<bool>,
}

/// Every rule, in order.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

impl Rules {
    /// Reads a configuration; the error is a sentence that names the line. What is not known is refused: a misspelt
    /// rule would otherwise be one that silently does nothing.
    pub fn read(text: &str) -> Result<Rules, String> {
        read::read(text)
    }

    /// These, then `more`, of which the last one decides.
    #[must_use]
    pub fn then(mut self, more: Rules) -> Rules {
        self.rules.extend(more.rules);
        self
    }

    /// Those that apply to the mount at `point`.
    #[must_use]
    pub fn of_mount(mut self, point: &Path) -> Rules {
        self.rules
            .retain(|rule| rule.mount.as_deref().is_none_or(|mount| mount == point));
        self
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// True when what is made at `path` stays on this host.
    pub fn is_local(&self, path: &RelPath) -> bool {
        self.decide(path, |rule| rule.local_only.or(rule.redirect))
    }

    /// The directories that are plain local storage. Only a path without wildcards names one.
    pub fn redirected(&self) -> Vec<RelPath> {
        let named = self.rules.iter().filter(|rule| rule.redirect == Some(true));
        let mut paths: Vec<RelPath> = named
            .filter_map(|rule| rule.glob.literal())
            .filter(|path| self.decide(path, |rule| rule.redirect))
            .collect();
        paths.sort();
        paths.dedup();
        paths
    }

    fn decide(&self, path: &RelPath, says: impl Fn(&Rule) -> Option<bool>) -> bool {
        let names: Vec<&OsStr> = path.names().iter().map(|name| name.os()).collect();
        let last = self.rules.iter().rev().find_map(|rule| {
            let word = says(rule)?;
            rule.glob.covers(&names).then_some(word)
        });
        last.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(rules: &Rules, path: &str) -> bool {
        rules.is_local(&RelPath::parse(path.as_bytes()).unwrap())
    }

    #[test]
    fn the_last_rule_that_matches_decides() {
        let rules = Rules::read(
            "[[rule]]\nglob = 'target'\nlocal-only = true\n[[rule]]\nglob = '/target/keep'\nlocal-only = false\n",
        )
        .unwrap();
        assert!(local(&rules, "target/a/b") && local(&rules, "x/target"));
        assert!(!local(&rules, "target/keep/b") && local(&rules, "x/target/keep"));
        assert!(!local(&rules, "targets") && !local(&rules, ""));
    }

    #[test]
    fn a_rule_for_another_mount_does_not_count() {
        let text = "[[rule]]\nglob = 'a'\nmount = '/m'\nlocal-only = true\n";
        let rules = Rules::read(text).unwrap();
        assert!(local(&rules.clone().of_mount(Path::new("/m")), "a"));
        assert!(rules.of_mount(Path::new("/n")).is_empty());
    }

    #[test]
    fn a_redirected_directory_is_named_in_full_and_stays_here() {
        let text = "[[rule]]\nglob = '/a/build'\nredirect = true\n[[rule]]\nglob = 'b*'\nlocal-only = true\n";
        let rules = Rules::read(text).unwrap();
        assert_eq!(rules.redirected(), [RelPath::parse(b"a/build").unwrap()]);
        assert!(local(&rules, "a/build/x"));
        let off = Rules::read("[[rule]]\nglob = '/a'\nredirect = false\n").unwrap();
        assert!(rules.then(off).redirected().is_empty());
    }
}
