//! Who asked.

use serde::{Deserialize, Serialize};

/// The caller of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Process; 0 when driftfs itself acts.
    pub pid: u32,
}

impl Who {
    /// driftfs itself.
    pub const DRIFTFS: Who = Who {
        uid: 0,
        gid: 0,
        pid: 0,
    };
}
