//! A disagreement as a value: what base, client and server say of one thing.

use serde::{Deserialize, Serialize};

/// The three versions of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Three<T> {
    /// What both last agreed on.
    pub base: T,
    /// What the live tree has.
    pub client: T,
    /// What the lower has.
    pub server: T,
}

impl<T: PartialEq> Three<T> {
    /// The answer that needs no thought: both equal, or only one side differs from base.
    pub fn trivial(&self) -> Option<&T> {
        if self.client == self.server || self.server == self.base {
            Some(&self.client)
        } else if self.client == self.base {
            Some(&self.server)
        } else {
            None
        }
    }
}

impl<T> Three<T> {
    /// The same with client and server exchanged.
    #[must_use]
    pub fn swapped(self) -> Three<T> {
        Three {
            base: self.base,
            client: self.server,
            server: self.client,
        }
    }
}
