//! Making names: files, directories, symlinks, special files, hard links.

use super::{Call, HowToOpen, NewNode, Opened, Overlay, OverlayError, Result, Stat, given_up};
use crate::model::{Ino, Kind, Name};
use crate::tree::TreeError;

impl Overlay {
    /// Makes a node with a name; the kernel then holds a reference to it.
    pub fn make(&self, call: &Call, parent: Ino, name: &Name, new: &NewNode) -> Result<Stat> {
        self.check_name(parent, name)?;
        let seen = self
            .tree
            .create_masked(parent, name, new, call.umask, call.who)
            .map_err(|error| self.missing(call, error))?;
        self.hooks.say_changed(seen.node.ino);
        Ok(self.hand_over(&seen))
    }

    /// Makes a file and opens it. One that came up meanwhile is opened, unless `exclusive`.
    pub fn create(
        &self,
        call: &Call,
        parent: Ino,
        name: &Name,
        mode: u32,
        how: HowToOpen,
        exclusive: bool,
    ) -> Result<(Stat, Opened)> {
        let new = NewNode {
            kind: Kind::File,
            mode,
            rdev: 0,
            target: None,
        };
        // Nothing may be waited for once the name is made: the operation would be run again and find it there.
        let (stat, opened) = match self.make(call, parent, name, &new) {
            Err(OverlayError::Tree(TreeError::Exists)) if !exclusive => {
                let stat = self.lookup(call, parent, name)?;
                (stat, self.open(call, stat.ino, how))
            }
            made => {
                let (stat, how) = (
                    made?,
                    HowToOpen {
                        truncate: false,
                        ..how
                    },
                );
                (stat, self.open(&given_up(*call), stat.ino, how))
            }
        };
        match opened {
            Ok(opened) => Ok((stat, opened)),
            Err(error) => {
                self.tree.forget(stat.ino, 1);
                Err(error)
            }
        }
    }

    /// Gives a node one more name; the kernel then holds one more reference to it.
    pub fn link(&self, call: &Call, ino: Ino, parent: Ino, name: &Name) -> Result<Stat> {
        self.check_name(parent, name)?;
        self.check_live(ino)?;
        let seen = self
            .tree
            .link(ino, parent, name, call.who)
            .map_err(|error| self.missing(call, error))?;
        self.hooks.say_changed(ino);
        Ok(self.hand_over(&seen))
    }
}
