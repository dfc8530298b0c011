//! How our changes and the lower become one: scan -> plan -> brake -> stage -> apply -> report.

mod build;
mod identify;
pub mod scan;
pub mod steps;
mod takeover;
mod tokens;
mod touched;
mod trees;
pub mod universe;
mod walk;
