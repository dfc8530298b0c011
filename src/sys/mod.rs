//! How we touch the host: the only `std::fs`, `nix`, `libc`, `xattr`, `reflink-copy` and `blake3` calls, and any `unsafe`.
//! (Rooms may name `std::fs::File`, `std::io` and `std::path` types.)

mod attrs;
mod background;
mod bind;
mod caller;
mod clock;
mod clone;
mod control_socket;
mod copy;
pub mod dir;
pub mod errno;
mod executed;
mod file;
pub mod flags;
mod fuse_device;
mod hash;
mod host;
mod image;
mod lease;
mod memory;
mod mount;
mod mounts;
mod part;
mod positions;
mod process;
mod socket;
mod space;
mod stat;
mod state_dir;
mod trim;
mod watch;
mod xattrs;

pub use attrs::{set_mode, set_mtime, set_mtime_of, set_owner};
pub use background::{
    EndSignals, hold_end_signals, output_within, own_program, read_report, report_pipe,
    settle_down, sleep, spawn_detached, write_report,
};
pub use bind::{bind, is_empty_dir, make_dir_like};
pub use caller::{has_group, is_signalled};
pub use clock::now;
pub use clone::{Cloned, clone_file, copy_with_holes, reflink};
pub use control_socket::{
    connect as connect_control, listen as listen_control, peer_uid, remove as remove_control,
};
pub use copy::{CopyError, copy_hashed, forget_cached, hash_beating};
pub use dir::symlink_in;
pub use executed::is_executed;
pub use file::{
    FileStat, chmod, create_at, link_at, list_at, make_dir_at, open_at, open_dir, rename_at,
    stat_at, stat_of, sync, unlink_at,
};
pub use fuse_device::{clone_fuse_device, fuse_device};
pub use hash::{hash_bytes, hash_file};
pub use host::{can_reflink, has_sys_admin, is_root, kernel_release, processors, program_on_path};
pub use image::{image_size, loops_of, make_image, mount_image};
pub use lease::read_lease;
pub use memory::memory_file;
pub use mount::{FsStat, Mounted, mounted, statfs_of};
pub use mounts::{FS_TYPE, Holder, Mount, holders, mount_of, mounts, unmount};
pub use part::copy_part;
pub use positions::{
    FREEING, KEEP_SIZE, allocate, boot_id, copy_at, program_of, read_at, seek_to, set_len,
    sync_data, write_at,
};
pub use process::{
    Process, become_user, clear_umask, effective_uid, exit_at_once, inherit, inherited, open_null,
    parent, path_exists, random,
};
pub use socket::Channel;
pub use space::{DiskSpace, can_hold, disk_space, disk_space_of};
pub use stat::{Stat, statx_in, statx_of};
pub use state_dir::{
    Spot, StateLock, canonical, canonical_but_last, disk_use, euid, is_running, lock_state,
    make_private_dir, open_log, open_path, path_xattr, read_small, remove_small, short_hash, spot,
    write_small,
};
pub use trim::{give_memory_back, share_memory};
pub use watch::{WatchEvent, WatchId, Watcher};
pub use xattrs::{remove_xattr, set_xattr, xattrs_of};
