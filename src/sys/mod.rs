//! How we touch the host: the only `std::fs`, `nix`, `libc`, `xattr`, `reflink-copy` and `blake3` calls, and any `unsafe`.
//! (Rooms may name `std::fs::File`, `std::io` and `std::path` types.)

mod caller;
mod clock;
pub mod errno;
pub mod flags;
mod space;
mod unmount;

pub use caller::is_signalled;
pub use clock::now;
pub use space::{DiskSpace, disk_space};
pub use unmount::{is_root, processors, unmount};
