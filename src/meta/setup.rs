//! Setting up the database file: how it is written, its tables, its format.

use std::fs::File;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::codec::sql;
use super::open::{BUSY, MetaError, io};
use super::schema;
use crate::sys;

/// Bytes of the log at which it is written back.
const LOG: i64 = 16 << 20;

pub(super) fn configure(db: &Connection) -> Result<(), MetaError> {
    let what = "be set up";
    db.busy_timeout(BUSY).map_err(sql(what))?;
    keep_plans(db)?;
    db.set_prepared_statement_cache_capacity(128);
    // Counts only for a new file: a transaction touches a few rows on each of many pages, and writes whole pages.
    db.execute_batch("PRAGMA page_size = 2048")
        .map_err(sql(what))?;
    let mode: String = db
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(sql(what))?;
    if mode != "wal" {
        return Err(MetaError::Damaged {
            table: "meta.db",
            why: format!("the file system of the state directory allows only journal mode {mode}"),
        });
    }
    // NORMAL: a commit is handed to the kernel and not synced; `flush` is the one place that does.
    let page: i64 = db
        .query_row("PRAGMA page_size", [], |row| row.get(0))
        .map_err(sql(what))?;
    db.execute_batch(&format!(
        "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = {}; PRAGMA cache_size = -8192",
        LOG / page.max(512)
    ))
    .map_err(sql(what))
}

/// Statements are planned once. Otherwise SQLite plans one anew for each value it is given, where an index over some rows only
/// might serve another value better.
pub(super) fn keep_plans(db: &Connection) -> Result<(), MetaError> {
    let set = db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
    set.map(drop).map_err(sql("be set up"))
}

/// Checks who wrote the file, and makes the tables in an empty one.
pub(super) fn prepare(db: &mut Connection) -> Result<(), MetaError> {
    let number = |pragma: &str| {
        db.query_row(pragma, [], |row| row.get::<_, i64>(0))
            .map_err(sql("read its format"))
    };
    let id = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if (id, version, tables) == (0, 0, 0) {
        let txn = db.transaction().map_err(sql("make its tables"))?;
        txn.execute_batch(schema::TABLES)
            .and_then(|()| txn.execute_batch(&schema::STEPS.concat()))
            .and_then(|()| txn.pragma_update(None, "application_id", schema::APPLICATION_ID))
            .and_then(|()| txn.pragma_update(None, "user_version", schema::VERSION))
            .map_err(sql("make its tables"))?;
        return txn.commit().map_err(sql("make its tables"));
    }
    if id != schema::APPLICATION_ID {
        return Err(MetaError::Damaged {
            table: "meta.db",
            why: "the file was not written by driftfs".to_owned(),
        });
    }
    if !(1..=schema::VERSION).contains(&version) {
        return Err(MetaError::Version {
            found: version,
            known: schema::VERSION,
        });
    }
    migrate(db, version)
}

/// Takes an older format to the newest, step by step in one transaction.
fn migrate(db: &mut Connection, version: i64) -> Result<(), MetaError> {
    let what = "be taken to the newest format";
    let steps = &schema::STEPS[(version - 1) as usize..];
    if steps.is_empty() {
        return Ok(());
    }
    let txn = db.transaction().map_err(sql(what))?;
    txn.execute_batch(&steps.concat())
        .and_then(|()| txn.pragma_update(None, "user_version", schema::VERSION))
        .map_err(sql(what))?;
    txn.commit().map_err(sql(what))
}

/// Opens the log, and makes sure that the names of both files are on disk.
pub(super) fn open_log(dir: &Path) -> Result<File, MetaError> {
    let dir = sys::open_dir(dir).map_err(io("open"))?;
    let log = sys::open_at(&dir, Path::new("meta.db-wal"), false).map_err(io("open"))?;
    sys::sync(&log)
        .and_then(|()| sys::sync(&dir))
        .map_err(io("sync"))?;
    Ok(log)
}
