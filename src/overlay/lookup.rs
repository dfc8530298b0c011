//! From a directory and a name to a node.

use super::hidden::is_shown;
use super::{Call, OWN, Overlay, Result, Stat};
use crate::model::{Ino, Name};
use crate::tree::TreeError;
use crate::variants::HIDDEN;

impl Overlay {
    /// The node at a name; the kernel then holds one more reference to it.
    pub fn lookup(&self, call: &Call, parent: Ino, name: &Name) -> Result<Stat> {
        if parent == Ino::ROOT && name.bytes() == OWN {
            return Err(TreeError::NotFound.into());
        }
        if is_shown(parent) || name.bytes() == HIDDEN.as_bytes() {
            return self.lookup_shown(parent, name);
        }
        self.look_first(call, parent)?;
        let seen = self
            .tree
            .lookup(parent, name)
            .map_err(|error| self.missing(call, error))?;
        Ok(self.hand_over(&seen))
    }

    /// The target of a symlink.
    pub fn readlink(&self, ino: Ino) -> Result<Vec<u8>> {
        if is_shown(ino) {
            return self.readlink_shown(ino);
        }
        let seen = self.tree.stat(ino)?;
        Ok(seen.node.target.ok_or(TreeError::Invalid)?)
    }
}
