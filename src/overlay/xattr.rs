//! Extended attributes: the user's, and our own virtual ones (`user.drift.*`, `drift.*`: got, never listed).

use super::{Call, Overlay, OverlayError, Result, SetXattr};
use crate::model::Ino;
use crate::tree::TreeError;

/// Attribute names that this file system does not take.
const REFUSED: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

impl Overlay {
    /// The value of an extended attribute.
    pub fn getxattr(&self, ino: Ino, name: &[u8]) -> Result<Vec<u8>> {
        if let Some(word) = own_word(name) {
            return self.own_value(ino, word);
        }
        if self.settings.noxattr {
            return Err(OverlayError::Unsupported("extended attributes (noxattr)"));
        }
        let seen = self.tree.stat(ino)?;
        let value = seen.node.xattrs.get(name).cloned();
        Ok(value.ok_or(TreeError::NoAttribute)?)
    }

    /// The names of the extended attributes, each ended by NUL.
    pub fn listxattr(&self, ino: Ino) -> Result<Vec<u8>> {
        if self.settings.noxattr {
            return Ok(Vec::new());
        }
        let seen = self.tree.stat(ino)?;
        let mut names = Vec::new();
        for name in seen.node.xattrs.keys() {
            names.extend_from_slice(name);
            names.push(0);
        }
        Ok(names)
    }

    /// Sets an extended attribute; `user.drift.resolve` settles a conflict.
    pub fn setxattr(
        &self,
        call: &Call,
        ino: Ino,
        name: &[u8],
        value: &[u8],
        how: SetXattr,
    ) -> Result<()> {
        if let Some(word) = own_word(name) {
            return self.set_own(ino, word, value);
        }
        self.check_xattr(name)?;
        self.tree.set_xattr(ino, name, value, how, call.who)?;
        self.hooks.say_changed(ino);
        Ok(())
    }

    /// True when setting attribute `name` settles a conflict, which may take its time.
    pub fn settles(name: &[u8]) -> bool {
        own_word(name) == Some(b"resolve")
    }

    /// Removes an extended attribute.
    pub fn removexattr(&self, call: &Call, ino: Ino, name: &[u8]) -> Result<()> {
        if own_word(name).is_some() {
            return Err(OverlayError::Unsupported("removing user.drift.*"));
        }
        self.check_xattr(name)?;
        self.tree.remove_xattr(ino, name, call.who)?;
        self.hooks.say_changed(ino);
        Ok(())
    }

    fn check_xattr(&self, name: &[u8]) -> Result<()> {
        if self.settings.noxattr {
            return Err(OverlayError::Unsupported("extended attributes (noxattr)"));
        }
        if REFUSED.contains(&name) {
            return Err(OverlayError::Unsupported("POSIX access control lists"));
        }
        Ok(())
    }

    fn set_own(&self, ino: Ino, word: &[u8], value: &[u8]) -> Result<()> {
        let Some(resolve) = self.hooks.resolve.as_ref().filter(|_| word == b"resolve") else {
            return Err(OverlayError::Unsupported("setting user.drift.*"));
        };
        let take = String::from_utf8_lossy(value);
        resolve(ino, take.trim_end_matches(['\0', '\n'])).map_err(|sentence| {
            self.say(ino, |path| format!("{path}: {sentence}"));
            OverlayError::BadValue(sentence)
        })
    }

    fn own_value(&self, ino: Ino, word: &[u8]) -> Result<Vec<u8>> {
        use std::os::unix::ffi::OsStrExt;
        match word {
            b"why" => Ok(self.why(ino).unwrap_or_default().into_bytes()),
            b"state-dir" if ino == Ino::ROOT => {
                Ok(self.settings.state_dir.as_os_str().as_bytes().to_vec())
            }
            _ => Err(TreeError::NoAttribute.into()),
        }
    }
}

/// The word after `user.drift.` or `drift.`, if the name is one of ours.
fn own_word(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(b"user.drift.")
        .or_else(|| name.strip_prefix(b"drift."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_names_are_told_from_the_users() {
        assert_eq!(own_word(b"user.drift.why"), Some(&b"why"[..]));
        assert_eq!(own_word(b"drift.state"), Some(&b"state"[..]));
        assert_eq!(own_word(b"user.drifting"), None);
        assert_eq!(own_word(b"user.comment"), None);
    }
}
