//! One newtype per id, so that no number is taken for another.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

id!(
    /// Number of a node of the live tree, as `st_ino` shows it. Root is 1. Given once, never reused.
    Ino
);
id!(
    /// Number of an object of the base tree. The root of the base tree is 1.
    Bid
);
id!(
    /// Number of a sealed object (immutable local bytes).
    ObjectId
);
id!(
    /// Counts snapshots: rows and bytes changed in the current epoch may change in place.
    Epoch
);
id!(
    /// Position of an entry in its directory: monotonic from 3, never reused.
    Cookie
);
id!(
    /// Number of one durable intention to change the lower or the live tree.
    IntentId
);
id!(
    /// Number of a conflict row.
    ConflictId
);
id!(
    /// Number of one transaction on the lower; with its attempt it names a directory in `.driftfs/tx/`.
    TxnId
);

impl Ino {
    /// The root directory of the live tree.
    pub const ROOT: Ino = Ino(1);
    /// First number of our own; smaller ones are taken over from the lower.
    pub const OURS: u64 = 1 << 52;
    /// First number of nodes of views (`.drift/…`).
    pub const VIEWS: u64 = 1 << 62;
}

impl Bid {
    /// The root of the base tree.
    pub const ROOT: Bid = Bid(1);
}
