//! How our changes and the lower become one: scan -> plan -> brake -> stage -> apply -> report.

pub mod steps;
pub mod universe;
