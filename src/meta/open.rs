//! Opening the database, and reading it.

use std::cell::{OnceCell, RefCell};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::cache::Cache;
use super::change::{Change, store_all};
use super::codec::sql;
use super::first;
use super::flush::Unflushed;
use super::redo::{Redo, RedoFiles, Step};
use super::rows::{Db, Node, Rows};
use super::settle::{Back, Unsettled, run};
use super::setup::{configure, keep_plans, open_log, prepare};
use super::txn::State;
use super::write::{Front, not_inside};
use crate::model::Ino;

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
    /// The database does not have yet what was asked for: it is asked again. Nobody outside sees this.
    #[error("the database does not have everything yet")]
    Unsettled,
    /// A test told this database to refuse every write from some moment on (see [`Meta::stop_after`]).
    #[error("the database was told to stop")]
    Stopped,
}

/// Readers kept open for the next read; more are opened when needed and closed afterwards.
const READERS: usize = 8;

/// The database.
pub struct Meta {
    front: Mutex<Front>,
    pub(super) back: Mutex<Back>,
    pub(super) unsettled: Unsettled,
    /// Rung when there is something to store.
    pub(super) wake: Condvar,
    pub(super) redo: RedoFiles,
    readers: Mutex<Vec<Connection>>,
    pub(super) cache: Cache,
    file: PathBuf,
    /// The log, held open for syncing. SQLite keeps this one file for as long as a connection is open, and has no
    /// file locks on it, so a descriptor of ours disturbs nothing.
    pub(super) log: File,
    /// Transactions were committed to the log since it was last synced that are not in the redo journal.
    pub(super) log_is_new: AtomicBool,
    /// Transactions that needed the database itself.
    pub(super) heavy: AtomicU64,
    /// One flush at a time: who comes second must not find that all is synced before it is.
    pub(super) flushing: Mutex<()>,
    /// Nodes whose rows or names changed since.
    pub(super) changed: Mutex<Unflushed>,
}

impl Meta {
    /// Opens `meta.db` in `dir`, making it when there is none, and carries out what the redo journal has for it. The root
    /// node, root base object and epoch 1 exist afterwards.
    pub fn open(dir: &Path) -> Result<Meta, MetaError> {
        let file = dir.join("meta.db");
        let mut db = Connection::open(&file).map_err(sql("open its file"))?;
        configure(&db)?;
        prepare(&mut db)?;
        let stored = stored(&db)?;
        let (redo, redo_files, steps) = Redo::open(dir, stored)?;
        let back = Back {
            db,
            todo: RefCell::default(),
        };
        let number = steps.last().map_or(stored, |step| step.number);
        carry_out(&back, steps, number)?;
        // Syncs what was carried out: only then the redo journal may begin anew.
        let log = open_log(dir)?;
        redo_files.clear()?;
        let meta = Meta {
            front: Mutex::new(Front {
                state: State::default(),
                allowed: None,
                number,
                queue: Vec::new(),
                redo,
            }),
            back: Mutex::new(back),
            unsettled: Unsettled::default(),
            wake: Condvar::new(),
            redo: redo_files,
            readers: Mutex::new(Vec::new()),
            cache: Cache::new(),
            file,
            log,
            log_is_new: AtomicBool::new(false),
            heavy: AtomicU64::new(0),
            flushing: Mutex::default(),
            changed: Mutex::default(),
        };
        meta.write(first::rows)?;
        Ok(meta)
    }

    /// One transaction at a time.
    pub(super) fn front(&self) -> MutexGuard<'_, Front> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Reads one moment of the database, with everything answered before this call. For a few rows [`Meta::quick`] is far
    /// cheaper.
    pub fn read<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&Rows<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        not_inside();
        self.settle()?;
        let db = self.reader()?;
        run(&db, "BEGIN")?;
        let moment = Moment(&db);
        let result = work(&Rows {
            db: Db::Is(&db),
            cache: None,
            pending: None,
        });
        drop(moment);
        self.put_back(db);
        result
    }

    /// For tests of crashes: after `commits` more transactions every write is refused and leaves nothing, as if the
    /// process had been killed there.
    #[doc(hidden)]
    pub fn stop_after(&self, commits: u64) {
        self.front().allowed = Some(commits);
    }

    /// How many transactions needed the database itself since the start. For tests.
    #[doc(hidden)]
    pub fn heavy_ones(&self) -> u64 {
        self.heavy.load(Ordering::SeqCst)
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection for reading.
    fn reader(&self) -> Result<Connection, MetaError> {
        let pooled = self.readers().pop();
        pooled.map_or_else(|| self.open_reader(), Ok)
    }

    /// The connection in `place`, put there if it is empty.
    pub(super) fn reader_in<'a>(
        &self,
        place: &'a OnceCell<Connection>,
    ) -> Result<&'a Connection, MetaError> {
        match place.get() {
            Some(db) => Ok(db),
            None => {
                let db = self.reader()?;
                Ok(place.get_or_init(|| db))
            }
        }
    }

    pub(super) fn put_back(&self, db: Connection) {
        let mut readers = self.readers();
        if readers.len() < READERS {
            readers.push(db);
        }
    }

    fn open_reader(&self) -> Result<Connection, MetaError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.file, flags).map_err(sql("open its file"))?;
        keep_plans(&db)?;
        db.set_prepared_statement_cache_capacity(64);
        // What is asked for often is kept as rows.
        db.execute_batch("PRAGMA cache_size = -1024")
            .map_err(sql("open its file"))?;
        db.busy_timeout(BUSY).map_err(sql("open its file"))?;
        Ok(db)
    }
}

impl Drop for Meta {
    fn drop(&mut self) {
        // Unless a test plays a killed process. The redo journal has what could not be stored.
        if self.front().allowed.is_none()
            && let Err(error) = self.settle()
        {
            tracing::warn!(%error, "the last changes are in the redo journal only");
        }
    }
}

/// The number up to which the database has everything.
fn stored(db: &Connection) -> Result<u64, MetaError> {
    let query = "SELECT next FROM counter WHERE name = 'stored'";
    let stored = db.query_row(query, [], |row| row.get::<_, i64>(0));
    Ok(stored.map_err(sql("be read"))? as u64)
}

/// Stores what a killed process, or a power cut, left in the redo journal.
fn carry_out(back: &Back, steps: Vec<Step>, number: u64) -> Result<(), MetaError> {
    if steps.is_empty() {
        return Ok(());
    }
    tracing::info!(steps = steps.len(), "carrying out what was not stored yet");
    let changes: Vec<Change> = steps.into_iter().flat_map(|step| step.changes).collect();
    run(&back.db, "BEGIN IMMEDIATE")?;
    let stored = store_all(&back.db, &changes)
        .and_then(|()| back.say_stored(number))
        .and_then(|()| run(&back.db, "COMMIT"));
    back.take_back();
    stored
}

/// An open transaction of a reader.
struct Moment<'a>(&'a Connection);

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit()
            && let Err(error) = run(self.0, "ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be ended");
        }
    }
}

/// Nobody but this process uses the database; a checkpoint or a rescue command may hold it for a moment.
pub(super) const BUSY: std::time::Duration = std::time::Duration::from_secs(10);

pub(super) fn io(what: &'static str) -> impl Fn(std::io::Error) -> MetaError {
    move |source| match source.raw_os_error() {
        // ENOSPC, EDQUOT
        Some(28 | 122) => MetaError::Full,
        _ => MetaError::Io { what, source },
    }
}
