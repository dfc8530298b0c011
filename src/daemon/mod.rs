//! Who starts, joins and stops all of it.

mod doctor;
mod launch;
mod look;
mod options;
mod place;
pub mod rescue;
mod start;

pub use doctor::{Finding, Health, doctor};
pub use launch::{Mounting, PushMode, Ready, StartError, launch, run_detached, run_foreground};
pub use look::look_at_main;

pub use crate::lower::agent_main;
