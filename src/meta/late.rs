//! Reading a few rows of one moment, from memory where they are there.

use std::cell::{Cell, OnceCell};

use rusqlite::Connection;

use super::open::{Meta, MetaError};
use super::rows::{Db, Rows};
use super::write::not_inside;

/// Tries before everybody else must wait.
const TRIES: usize = 3;

impl Meta {
    /// Reads a few rows of one moment, from memory where they are there. Commits wait until `work` ends: so it must be
    /// short, and must neither write nor read by another call. It may run again from the start. For whole-tree work there is
    /// [`Meta::read`].
    pub fn quick<T, E: From<MetaError>>(
        &self,
        work: impl Fn(&Rows<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        not_inside();
        for _ in 0..TRIES {
            if let Some(done) = self.try_quick(&work) {
                return done;
            }
            self.settle()?;
        }
        // Nobody changes anything meanwhile.
        let mut front = self.front();
        self.settle_held(&mut front)?;
        let done = self.try_quick(&work);
        done.unwrap_or_else(|| Err(MetaError::Unsettled.into()))
    }

    /// `None` when the database does not have yet what was asked for.
    fn try_quick<T, E: From<MetaError>>(
        &self,
        work: impl Fn(&Rows<'_>) -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let _moment = self.cache.moment();
        let late = Late {
            meta: self,
            db: OnceCell::new(),
            refused: Cell::new(false),
        };
        let done = work(&Rows {
            db: Db::Later(&late),
            cache: Some(&self.cache),
            pending: None,
        });
        (!late.refused.get()).then_some(done)
    }
}

/// A connection that is taken when something is not in memory. Nothing is committed meanwhile, so it needs no transaction
/// to see one moment; but the database may lack what was changed a moment ago.
pub(super) struct Late<'a> {
    meta: &'a Meta,
    db: OnceCell<Connection>,
    refused: Cell<bool>,
}

impl Late<'_> {
    pub(super) fn get(&self, query: &str) -> Result<&Connection, MetaError> {
        if self.meta.unsettled.tables().are_in(query) {
            self.refused.set(true);
            return Err(MetaError::Unsettled);
        }
        self.meta.reader_in(&self.db)
    }

    pub(super) fn has_all(&self) -> bool {
        self.meta.unsettled.is_empty()
    }
}

impl Drop for Late<'_> {
    fn drop(&mut self) {
        if let Some(db) = self.db.take() {
            self.meta.put_back(db);
        }
    }
}
