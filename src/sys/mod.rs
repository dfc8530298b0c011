//! How we touch the host: the only `std::fs`, `nix`, `libc`, `xattr`, `reflink-copy` and `blake3` calls, and any `unsafe`.
//! (Rooms may name `std::fs::File`, `std::io` and `std::path` types.)

mod clock;
mod clone;
mod file;
mod hash;
mod positions;

pub use clock::now;
pub use clone::{Cloned, clone_file, copy_with_holes};
pub use file::{
    FileStat, chmod, create_at, link_at, list_at, lock_exclusive, make_dir_at, open_at, open_dir,
    rename_at, stat_at, stat_of, sync, unlink_at,
};
pub use hash::hash_file;
pub use positions::{
    allocate, boot_id, copy_at, program_of, read_at, seek_to, set_len, set_mtime, sync_data,
    write_at,
};
