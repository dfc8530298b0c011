//! How we touch the host: the only `std::fs`, `nix`, `libc`, `xattr`, `reflink-copy` and `blake3` calls, and any `unsafe`.
//! (Rooms may name `std::fs::File`, `std::io` and `std::path` types.)

mod caller;
mod clock;
mod clone;
pub mod errno;
mod file;
pub mod flags;
mod hash;
mod positions;
mod space;

pub use caller::is_signalled;
pub use clock::now;
pub use clone::{Cloned, clone_file, copy_with_holes};
pub use file::{
    FileStat, chmod, create_at, link_at, list_at, lock_exclusive, make_dir_at, open_at, open_dir,
    rename_at, stat_at, stat_of, sync, unlink_at,
};
pub use hash::hash_file;
pub use space::{DiskSpace, disk_space};

mod background;
mod control_socket;
mod host;
mod mounts;
mod state_dir;

pub use background::{
    EndSignals, hold_end_signals, output_within, own_program, read_report, report_pipe,
    settle_down, sleep, spawn_detached, write_report,
};
pub use control_socket::{
    connect as connect_control, listen as listen_control, peer_uid, remove as remove_control,
};
pub use host::{
    can_reflink, fuse_device, has_sys_admin, is_root, kernel_release, processors, program_on_path,
};
pub use mounts::{FS_TYPE, Holder, Mount, holders, mount_of, mounts, unmount};
pub use positions::{
    allocate, boot_id, copy_at, program_of, read_at, seek_to, set_len, set_mtime, sync_data,
    write_at,
};
pub use state_dir::{
    Spot, StateLock, canonical, canonical_but_last, disk_use, euid, is_running, lock_state,
    make_private_dir, names_in, open_log, open_path, path_xattr, read_small, remove_small,
    short_hash, spot, write_small,
};
