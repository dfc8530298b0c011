//! The redo journal: changes that were acknowledged and are not in the database yet.
//!
//! A change is appended here, handed to the kernel, before it is answered, and stored in the database some moments
//! later, many in one transaction. Each append is one record: length, number and checksum, then the changes. The database
//! says up to which number it has them, so after a kill those above are carried out again ([`Redo::open`]).
//!
//! Two files take turns. A file is written from its start again only when the database has all of its records and the
//! log of the database is synced: else a power cut could take away what an fsync had promised. Numbers only grow, so what
//! is left in a file from an earlier turn is known by its number. After a power cut the tail of a file may be missing or
//! torn: reading ends at the first record that is not whole, and carrying out ends at the first number that is missing
//! (each transaction of the database has a number of its own), so that what is left is always a beginning of what was.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::change::Change;
use super::open::{MetaError, io};
use crate::sys;

type Result<T> = std::result::Result<T, MetaError>;

/// The format of the changes, in each record.
pub(super) const FORMAT: u32 = 1;

/// A file that is longer gives way to the other one.
const LONG: u64 = 4 << 20;

/// Bytes of the first file that are set aside from the start.
const SPARE: u64 = 1 << 20;

const NAMES: [&str; 2] = ["meta.redo-a", "meta.redo-b"];

/// Length, format, number, checksum.
const HEAD: usize = 4 + 4 + 8 + 16;

/// The files, for appending.
pub(super) struct Redo {
    pub(super) active: usize,
    at: u64,
    buffer: Vec<u8>,
}

/// The files, for syncing while others append.
pub(super) struct RedoFiles {
    files: [File; 2],
    /// Files appended to since they were last synced, as bits.
    unsynced: AtomicU8,
    /// The file that is not active is needed no more.
    other_is_free: AtomicBool,
}

/// What one transaction changed.
pub(super) struct Step {
    /// Its number.
    pub(super) number: u64,
    /// Its changes, in their order.
    pub(super) changes: Vec<Change>,
}

impl Redo {
    /// Opens the files, making them when they are not there, and gives the steps in them that are above `stored`, up to
    /// the first that is missing. [`RedoFiles::clear`]
    /// must follow before the first append.
    pub(super) fn open(dir: &Path, stored: u64) -> Result<(Redo, RedoFiles, Vec<Step>)> {
        let dir = sys::open_dir(dir).map_err(io("open"))?;
        let files = [open(&dir, NAMES[0])?, open(&dir, NAMES[1])?];
        let mut steps = read(&files[0])?;
        steps.extend(read(&files[1])?);
        steps.retain(|step| step.number > stored);
        steps.sort_by_key(|step| step.number);
        let whole = steps
            .iter()
            .zip(stored + 1..)
            .take_while(|(step, next)| step.number == *next)
            .count();
        if whole < steps.len() {
            // After a power cut only: none of these was synced.
            let lost = steps.len() - whole;
            tracing::warn!(lost, "changes that were never synced are not whole");
        }
        steps.truncate(whole);
        let redo = Redo {
            active: 0,
            at: 0,
            buffer: Vec::new(),
        };
        let files = RedoFiles {
            files,
            unsynced: AtomicU8::new(0),
            other_is_free: AtomicBool::new(true),
        };
        Ok((redo, files, steps))
    }

    /// Appends a step; handed to the kernel when this returns. A step that could not be appended leaves nothing.
    pub(super) fn append(
        &mut self,
        files: &RedoFiles,
        number: u64,
        changes: &[Change],
    ) -> Result<()> {
        self.buffer.clear();
        self.buffer.resize(HEAD, 0);
        let filled = std::mem::take(&mut self.buffer);
        // Serializing plain values to memory has no way to fail.
        self.buffer = postcard::to_extend(changes, filled).expect("plain values always serialize");
        let len = (self.buffer.len() - HEAD) as u32;
        self.buffer[..4].copy_from_slice(&len.to_le_bytes());
        self.buffer[4..8].copy_from_slice(&FORMAT.to_le_bytes());
        self.buffer[8..16].copy_from_slice(&number.to_le_bytes());
        let sum = checksum(&self.buffer);
        self.buffer[16..HEAD].copy_from_slice(&sum);
        let file = &files.files[self.active];
        let mut done = 0;
        while done < self.buffer.len() {
            // What a failed write left is not whole, and the next append overwrites it.
            let at = self.at + done as u64;
            done += sys::write_at(file, at, &self.buffer[done..]).map_err(io("write"))?;
        }
        self.at += done as u64;
        files.unsynced.fetch_or(1 << self.active, Ordering::SeqCst);
        Ok(())
    }

