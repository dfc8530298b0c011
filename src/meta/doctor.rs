//! The invariants as queries: what `driftfs check` and the tests ask. A sound database answers nothing.

use super::open::MetaError;
use super::rows::Rows;
use super::sealed::NAMED;

/// Each finds rows that break an invariant: what it says of them, and the query that gives them as one column of text.
const QUERIES: &[(&str, &str)] = &[
    (
        "a name leads to no node",
        "SELECT parent || '/' || CAST(name AS TEXT) FROM entry WHERE ino NOT IN (SELECT ino FROM node)",
    ),
    (
        "a name lies in no directory",
        "SELECT parent || '/' || CAST(name AS TEXT) FROM entry
         WHERE parent NOT IN (SELECT ino FROM node WHERE kind = 2 AND nlink > 0)",
    ),
    (
        "a file's number of links is not its number of names",
        "SELECT ino || ': ' || nlink FROM node
         WHERE kind <> 2 AND nlink <> (SELECT count(*) FROM entry WHERE entry.ino = node.ino)",
    ),
    (
        "a listed directory's number of links is not 2 and its subdirectories",
        "SELECT ino || ': ' || nlink FROM node WHERE kind = 2 AND listed IS NOT NULL AND nlink > 0 AND nlink <> 2 +
            (SELECT count(*) FROM entry JOIN node AS child ON child.ino = entry.ino
             WHERE entry.parent = node.ino AND child.kind = 2)",
    ),
    (
        "a directory has not exactly one name",
        "SELECT ino FROM node WHERE kind = 2 AND nlink > 0 AND ino <> 1
            AND 1 <> (SELECT count(*) FROM entry WHERE entry.ino = node.ino)",
    ),
    ("the root has a name", "SELECT parent FROM entry WHERE ino = 1"),
    ("the root is missing", "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM node WHERE ino = 1 AND kind = 2)"),
    (
        "a node cannot be reached from the root",
        "WITH RECURSIVE reached(ino) AS (SELECT 1 UNION SELECT entry.ino FROM entry JOIN reached ON parent = reached.ino)
         SELECT ino FROM node WHERE nlink > 0 AND ino NOT IN (SELECT ino FROM reached)",
    ),
    (
        "a node descends from no base object",
        "SELECT ino FROM node WHERE bid IS NOT NULL AND bid NOT IN (SELECT bid FROM base_node)",
    ),
    (
        "a row is from a later epoch than now",
        "WITH now(e) AS (SELECT coalesce((SELECT next FROM counter WHERE name = 'epoch'), 1))
         SELECT ino FROM node, now WHERE since > e OR bytes_since > e UNION ALL SELECT ino FROM entry, now WHERE since > e",
    ),
    (
        "a base name leads to no base object",
        "SELECT parent || '/' || CAST(name AS TEXT) FROM base_entry WHERE bid NOT IN (SELECT bid FROM base_node)",
    ),
    (
        "a base name lies in no base directory",
        "SELECT parent || '/' || CAST(name AS TEXT) FROM base_entry
         WHERE parent NOT IN (SELECT bid FROM base_node WHERE kind = 2)",
    ),
    (
        "a base directory has more than one name",
        "SELECT bid FROM base_node WHERE kind = 2 AND 1 < (SELECT count(*) FROM base_entry WHERE base_entry.bid = base_node.bid)",
    ),
    (
        "a base object cannot be reached from the root",
        "WITH RECURSIVE reached(bid) AS
            (SELECT 1 UNION SELECT base_entry.bid FROM base_entry JOIN reached ON parent = reached.bid)
         SELECT bid FROM base_node WHERE bid NOT IN (SELECT bid FROM reached)",
    ),
    (
        "past rows of one node overlap",
        "SELECT a.ino FROM past_node a JOIN past_node b ON a.ino = b.ino AND a.to_epoch < b.to_epoch
         WHERE b.from_epoch < a.to_epoch
         UNION ALL SELECT a.ino FROM past_node a JOIN node b ON a.ino = b.ino WHERE b.since < a.to_epoch",
    ),
    (
        "past rows of one name overlap",
        "SELECT a.parent || '/' || CAST(a.name AS TEXT) FROM past_entry a JOIN past_entry b
            ON a.parent = b.parent AND a.name = b.name AND a.to_epoch < b.to_epoch WHERE b.from_epoch < a.to_epoch
         UNION ALL SELECT a.parent || '/' || CAST(a.name AS TEXT) FROM past_entry a JOIN entry b
            ON a.parent = b.parent AND a.name = b.name WHERE b.since < a.to_epoch",
    ),
    (
        "kept bytes of one node overlap",
        "SELECT a.ino FROM past_bytes a JOIN past_bytes b ON a.ino = b.ino AND a.to_epoch < b.to_epoch
         WHERE b.from_epoch < a.to_epoch",
    ),
];

impl Rows<'_> {
    /// What breaks an invariant, one sentence each; empty when all is sound.
    pub fn doctor(&self) -> Result<Vec<String>, MetaError> {
        let mut found = Vec::new();
        for (what, query) in QUERIES {
            found.extend(self.broken(what, query)?);
        }
        let missing = format!(
            "SELECT DISTINCT object FROM ({NAMED}) WHERE object NOT IN (SELECT id FROM sealed)"
        );
        found.extend(self.broken("a sealed object is named that has no row", &missing)?);
        found.extend(self.broken(
            "the database file is damaged",
            "SELECT * FROM pragma_quick_check WHERE quick_check <> 'ok'",
        )?);
        Ok(found)
    }

    fn broken(&self, what: &str, query: &str) -> Result<Vec<String>, MetaError> {
        self.many("meta.db", query, [], |c| {
            // Numbers, texts and blobs alike, without trusting what a damaged row holds.
            let value: rusqlite::types::Value = c.get(0)?;
            Ok(match value {
                rusqlite::types::Value::Integer(n) => format!("{what}: {}", n as u64),
                rusqlite::types::Value::Text(text) => format!("{what}: {text}"),
                other => format!("{what}: {other:?}"),
            })
        })
    }
}
