//! How we touch the host: the only `std::fs`, `nix`, `libc`, `xattr`, `reflink-copy` and `blake3` calls, and any `unsafe`.
//! (Rooms may name `std::fs::File`, `std::io` and `std::path` types.)

mod attrs;
mod clock;
mod clone;
mod copy;
pub mod dir;
mod file;
mod hash;
mod mount;
mod process;
mod socket;
mod stat;
mod xattrs;

pub use clock::now;
pub use clone::{Cloned, clone_file, copy_with_holes};
pub use file::{
    FileStat, chmod, create_at, link_at, list_at, lock_exclusive, make_dir_at, open_at, open_dir,
    rename_at, stat_at, stat_of, sync, unlink_at,
};
pub use hash::hash_file;

pub use attrs::{set_mode, set_mtime, set_owner};
pub use copy::{CopyError, copy_hashed, forget_cached, hash_beating};
pub use mount::{FsStat, Mounted, mounted, statfs_of};
pub use process::{
    Process, become_user, clear_umask, effective_uid, exit_at_once, inherit, inherited, open_null,
    path_exists, random,
};
pub use socket::Channel;
pub use stat::{Stat, statx_in, statx_of};
pub use xattrs::{remove_xattr, set_xattr, xattrs_of};
