//! How the kernel asks: decode, one call of `overlay`, reply.

mod adaptor;
mod backing;
mod capabilities;
mod convert;
mod errno;
mod listing;
mod listings;
mod notify;
mod parked;
#[cfg(test)]
mod patience_test;
mod replies;
mod session;
mod teller;
mod telling;
mod waits;

pub use session::{MountOptions, Mounted, mount};
pub use teller::teller_main;
