//! Moving names.

use super::{Call, Overlay, RenameMode, Result};
use crate::model::{Ino, Name};

impl Overlay {
    /// Renames.
    pub fn rename(
        &self,
        call: &Call,
        from: (Ino, &Name),
        to: (Ino, &Name),
        mode: RenameMode,
    ) -> Result<()> {
        self.check_name(from.0, from.1)?;
        self.check_name(to.0, to.1)?;
        self.tree
            .rename(from, to, mode, call.who)
            .map_err(|error| self.missing(call, error))?;
        self.hooks.say_changed(to.0);
        Ok(())
    }
}
