//! Opening the database, and the two kinds of transaction.

use std::cell::{OnceCell, RefCell};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::cache::{Cache, Changed, Pending};
use super::codec::sql;
use super::rows::{Db, Node, Rows};
use super::txn::{State, WriteTxn};
use super::{first, schema};
use crate::model::Ino;
use crate::sys;

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// SQLite said no.
    #[error("the database could not {what}: {source}")]
    Sql {
        /// What was tried.
        what: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The disk is full: nothing was changed.
    #[error("no space left for the database")]
    Full,
    /// Written by a newer driftfs.
    #[error(
        "this state directory has format {found}, and this driftfs knows formats up to {known}; install a newer driftfs"
    )]
    Version {
        /// Found in the file.
        found: i64,
        /// Known here.
        known: i64,
    },
    /// A row that cannot be what we wrote.
    #[error("damaged row in {table}: {why}")]
    Damaged {
        /// Where.
        table: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The log could not be synced, or the file not be opened.
    #[error("the database file {what} failed: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the host said.
        source: std::io::Error,
    },
    /// A test told this database to refuse every write from some moment on (see [`Meta::stop_after`]).
    #[error("the database was told to stop")]
    Stopped,
}

/// Readers kept open for the next read; more are opened when needed and closed afterwards.
const READERS: usize = 8;

/// The database.
pub struct Meta {
    writer: Mutex<Writer>,
    readers: Mutex<Vec<Connection>>,
    cache: Cache,
    file: PathBuf,
    /// The log, held open for syncing. SQLite keeps this one file for as long as a connection is open, and has no
    /// file locks on it, so a descriptor of ours disturbs nothing.
    log: File,
}

struct Writer {
    db: Connection,
    state: State,
    /// Commits still allowed; `None`: no limit.
    allowed: Option<u64>,
}

impl Meta {
    /// Opens `meta.db` in `dir`, making it when there is none. The root node, root base object and epoch 1 exist afterwards.
    pub fn open(dir: &Path) -> Result<Meta, MetaError> {
        let file = dir.join("meta.db");
        let mut db = Connection::open(&file).map_err(sql("open its file"))?;
        configure(&db)?;
        prepare(&mut db)?;
        let log = open_log(dir)?;
        let meta = Meta {
            writer: Mutex::new(Writer {
                db,
                state: State::default(),
                allowed: None,
            }),
            readers: Mutex::new(Vec::new()),
            cache: Cache::new(),
            file,
            log,
        };
        meta.write(first::rows)?;
        Ok(meta)
    }

    /// Keeps rows of at most so many nodes in memory, beginning with none.
    pub fn keep_in_memory(&self, nodes: usize) {
        self.cache.set_limit(nodes);
    }

    /// Nodes and names kept in memory now.
    pub fn kept_in_memory(&self) -> (usize, usize) {
        self.cache.size()
    }

    /// The 512-byte blocks of a clean live file, if somebody noted them since its row changed.
    pub fn known_blocks(&self, ino: Ino) -> Option<u64> {
        self.cache.blocks(ino)
    }

    /// Notes the blocks of a live file, in memory only.
    pub fn note_blocks(&self, node: &Node, blocks: u64) {
        self.cache.note_blocks(node, blocks);
    }

