//! The words every room uses. No files, no clock, no database.

mod few;
mod ids;
mod name;
mod node;
mod observed;
mod stamp;
mod take;
mod three;
mod trouble;
mod who;

pub use few::Few;
pub use ids::{Bid, ConflictId, Cookie, Epoch, Ino, IntentId, ObjectId, TxnId};
pub use name::{Name, NameError, RelPath};
pub use node::{Attrs, Bytes, Dirty, Kind, LiveStat, Time, Xattrs};
pub use observed::{Listed, Listing, Observed};
pub use stamp::{Hash, Mask, Sameness, Stamp};
pub use take::Take;
pub use three::Three;
pub use trouble::{ConflictKind, Problem};
pub use who::Who;
