//! The main job on a real mount, by real system calls and the real program.

#[path = "../support/mod.rs"]
mod support;

mod basics;
mod cache_image;
mod commands;
mod conflicts;
mod daemon_alone;
mod daemon_life;
mod hidden;
mod killed;
mod large;
mod link_lost;
mod local_only;
mod offline;
mod parts;
mod passthrough;
mod push_modes;
mod restarts;
mod special;
mod warm;
mod watched;
