//! Extended attributes: the user's, and our own virtual ones (`user.drift.*`, `drift.*`: got, never listed).

use std::os::unix::ffi::OsStrExt;

use super::hidden::is_shown;
use super::{Call, Overlay, OverlayError, Result, SetXattr};
use crate::model::{Ino, Xattrs};
use crate::tree::TreeError;
use crate::variants::{self, Key};

/// On the root: where the state directory is. By it a person's command finds the daemon.
const STATE_DIR: &[u8] = b"user.drift.state-dir";

/// What the kernel asks for when it checks rights.
const LISTS: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// How XFS shows its access control lists to root a second time. Copying tools bring these beside the lists themselves:
/// taken without a word, and not kept.
const LISTS_OF_XFS: &[u8] = b"trusted.SGI_ACL_";

/// What SELinux keeps of a file.
const LABEL: &[u8] = b"security.selinux";

impl Overlay {
    /// The value of an extended attribute.
    pub fn getxattr(&self, ino: Ino, name: &[u8]) -> Result<Vec<u8>> {
        if let Some(key) = variants::key(name) {
            return self.own_value(ino, name, key);
        }
        if self.settings.noxattr {
            // Any other answer would make the kernel refuse what it wanted to check.
            if LISTS.contains(&name) {
                return Err(TreeError::NoAttribute.into());
            }
            return Err(OverlayError::Unsupported("extended attributes (noxattr)"));
        }
        if !is_known(name) {
            return Err(OverlayError::Unsupported("attributes of this name"));
        }
        let value = self.xattrs_of(ino)?.remove(name);
        match value {
            Some(value) => Ok(value),
            // Where SELinux is on, the kernel answers by itself. Elsewhere this is what network file systems say, and `ls -l`
            // does not ask again for each file.
            None if name == LABEL => Err(OverlayError::Unsupported("security labels")),
            None => Err(TreeError::NoAttribute.into()),
        }
    }

    /// The names of the extended attributes, each ended by NUL.
    pub fn listxattr(&self, ino: Ino) -> Result<Vec<u8>> {
        if self.settings.noxattr {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for name in self.xattrs_of(ino)?.keys() {
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
        self.check_live(ino)?;
        if let Some(key) = variants::key(name) {
            return self.set_own(ino, key, value);
        }
        self.check_xattr(name)?;
        if name.starts_with(LISTS_OF_XFS) {
            return Ok(());
        }
        self.tree.set_xattr(ino, name, value, how, call.who)?;
        self.hooks.say_changed(ino);
        Ok(())
    }

    /// True when setting attribute `name` settles a conflict, which may take its time.
    pub fn settles(name: &[u8]) -> bool {
        variants::key(name) == Some(Some(Key::Resolve))
    }

    /// Removes an extended attribute.
    pub fn removexattr(&self, call: &Call, ino: Ino, name: &[u8]) -> Result<()> {
        self.check_live(ino)?;
        if variants::key(name).is_some() {
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
        if !is_known(name) {
            return Err(OverlayError::Unsupported("attributes of this name"));
        }
        Ok(())
    }

    fn xattrs_of(&self, ino: Ino) -> Result<Xattrs> {
        if is_shown(ino) {
            self.xattrs_shown(ino)
        } else {
            Ok(self.tree.xattrs(ino)?)
        }
    }

    fn set_own(&self, ino: Ino, key: Option<Key>, value: &[u8]) -> Result<()> {
        let settles = key == Some(Key::Resolve);
        let Some(resolve) = self.hooks.resolve.as_ref().filter(|_| settles) else {
            return Err(OverlayError::Unsupported("setting user.drift.*"));
        };
        let take = String::from_utf8_lossy(value);
        resolve(ino, take.trim_end_matches(['\0', '\n'])).map_err(|sentence| {
            self.say(ino, |path| format!("{path}: {sentence}"));
            OverlayError::BadValue(sentence)
        })
    }

    fn own_value(&self, ino: Ino, name: &[u8], key: Option<Key>) -> Result<Vec<u8>> {
        match key {
            Some(Key::Why) => Ok(self.why(ino)?.into_bytes()),
            _ if is_shown(ino) => Err(TreeError::NoAttribute.into()),
            Some(Key::State) => Ok(self.variants.state(ino)?.into()),
            Some(Key::Variants) => Ok(self.variants.known(ino)?.into_bytes()),
            None if ino == Ino::ROOT && name == STATE_DIR => {
                Ok(self.settings.state_dir.as_os_str().as_bytes().to_vec())
            }
            Some(Key::Resolve) | None => Err(TreeError::NoAttribute.into()),
        }
    }
}

/// Names outside these spaces are nobody's; local file systems refuse them too.
fn is_known(name: &[u8]) -> bool {
    let spaces: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];
    let within = |space: &&[u8]| name.len() > space.len() && name.starts_with(space);
    LISTS.contains(&name) || spaces.iter().any(within)
}
