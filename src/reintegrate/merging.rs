//! Both sides changed the bytes: a driver merges them, or the disagreement is stored.

use super::job::Job;
use super::steps::Plan;
use super::trouble::Stop;
use super::universe::Key;
use crate::model::RelPath;

impl Job<'_> {
    /// TODO
    pub fn merge(&mut self, _key: Key, _path: &RelPath) -> Result<(), Stop> {
        Err(Stop::Conflict)
    }
    /// TODO
    pub fn store_clashes(&mut self, _plan: &Plan) -> Result<(), Stop> {
        Ok(())
    }
}
