//! Who starts, joins and stops all of it.

mod agent;
mod approving;
mod bell;
mod config;
mod deciding;
mod dispatch;
mod doctor;
mod engine;
mod gate;
mod image;
mod launch;
mod leftover;
mod log;
mod look;
mod options;
mod place;
mod probing;
mod pushing;
mod redirect;
pub mod rescue;
mod running;
mod showing;
mod start;
mod stop;
mod syncing;
mod workers;

pub use doctor::{Finding, Health, doctor};
pub use image::parse_size;
pub use launch::{Mounting, PushMode, Ready, StartError, launch, run_detached, run_foreground};
pub use look::look_at_main;

pub use crate::lower::agent_main;
