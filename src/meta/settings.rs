//! Settings by key, and counters.

use rusqlite::params;

use super::open::MetaError;
use super::rows::Rows;
use super::txn::WriteTxn;

type Result<T> = std::result::Result<T, MetaError>;

impl Rows<'_> {
    /// A setting by key (identity, mask, link switch, …).
    pub fn setting(&self, key: &str) -> Result<Option<String>> {
        self.one(
            "setting",
            "SELECT value FROM setting WHERE key = ?1",
            [key],
            |c| c.get(0),
        )
    }

    /// The first number of a sort that is not reserved; `None` while there is none.
    pub(super) fn counter(&self, name: &str) -> Result<Option<u64>> {
        self.one(
            "counter",
            "SELECT next FROM counter WHERE name = ?1",
            [name],
            |c| c.number(0),
        )
    }
}

impl WriteTxn<'_> {
    /// Stores a setting; `None` removes it.
    pub fn set_setting(&self, key: &str, value: Option<&str>) -> Result<()> {
        let what = "store a setting";
        match value {
            Some(value) => self.run(
                what,
                "INSERT INTO setting(key, value) VALUES(?1, ?2)
                 ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                params![key, value],
            )?,
            None => self.run(what, "DELETE FROM setting WHERE key = ?1", [key])?,
        };
        Ok(())
    }
}
