//! The look a run begins with.

use std::collections::{BTreeMap, BTreeSet};

use super::run::{Mode, Reintegrate};
use super::trouble::Stop;
use super::universe::{Key, Universe};
use crate::model::ObjectId;

/// What a look brought.
pub struct Looked {
    /// The three trees side by side.
    pub universe: Universe,
    /// Server bytes that were read on the way, sealed.
    pub read: BTreeMap<Key, ObjectId>,
    /// Server objects whose numbers may be taken over.
    pub numbered: BTreeSet<Key>,
}

impl Reintegrate {
    pub(super) fn scan(&self, mode: &Mode) -> Result<Looked, Stop> {
        let _ = mode;
        Err(Stop::Later("TODO join".into()))
    }
}
