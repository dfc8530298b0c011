//! How our changes and the lower become one: scan -> plan -> brake -> carry out -> report.
//!
//! [`Reintegrate::run`] does all of it; [`Reintegrate::preview`] stops after the plan.

mod agree;
mod asking;
mod basing;
pub mod brake;
mod build;
mod carrying;
pub mod changes;
mod clashing;
pub mod conflicts;
mod decide;
mod differing;
mod displaced;
mod drafts;
mod fates;
mod grouping;
mod hand;
mod hashing;
mod identify;
mod intents;
mod job;
mod keys;
mod looking;
mod merging;
mod moving;
mod places;
pub mod plan;
mod pulling;
mod putting;
mod reading;
mod report;
pub mod resolve;
mod resume;
mod run;
mod sameness;
pub mod scan;
mod sequence;
mod settle;
mod sifting;
pub mod steps;
mod takeover;
mod taking;
mod tidy;
mod tokens;
mod touched;
mod trees;
mod trouble;
pub mod universe;
mod walk;
mod width;
mod world;

pub use report::{Disagreement, Line, Report};
pub use run::{Mode, Points, Preview, Reintegrate};
pub use trouble::Failure;
pub use width::Width;
