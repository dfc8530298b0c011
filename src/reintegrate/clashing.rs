//! Conflicts of a plan are stored with every version they are about, before anything else happens.

use super::job::Job;
use super::report::Disagreement;
use super::steps::Plan;
use super::trouble::Stop;
use super::universe::Key;
use crate::model::{ConflictKind, ObjectId, RelPath};

impl Job<'_> {
    /// Stores the clashes of a plan and lists them in the report.
    pub fn store_clashes(&mut self, plan: &Plan) -> Result<(), Stop> {
        for clash in &plan.clashes {
            if self.universe.get(clash.key).standing.is_none() {
                self.store_conflict(clash.key, clash.kind, &clash.path, None)?;
            }
            self.hand.report.conflicts.push(Disagreement {
                path: clash.path.clone(),
                kind: clash.kind,
            });
        }
        Ok(())
    }

    /// TODO join
    pub fn store_conflict(
        &mut self,
        _key: Key,
        _kind: ConflictKind,
        _path: &RelPath,
        _merged: Option<ObjectId>,
    ) -> Result<(), Stop> {
        Ok(())
    }
}
