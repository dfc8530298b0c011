//! Names and relative paths: checked once, kept as bytes.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of one directory entry: 1 to 255 bytes, no `/`, no NUL, not `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Name(Arc<[u8]>);

/// Why bytes are no [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, `.`, `..`, or with `/` or NUL in it.
    #[error("not a file name")]
    Malformed,
    /// Longer than 255 bytes.
    #[error("name longer than 255 bytes")]
    TooLong,
}

impl Name {
    /// Longest name in bytes.
    pub const MAX: usize = 255;

    /// Checks `bytes` and keeps them.
    pub fn new(bytes: &[u8]) -> Result<Name, NameError> {
        if bytes.len() > Name::MAX {
            return Err(NameError::TooLong);
        }
        let bad = bytes.is_empty()
            || bytes == b"."
            || bytes == b".."
            || bytes.iter().any(|b| matches!(b, 0 | b'/'));
        if bad {
            Err(NameError::Malformed)
        } else {
            Ok(Name(bytes.into()))
        }
    }

    /// The same from an [`OsStr`].
    pub fn from_os(name: &OsStr) -> Result<Name, NameError> {
        Name::new(name.as_bytes())
    }

    /// The bytes of the name.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as the host's string type.
    pub fn os(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }
}

impl TryFrom<Vec<u8>> for Name {
    type Error = NameError;
    fn try_from(bytes: Vec<u8>) -> Result<Name, NameError> {
        Name::new(&bytes)
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;
    fn try_from(text: &str) -> Result<Name, NameError> {
        Name::new(text.as_bytes())
    }
}

impl From<Name> for Vec<u8> {
    fn from(name: Name) -> Vec<u8> {
        name.0.to_vec()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// A path beneath the root: a list of names, empty for the root itself.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelPath(Vec<Name>);

impl RelPath {
    /// The root.
    pub fn root() -> RelPath {
        RelPath(Vec::new())
    }

    /// Splits `bytes` at `/`; empty components and `.` are dropped, `..` is refused.
    pub fn parse(bytes: &[u8]) -> Result<RelPath, NameError> {
        let parts = bytes
            .split(|b| *b == b'/')
            .filter(|part| !part.is_empty() && *part != b".");
        parts.map(Name::new).collect::<Result<_, _>>().map(RelPath)
    }

    /// Collects names, outermost first.
    pub fn from_names(names: impl IntoIterator<Item = Name>) -> RelPath {
        RelPath(names.into_iter().collect())
    }

    /// This path with one more name.
    pub fn join(&self, name: &Name) -> RelPath {
        let mut names = self.0.clone();
        names.push(name.clone());
        RelPath(names)
    }

    /// This path followed by all of `tail`.
    pub fn join_path(&self, tail: &RelPath) -> RelPath {
        RelPath(self.0.iter().chain(&tail.0).cloned().collect())
    }

    /// The directory of this path and its last name; `None` for the root.
    pub fn split(&self) -> Option<(RelPath, &Name)> {
        let (last, head) = self.0.split_last()?;
        Some((RelPath(head.to_vec()), last))
    }

    /// The names, outermost first.
    pub fn names(&self) -> &[Name] {
        &self.0
    }

    /// True for the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// True when `self` is `other` or lies beneath it.
    pub fn is_within(&self, other: &RelPath) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The names joined with `/`; empty for the root.
    pub fn bytes(&self) -> Vec<u8> {
        self.0
            .iter()
            .map(Name::bytes)
            .collect::<Vec<_>>()
            .join(&b'/')
    }

    /// The joined names as a host path; `.` for the root, so that it can be given to `*at` calls.
    pub fn os(&self) -> std::ffi::OsString {
        let bytes = if self.is_root() {
            b".".to_vec()
        } else {
            self.bytes()
        };
        std::os::unix::ffi::OsStringExt::from_vec(bytes)
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.bytes()).into_owned();
        f.write_str(if text.is_empty() { "." } else { &text })
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_a_directory_are_refused() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"a\0b"] {
            assert_eq!(Name::new(bad), Err(NameError::Malformed));
        }
        assert_eq!(Name::new(&[b'x'; 256]), Err(NameError::TooLong));
        assert!(Name::new(&[0xff; 255]).is_ok());
    }

    #[test]
    fn a_path_with_dot_dot_is_refused() {
        assert!(RelPath::parse(b"a/../b").is_err());
        assert_eq!(RelPath::parse(b"/a//./b/").unwrap().bytes(), b"a/b");
    }
}
