//! Given base, client and server bytes, what is the answer? Text is merged like git does (`gix-merge`).
//!
//! Pure: bytes in, bytes out. Without a base there is no merge, only equality: a two-way guess could drop a line one
//! side removed on purpose.

mod driver;
mod encoding;
mod endings;
mod text;

pub use driver::{Driver, Unmergeable, choose, merge};
pub use text::{Labels, Merged, is_text, merge_text};

/// Largest text that is merged; larger files conflict as a whole.
pub const MAX_TEXT: usize = 8 << 20;
