//! Taking names away.

use super::{Call, Overlay, Result};
use crate::model::{Ino, Name};

impl Overlay {
    /// Removes a name of a non-directory.
    pub fn unlink(&self, call: &Call, parent: Ino, name: &Name) -> Result<()> {
        self.check_name(parent, name)?;
        let ino = self
            .tree
            .unlink(parent, name, call.who)
            .map_err(|error| self.missing(call, error))?;
        self.hooks.say_changed(ino);
        Ok(())
    }

    /// Removes an empty directory. One whose names are not known here must be listed first: it may not be empty.
    pub fn rmdir(&self, call: &Call, parent: Ino, name: &Name) -> Result<()> {
        self.check_name(parent, name)?;
        let ino = self
            .tree
            .rmdir(parent, name, call.who)
            .map_err(|error| self.missing(call, error))?;
        self.hooks.say_changed(ino);
        Ok(())
    }
}
