//! Patterns of paths, as in `.gitignore`: without a slash a name anywhere, with one a path from the root of the mount; `*` and `?` stay
//! within a name, `**` is any number of names.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::model::{Name, RelPath};

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Any number of names.
    Any,
    /// One name.
    Name(Vec<u8>),
}

impl Glob {
    /// Reads a pattern; the error is a sentence.
    pub(super) fn read(text: &str) -> Result<Glob, String> {
        let trimmed = text.trim_end_matches('/');
        let anchored = trimmed.contains('/');
        let mut parts = Vec::new();
        if !anchored {
            parts.push(Part::Any);
        }
        for part in trimmed.trim_start_matches('/').split('/') {
            match part {
                "" | "." | ".." => {
                    return Err(format!(
                        "the pattern {text:?} has a part that names nothing"
                    ));
                }
                "**" => parts.push(Part::Any),
                name => parts.push(Part::Name(name.as_bytes().to_vec())),
            }
        }
        // `a/**` is everything in `a`, which a rule about `a` says too.
        while parts.len() > 1 && parts.last() == Some(&Part::Any) {
            parts.pop();
        }
        Ok(Glob { parts })
    }

    /// True when the pattern matches the path or a directory it lies in.
    pub(super) fn covers(&self, names: &[&OsStr]) -> bool {
        starts(&self.parts, names)
    }

    /// The one path it matches, if it has no wildcards.
    pub(super) fn literal(&self) -> Option<RelPath> {
        let name = |part: &Part| match part {
            Part::Name(bytes) if !bytes.iter().any(|byte| b"*?".contains(byte)) => {
                Name::from_os(OsStr::from_bytes(bytes)).ok()
            }
            Part::Name(_) | Part::Any => None,
        };
        let names: Option<Vec<Name>> = self.parts.iter().map(name).collect();
        names.map(RelPath::from_names)
    }
}

/// True when some beginning of `names` is matched by all of `parts`.
fn starts(parts: &[Part], names: &[&OsStr]) -> bool {
    match parts.split_first() {
        None => true,
        Some((Part::Any, [])) => !names.is_empty(),
        Some((Part::Any, rest)) => (0..=names.len()).any(|skip| starts(rest, &names[skip..])),
        Some((Part::Name(pattern), rest)) => match names.split_first() {
            Some((name, more)) => like(pattern, name.as_bytes()) && starts(rest, more),
            None => false,
        },
    }
}

/// `*` and `?` in one name. Goes back to the last `*` only, so its time is bounded by the product of the lengths.
fn like(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, path: &str) -> bool {
        let names: Vec<&OsStr> = path.split('/').map(OsStr::new).collect();
        Glob::read(pattern).unwrap().covers(&names)
    }

    #[test]
    fn a_name_matches_anywhere_and_a_path_from_the_root() {
        assert!(covers("target", "target") && covers("target/", "a/target/b"));
        assert!(covers("/target", "target/x") && !covers("/target", "a/target"));
        assert!(covers("a/b", "a/b/c") && !covers("a/b", "x/a/b") && !covers("a/b", "a"));
        assert!(covers("**/b", "x/a/b") && covers("a/**/z", "a/z") && covers("a/**/z", "a/b/c/z"));
        assert!(covers("a/**", "a") && covers("a/**", "a/b") && !covers("a/**", "b"));
        assert!(covers("**", "anything"));
    }

    #[test]
    fn wildcards_stay_within_a_name() {
        assert!(covers("*.o", "a/b.o") && !covers("*.o", "a/b.obj") && !covers("/*.o", "a/b.o"));
        assert!(covers("b?ild*", "build-2/x") && !covers("b?ild", "bild"));
        assert!(covers("*a*b*", "xaxxbx") && !covers("*a*b", "ba"));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for wrong in ["", "/", "a//b", "../a", "a/./b"] {
            assert!(Glob::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_path_without_wildcards_is_literal() {
        let literal = |text| {
            Glob::read(text)
                .unwrap()
                .literal()
                .map(|path| path.to_string())
        };
        assert_eq!(literal("/a/b").as_deref(), Some("a/b"));
        assert_eq!(literal("a*/b"), None);
        assert_eq!(literal("b"), None, "a name anywhere");
    }
}
