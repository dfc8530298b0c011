//! Every table, in one place. `docs/formats.md` describes them for people.

/// Marks the file as ours ("drft").
pub(super) const APPLICATION_ID: i64 = 0x6472_6674;

/// The newest format this driftfs knows.
pub(super) const VERSION: i64 = 3;

/// What takes a database of version `n + 1` to the next one, in its place `n`.
pub(super) const STEPS: &[&str] = &[PARTIAL, STORED];

/// Which parts of a large file are in `part/` (version 2).
pub(super) const PARTIAL: &str =
    "CREATE TABLE partial(ino INTEGER PRIMARY KEY, stamp BLOB NOT NULL, ranges BLOB NOT NULL);";

/// Up to which number of the redo journal the database has everything (version 3).
pub(super) const STORED: &str = "INSERT OR IGNORE INTO counter(name, next) VALUES('stored', 0);";

/// Numbers are unsigned 64 bit, stored as the signed number of the same bits. Blobs of `attrs`, `xattrs`, `stamp` and
/// `live_stat` begin with a version byte (see `codec.rs`). Spans of past rows are half-open: `[from_epoch, to_epoch)`.
pub(super) const TABLES: &str = "
-- The live tree.
CREATE TABLE node(
    ino INTEGER PRIMARY KEY, bid INTEGER, kind INTEGER NOT NULL, attrs BLOB NOT NULL, nlink INTEGER NOT NULL,
    target BLOB, xattrs BLOB, since INTEGER NOT NULL, bytes_since INTEGER NOT NULL, rev INTEGER NOT NULL,
    dirty INTEGER NOT NULL, writer INTEGER NOT NULL, live_stat BLOB, durable INTEGER NOT NULL, listed INTEGER,
    fetched INTEGER, presence INTEGER NOT NULL);
CREATE INDEX node_bid ON node(bid) WHERE bid IS NOT NULL;
CREATE INDEX node_dirty ON node(ino) WHERE dirty <> 0;
CREATE INDEX node_nameless ON node(ino) WHERE nlink = 0;
CREATE INDEX node_unlisted ON node(ino) WHERE kind = 2 AND listed IS NULL;
CREATE TABLE entry(
    parent INTEGER NOT NULL, name BLOB NOT NULL, ino INTEGER NOT NULL, cookie INTEGER NOT NULL, since INTEGER NOT NULL,
    PRIMARY KEY(parent, name)) WITHOUT ROWID;
CREATE UNIQUE INDEX entry_cookie ON entry(parent, cookie);
CREATE INDEX entry_ino ON entry(ino);

-- The base tree: what lower and client last agreed on.
CREATE TABLE base_node(
    bid INTEGER PRIMARY KEY, kind INTEGER NOT NULL, attrs BLOB NOT NULL, target BLOB, xattrs BLOB, stamp BLOB NOT NULL,
    lower_ino INTEGER NOT NULL, object INTEGER, hash BLOB);
CREATE INDEX base_lower ON base_node(lower_ino);
CREATE INDEX base_object ON base_node(object) WHERE object IS NOT NULL;
CREATE TABLE base_entry(
    parent INTEGER NOT NULL, name BLOB NOT NULL, bid INTEGER NOT NULL, PRIMARY KEY(parent, name)) WITHOUT ROWID;
CREATE INDEX base_entry_bid ON base_entry(bid);

-- Rows and bytes as snapshots show them.
CREATE TABLE view(
    name TEXT PRIMARY KEY, epoch INTEGER NOT NULL UNIQUE, sec INTEGER NOT NULL, nsec INTEGER NOT NULL,
    reason TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE past_node(
    ino INTEGER NOT NULL, from_epoch INTEGER NOT NULL, to_epoch INTEGER NOT NULL, bid INTEGER, kind INTEGER NOT NULL,
    attrs BLOB NOT NULL, nlink INTEGER NOT NULL, target BLOB, xattrs BLOB, bytes_since INTEGER NOT NULL,
    rev INTEGER NOT NULL, dirty INTEGER NOT NULL, writer INTEGER NOT NULL, live_stat BLOB, durable INTEGER NOT NULL,
    listed INTEGER, fetched INTEGER, presence INTEGER NOT NULL, PRIMARY KEY(ino, to_epoch)) WITHOUT ROWID;
CREATE TABLE past_entry(
    parent INTEGER NOT NULL, name BLOB NOT NULL, from_epoch INTEGER NOT NULL, to_epoch INTEGER NOT NULL,
    ino INTEGER NOT NULL, cookie INTEGER NOT NULL, PRIMARY KEY(parent, name, to_epoch)) WITHOUT ROWID;
CREATE TABLE past_bytes(
    ino INTEGER NOT NULL, from_epoch INTEGER NOT NULL, to_epoch INTEGER NOT NULL, object INTEGER NOT NULL,
    PRIMARY KEY(ino, to_epoch)) WITHOUT ROWID;
CREATE INDEX past_bytes_object ON past_bytes(object);

-- Sealed objects, and who else needs them.
CREATE TABLE sealed(id INTEGER PRIMARY KEY, size INTEGER NOT NULL, hash BLOB, durable INTEGER NOT NULL);
CREATE INDEX sealed_volatile ON sealed(id) WHERE durable = 0;
CREATE TABLE intent(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE intent_object(
    intent INTEGER NOT NULL, object INTEGER NOT NULL, PRIMARY KEY(intent, object)) WITHOUT ROWID;
CREATE INDEX intent_object_object ON intent_object(object);
CREATE TABLE conflict(
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, ino INTEGER, bid INTEGER, path BLOB NOT NULL, sec INTEGER NOT NULL,
    nsec INTEGER NOT NULL, terms TEXT NOT NULL);
CREATE INDEX conflict_ino ON conflict(ino) WHERE ino IS NOT NULL;
CREATE INDEX conflict_bid ON conflict(bid) WHERE bid IS NOT NULL;
CREATE TABLE conflict_object(
    conflict INTEGER NOT NULL, object INTEGER NOT NULL, PRIMARY KEY(conflict, object)) WITHOUT ROWID;
CREATE INDEX conflict_object_object ON conflict_object(object);

-- The journal, what is kept here on request, and who may read what.
CREATE TABLE record(
    seq INTEGER PRIMARY KEY, sec INTEGER NOT NULL, nsec INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL,
    pid INTEGER NOT NULL, program TEXT NOT NULL, ino INTEGER, path BLOB NOT NULL, verb TEXT NOT NULL,
    detail TEXT NOT NULL);
CREATE INDEX record_ino ON record(ino, seq) WHERE ino IS NOT NULL;
CREATE TABLE pin(path BLOB PRIMARY KEY, priority INTEGER NOT NULL, descendants INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE \"grant\"(
    ino INTEGER NOT NULL, uid INTEGER NOT NULL, rights INTEGER NOT NULL, sec INTEGER NOT NULL,
    PRIMARY KEY(ino, uid)) WITHOUT ROWID;

-- Small things: settings, the next number of each sort, and the numbers ever taken over from the lower.
CREATE TABLE setting(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE counter(name TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE taken(ino INTEGER PRIMARY KEY);
";