    /// Reads a few rows of one moment, from memory where they are there. Commits wait until `work` ends: so it must be
    /// short, and must neither write nor read by another call. For whole-tree work there is [`Meta::read`].
    pub fn quick<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&Rows<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let _moment = self.cache.moment();
        let late = Late {
            meta: self,
            db: OnceCell::new(),
        };
        work(&Rows {
            db: Db::Later(&late),
            cache: Some(&self.cache),
            pending: None,
        })
    }

    /// Reads one moment of the database. Never waits for a writer.
    pub fn read<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&Rows<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let db = self.reader()?;
        let span = Span::begin(&db, "BEGIN")?;
        let result = work(&Rows {
            db: Db::Is(&db),
            cache: None,
            pending: None,
        });
        drop(span);
        self.put_back(db);
        result
    }

    /// Runs `work` in the one write transaction; an error takes all of it back. Not to be called from inside another
    /// [`Meta::write`] of the same thread.
    pub fn write<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&WriteTxn<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.write_then(work, |_| ())
    }

    /// As [`Meta::write`]; `tell` is told what is shown differently afterwards, once that is so.
    pub fn write_and_tell<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&WriteTxn<'_>) -> Result<T, E>,
        tell: impl FnOnce(Changed),
    ) -> Result<T, E> {
        let mut changed = Changed::default();
        let done = self.write_then(work, |pending| changed = self.cache.compare(pending))?;
        if !changed.is_empty() {
            tell(changed);
        }
        Ok(done)
    }

    fn write_then<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&WriteTxn<'_>) -> Result<T, E>,
        look: impl FnOnce(&Pending),
    ) -> Result<T, E> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = &mut *writer;
        if writer.allowed == Some(0) {
            return Err(MetaError::Stopped.into());
        }
        let span = Span::begin(&writer.db, "BEGIN IMMEDIATE")?;
        let pending = RefCell::new(Pending::default());
        let txn = WriteTxn::new(&writer.db, &writer.state, &self.cache, &pending);
        let done = work(&txn).and_then(|value| {
            let pending = pending.take();
            look(&pending);
            self.commit(&span, pending)?;
            Ok(value)
        });
        drop(span);
        match done {
            Ok(value) => {
                writer.allowed = writer.allowed.map(|left| left - 1);
                // Numbers of transactions on the lower must not come again, not even after a power cut.
                if writer.state.committed() {
                    self.flush()?;
                }
                Ok(value)
            }
            Err(error) => {
                writer.state.taken_back();
                Err(error)
            }
        }
    }

    /// The commit and its rows in memory are one step for whoever reads from memory.
    fn commit(&self, span: &Span<'_>, pending: Pending) -> Result<(), MetaError> {
        let _moment = self.cache.moment_alone();
        let committed = span.commit();
        match &committed {
            Ok(()) => self.cache.apply(pending),
            // Whatever the database made of it is read anew.
            Err(_) => self.cache.clear(),
        }
        committed
    }

    /// Syncs the log: everything committed before this call survives power loss afterwards.
    ///
    /// The log file itself is synced. A passive checkpoint would not do (it syncs nothing while a reader holds an old
    /// moment), nor an empty commit with `synchronous=FULL` (it writes no frame, so it syncs none). What is no longer in
    /// the log was synced into the database file by the checkpoint that let the log restart. No writer waits for this.
    pub fn flush(&self) -> Result<(), MetaError> {
        sys::sync(&self.log).map_err(io("sync"))
    }

    /// For tests of crashes: after `commits` more transactions every write is refused and leaves nothing, as if the
    /// process had been killed there.
    #[doc(hidden)]
    pub fn stop_after(&self, commits: u64) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.allowed = Some(commits);
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection for reading.
    fn reader(&self) -> Result<Connection, MetaError> {
        let pooled = self.readers().pop();
        pooled.map_or_else(|| self.open_reader(), Ok)
    }

    fn put_back(&self, db: Connection) {
        let mut readers = self.readers();
        if readers.len() < READERS {
            readers.push(db);
        }
    }

    fn open_reader(&self) -> Result<Connection, MetaError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.file, flags).map_err(sql("open its file"))?;
        db.set_prepared_statement_cache_capacity(64);
        // What is asked for often is kept as rows.
        db.execute_batch("PRAGMA cache_size = -1024")
            .map_err(sql("open its file"))?;
        db.busy_timeout(BUSY).map_err(sql("open its file"))?;
        Ok(db)
    }
}

/// A connection that is taken when something is not in memory. Nothing is committed meanwhile, so it needs no transaction
/// to see one moment.
pub(super) struct Late<'a> {
    meta: &'a Meta,
    db: OnceCell<Connection>,
}

impl Late<'_> {
    pub(super) fn get(&self) -> Result<&Connection, MetaError> {
        match self.db.get() {
            Some(db) => Ok(db),
            None => {
                let db = self.meta.reader()?;
                Ok(self.db.get_or_init(|| db))
            }
        }
    }
}

impl Drop for Late<'_> {
    fn drop(&mut self) {
        if let Some(db) = self.db.take() {
            self.meta.put_back(db);
        }
    }
}

/// Nobody but this process uses the database; a checkpoint or a rescue command may hold it for a moment.
const BUSY: std::time::Duration = std::time::Duration::from_secs(10);

pub(super) fn io(what: &'static str) -> impl Fn(std::io::Error) -> MetaError {
    move |source| match source.raw_os_error() {
        // ENOSPC, EDQUOT
        Some(28 | 122) => MetaError::Full,
        _ => MetaError::Io { what, source },
    }
}

/// Bytes of the log at which it is written back.
const LOG: i64 = 16 << 20;

fn configure(db: &Connection) -> Result<(), MetaError> {
    let what = "be set up";
    db.busy_timeout(BUSY).map_err(sql(what))?;
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

/// Checks who wrote the file, and makes the tables in an empty one.
fn prepare(db: &mut Connection) -> Result<(), MetaError> {
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
fn open_log(dir: &Path) -> Result<File, MetaError> {
    let dir = sys::open_dir(dir).map_err(io("open"))?;
    let log = sys::open_at(&dir, Path::new("meta.db-wal"), false).map_err(io("open"))?;
    sys::sync(&log)
        .and_then(|()| sys::sync(&dir))
        .map_err(io("sync"))?;
    Ok(log)
}

/// An open transaction; ended without effect when dropped uncommitted, also by a panic in between.
struct Span<'a>(&'a Connection);

impl<'a> Span<'a> {
    fn begin(db: &'a Connection, how: &str) -> Result<Span<'a>, MetaError> {
        run(db, how)?;
        Ok(Span(db))
    }

    fn commit(&self) -> Result<(), MetaError> {
        run(self.0, "COMMIT")
    }
}

impl Drop for Span<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit()
            && let Err(error) = run(self.0, "ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be taken back");
        }
    }
}

fn run(db: &Connection, command: &str) -> Result<(), MetaError> {
    let what = "begin or end a transaction";
    let mut statement = db.prepare_cached(command).map_err(sql(what))?;
    statement.execute([]).map(|_| ()).map_err(sql(what))
}
