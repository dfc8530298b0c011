//! How we touch the host: the only `std::fs`, `nix`, `libc`, `xattr`, `reflink-copy` and `blake3` calls, and any `unsafe`.
//! (Rooms may name `std::fs::File`, `std::io` and `std::path` types.)

mod clock;

pub use clock::now;

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
pub use host::{can_reflink, fuse_device, has_sys_admin, kernel_release, program_on_path};
pub use mounts::{FS_TYPE, Holder, Mount, holders, mount_of, mounts};
pub use state_dir::{
    Spot, StateLock, canonical, canonical_but_last, disk_use, euid, is_running, lock_state,
    make_private_dir, names_in, open_log, open_path, path_xattr, read_small, remove_small,
    short_hash, spot, write_small,
};
