//! Rows of sealed objects, and which of them nobody needs.

use rusqlite::params;

use super::codec::Cols;
use super::open::MetaError;
use super::rows::{Rows, Sealed};
use super::txn::WriteTxn;
use crate::model::ObjectId;

type Result<T> = std::result::Result<T, MetaError>;

fn word(cols: &Cols<'_>) -> Result<Sealed> {
    Ok(Sealed {
        id: ObjectId(cols.number(0)?),
        size: cols.number(1)?,
        hash: cols.hash(2)?,
        durable: cols.get(3)?,
    })
}

/// Everything that names a sealed object. Liveness is this list, never a counter.
pub(super) const NAMED: &str = "
    SELECT object FROM base_node WHERE object IS NOT NULL
    UNION ALL SELECT object FROM past_bytes
    UNION ALL SELECT object FROM intent_object
    UNION ALL SELECT object FROM conflict_object";

impl Rows<'_> {
    /// The row of a sealed object.
    pub fn sealed(&self, id: ObjectId) -> Result<Option<Sealed>> {
        let query = "SELECT id, size, hash, durable FROM sealed WHERE id = ?1";
        self.one("sealed", query, [id.0 as i64], word)
    }

    /// Every sealed row.
    pub fn all_sealed(&self) -> Result<Vec<Sealed>> {
        self.many(
            "sealed",
            "SELECT id, size, hash, durable FROM sealed ORDER BY id",
            [],
            word,
        )
    }

    /// Sealed rows that are not synced yet.
    pub fn volatile(&self) -> Result<Vec<ObjectId>> {
        let query = "SELECT id FROM sealed WHERE durable = 0 ORDER BY id";
        self.many("sealed", query, [], |c| Ok(ObjectId(c.number(0)?)))
    }

    /// Sealed rows that nothing names (base, past bytes, intents, conflicts): may be swept.
    pub fn garbage(&self) -> Result<Vec<ObjectId>> {
        let query = format!("SELECT id FROM sealed WHERE id NOT IN ({NAMED}) ORDER BY id");
        self.many("sealed", &query, [], |c| Ok(ObjectId(c.number(0)?)))
    }
}

impl WriteTxn<'_> {
    /// Adds a sealed row. Its file must be in place before the transaction ends.
    pub fn put_sealed(&self, sealed: &Sealed) -> Result<()> {
        let command = "INSERT INTO sealed(id, size, hash, durable) VALUES(?1, ?2, ?3, ?4)
            ON CONFLICT(id) DO UPDATE SET size = excluded.size, hash = excluded.hash, durable = excluded.durable";
        let with = params![
            sealed.id.0 as i64,
            sealed.size as i64,
            sealed.hash.as_ref().map(|hash| &hash.0[..]),
            sealed.durable
        ];
        self.run("store a sealed object", command, with).map(|_| ())
    }

    /// Forgets sealed rows (their files may go afterwards).
    pub fn drop_sealed(&self, ids: &[ObjectId]) -> Result<()> {
        for id in ids {
            let command = "DELETE FROM sealed WHERE id = ?1";
            self.run("forget a sealed object", command, [id.0 as i64])?;
        }
        Ok(())
    }

    /// Marks sealed objects as synced.
    pub fn set_durable(&self, ids: &[ObjectId]) -> Result<()> {
        for id in ids {
            let command = "UPDATE sealed SET durable = 1 WHERE id = ?1";
            self.run("mark a sealed object", command, [id.0 as i64])?;
        }
        Ok(())
    }
}
