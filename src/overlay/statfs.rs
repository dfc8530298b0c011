//! How much room there is.

use super::Overlay;
use crate::sys::DiskSpace;

impl Overlay {
    /// The room there is, from memory: the server's as last seen, else that of the state directory. Never waits.
    pub fn statfs(&self) -> DiskSpace {
        self.hooks
            .space
            .as_ref()
            .map_or(DiskSpace::default(), |space| space())
    }
}
