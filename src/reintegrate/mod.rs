//! How our changes and the lower become one: scan -> plan -> brake -> stage -> apply -> report.

pub mod brake;
mod decide;
mod drafts;
mod places;
pub mod plan;
mod sequence;
pub mod steps;
pub mod universe;
