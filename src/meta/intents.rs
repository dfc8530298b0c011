//! Intentions that outlive the process.

use rusqlite::params;

use super::open::MetaError;
use super::rows::{Intent, Rows};
use super::txn::WriteTxn;
use crate::model::{IntentId, ObjectId};

type Result<T> = std::result::Result<T, MetaError>;

impl Rows<'_> {
    /// Open intents, oldest first.
    pub fn intents(&self) -> Result<Vec<Intent>> {
        let query = "SELECT id, kind, body FROM intent ORDER BY id";
        self.many("intent", query, [], |c| {
            let id = IntentId(c.number(0)?);
            Ok(Intent {
                id,
                kind: c.get(1)?,
                body: c.get(2)?,
                objects: self.intent_objects(id)?,
            })
        })
    }

    fn intent_objects(&self, id: IntentId) -> Result<Vec<ObjectId>> {
        let query = "SELECT object FROM intent_object WHERE intent = ?1 ORDER BY object";
        self.many("intent_object", query, [id.0 as i64], |c| {
            Ok(ObjectId(c.number(0)?))
        })
    }
}

impl WriteTxn<'_> {
    /// Adds an intent.
    pub fn add_intent(&self, kind: &str, body: &str, objects: &[ObjectId]) -> Result<IntentId> {
        let id = IntentId(self.new_row("intent")?);
        let command = "INSERT INTO intent(id, kind, body) VALUES(?1, ?2, ?3)";
        self.run("store an intent", command, params![id.0 as i64, kind, body])?;
        self.set_intent_objects(id, objects)?;
        Ok(id)
    }

    /// Changes an intent's body and objects.
    pub fn set_intent(&self, id: IntentId, body: &str, objects: &[ObjectId]) -> Result<()> {
        let command = "UPDATE intent SET body = ?2 WHERE id = ?1";
        self.run("store an intent", command, params![id.0 as i64, body])?;
        self.set_intent_objects(id, objects)
    }

    /// Ends an intent.
    pub fn drop_intent(&self, id: IntentId) -> Result<()> {
        self.set_intent_objects(id, &[])?;
        self.run(
            "end an intent",
            "DELETE FROM intent WHERE id = ?1",
            [id.0 as i64],
        )
        .map(|_| ())
    }

    fn set_intent_objects(&self, id: IntentId, objects: &[ObjectId]) -> Result<()> {
        let what = "store an intent";
        self.run(
            what,
            "DELETE FROM intent_object WHERE intent = ?1",
            [id.0 as i64],
        )?;
        for object in objects {
            let command = "INSERT OR IGNORE INTO intent_object(intent, object) VALUES(?1, ?2)";
            self.run(what, command, [id.0 as i64, object.0 as i64])?;
        }
        Ok(())
    }
}