    /// True when it is time for [`Redo::turn`].
    pub(super) fn is_long(&self, files: &RedoFiles) -> bool {
        self.at > LONG && files.other_is_free.load(Ordering::SeqCst)
    }

    /// Goes over to the other file when this one is long and that one is free.
    pub(super) fn turn(&mut self, files: &RedoFiles) {
        if self.is_long(files) {
            self.active = 1 - self.active;
            self.at = 0;
            files.other_is_free.store(false, Ordering::SeqCst);
        }
    }
}

impl RedoFiles {
    /// True when [`RedoFiles::other_is_stored`] must be said, once the database has all steps appended before the last turn
    /// and its log is synced.
    pub(super) fn waits(&self) -> bool {
        !self.other_is_free.load(Ordering::SeqCst)
    }

    /// Empties both, when the database has what they held and is synced. What was not carried out (a step behind one that is
    /// missing) must not be found again behind steps to come, not even after another power cut.
    pub(super) fn clear(&self) -> Result<()> {
        for file in &self.files {
            if sys::stat_of(file).map_err(io("read"))?.size > 0 {
                let cleared = sys::set_len(file, 0).and_then(|()| sys::sync(file));
                cleared.map_err(io("sync"))?;
            }
        }
        // Room for thousands of removals on a disk that is full by then; without it they wait until somebody makes room.
        if let Err(error) = sys::allocate(&self.files[0], sys::KEEP_SIZE, 0, SPARE) {
            tracing::debug!(%error, "no room was set aside for the redo journal");
        }
        Ok(())
    }

    /// What the file that is not active holds is needed no more.
    pub(super) fn other_is_stored(&self) {
        self.other_is_free.store(true, Ordering::SeqCst);
    }

    /// Syncs what was appended before this call.
    pub(super) fn sync(&self) -> Result<()> {
        let unsynced = self.unsynced.swap(0, Ordering::SeqCst);
        for (at, file) in self.files.iter().enumerate() {
            if unsynced & (1 << at) != 0
                && let Err(error) = sys::sync_data(file)
            {
                self.unsynced.fetch_or(unsynced, Ordering::SeqCst);
                return Err(io("sync")(error));
            }
        }
        Ok(())
    }
}

fn open(dir: &File, name: &str) -> Result<File> {
    let name = Path::new(name);
    let opened = match sys::open_at(dir, name, true) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let made = sys::create_at(dir, name, 0o600);
            made.and_then(|file| sys::sync(dir).map(|()| file))
        }
        other => other,
    };
    opened.map_err(io("open"))
}

fn checksum(record: &[u8]) -> [u8; 16] {
    let mut summed = record[..16].to_vec();
    summed.extend_from_slice(&record[HEAD..]);
    let mut sum = [0; 16];
    sum.copy_from_slice(&sys::hash_bytes(&summed).0[..16]);
    sum
}

/// The steps at the beginning of a file, up to the first that is not whole or is of an earlier turn.
fn read(file: &File) -> Result<Vec<Step>> {
    let size = sys::stat_of(file).map_err(io("read"))?.size;
    let all = sys::read_at(file, 0, size as usize).map_err(io("read"))?;
    let (mut rest, mut steps, mut last) = (all.as_slice(), Vec::new(), 0);
    while let Some((record, behind)) = whole_record(rest) {
        let number = u64::from_le_bytes(eight(&record[8..16]));
        if number <= last {
            break;
        }
        let format = u32::from_le_bytes([record[4], record[5], record[6], record[7]]);
        if format != FORMAT {
            return Err(damaged(format!(
                "its format is {format}, and this driftfs knows {FORMAT}"
            )));
        }
        let changes = postcard::from_bytes(&record[HEAD..]).map_err(|e| damaged(e.to_string()))?;
        steps.push(Step { number, changes });
        (rest, last) = (behind, number);
    }
    Ok(steps)
}

