//! One file per family of calls.

pub mod attempts;
pub mod looking;
pub mod publishing;
pub mod reading;
pub mod setting;
pub mod staging;
pub mod taking;
pub mod watching;