/// The record at the start, and what follows it.
fn whole_record(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = rest.get(..4)?;
    let len = u32::from_le_bytes([len[0], len[1], len[2], len[3]]) as usize;
    let record = rest.get(..HEAD + len)?;
    (record[16..HEAD] == checksum(record)).then(|| (record, &rest[HEAD + len..]))
}

fn eight(bytes: &[u8]) -> [u8; 8] {
    let mut eight = [0; 8];
    eight.copy_from_slice(bytes);
    eight
}

fn damaged(why: String) -> MetaError {
    MetaError::Damaged {
        table: "the redo journal",
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Ino;

    fn numbers(dir: &Path, stored: u64) -> Vec<u64> {
        let (_, _, steps) = Redo::open(dir, stored).unwrap();
        steps.iter().map(|step| step.number).collect()
    }

    fn fill(dir: &Path, from: u64, to: u64) -> (Redo, RedoFiles) {
        let (mut redo, files, _) = Redo::open(dir, 0).unwrap();
        for number in from..to {
            let change = Change::DropNode(Ino(number));
            redo.append(&files, number, &[change.clone(), change])
                .unwrap();
        }
        (redo, files)
    }

    #[test]
    fn what_was_appended_comes_back_and_what_is_stored_does_not() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), 1, 8);
        assert_eq!(numbers(dir.path(), 0), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(numbers(dir.path(), 5), [6, 7]);
        assert_eq!(numbers(dir.path(), 7), [0; 0]);
        let (_, _, steps) = Redo::open(dir.path(), 6).unwrap();
        let gone = Change::DropNode(Ino(7));
        assert_eq!(steps[0].changes, [gone.clone(), gone]);
    }

    #[test]
    fn a_torn_or_missing_record_ends_it_and_an_earlier_turn_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let (_, files) = fill(dir.path(), 1, 8);
        let size = sys::stat_of(&files.files[0]).unwrap().size;
        let one = size / 7;
        // Every length, as after a power cut.
        for len in 0..=size {
            sys::set_len(&files.files[0], len).unwrap();
            sys::set_len(&files.files[0], size).unwrap();
            let whole: Vec<u64> = (1..=len / one).collect();
            assert_eq!(numbers(dir.path(), 0), whole, "{len} of {size}");
            fill(dir.path(), 1, 8);
        }
        // Written again from the start: the rest is older.
        fill(dir.path(), 20, 23);
        assert_eq!(numbers(dir.path(), 19), [20, 21, 22]);
        // A transaction of the database in between that is not there any more.
        fill(dir.path(), 30, 33);
        assert_eq!(numbers(dir.path(), 28), [0; 0]);
    }

    #[test]
    fn the_files_take_turns_once_the_other_is_stored() {
        let dir = tempfile::tempdir().unwrap();
        let (mut redo, files, _) = Redo::open(dir.path(), 0).unwrap();
        let much = Change::Reserve("x".repeat(LONG as usize), 1);
        redo.append(&files, 1, std::slice::from_ref(&much)).unwrap();
        redo.append(&files, 2, &[Change::DropNode(Ino(2))]).unwrap();
        redo.turn(&files);
        assert!(files.waits());
        redo.append(&files, 3, std::slice::from_ref(&much)).unwrap();
        redo.append(&files, 4, &[Change::DropNode(Ino(4))]).unwrap();
        redo.turn(&files);
        assert_eq!(redo.active, 1, "the other still counts");
        assert_eq!(numbers(dir.path(), 0), [1, 2, 3, 4]);
        files.other_is_stored();
        redo.turn(&files);
        assert_eq!((redo.active, files.waits()), (0, true));
        redo.append(&files, 5, &[Change::DropNode(Ino(5))]).unwrap();
        assert_eq!(numbers(dir.path(), 2), [3, 4, 5]);
        files.sync().unwrap();
    }
}
