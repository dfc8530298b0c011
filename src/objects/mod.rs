//! Where the sealed bytes are: immutable local copies in `sealed/xx/<id>`, drafts on their way there, live files in
//! `live/xx/<ino>`. Rows are `meta`'s business; this room moves files. Everything is relative to the state directory.

use std::fs::File;
use std::io;

use crate::model::{Hash, Ino, LiveStat, ObjectId};

/// The files of a state directory.
pub struct Objects {}

/// A file that nobody knows yet; dropped, it is gone.
pub struct Draft {}

#[allow(unused_variables)]
impl Objects {
    /// Opens (and makes) `live/`, `sealed/` and `draft/` beneath `dir`; what `draft/` holds is removed.
    pub fn open(dir: &std::path::Path) -> io::Result<Objects> {
        todo!()
    }
    /// An empty draft.
    pub fn draft(&self) -> io::Result<Draft> {
        todo!()
    }
    /// A draft with the bytes of `from`: a reflink where the file system can, else a copy with holes kept.
    pub fn clone_of(&self, from: &File) -> io::Result<Draft> {
        todo!()
    }
    /// Places a draft as sealed object `id` (mode 0400). Its row must be committed afterwards, or the file is swept.
    pub fn seal(&self, draft: Draft, id: ObjectId) -> io::Result<()> {
        todo!()
    }
    /// Opens a sealed object for reading.
    pub fn open_sealed(&self, id: ObjectId) -> io::Result<File> {
        todo!()
    }
    /// Makes a hard link or clone of a live file as sealed object (only when nothing can write it any more).
    pub fn live_becomes_sealed(&self, ino: Ino, id: ObjectId) -> io::Result<()> {
        todo!()
    }
    /// Removes sealed files without a row.
    pub fn remove_sealed(&self, id: ObjectId) -> io::Result<()> {
        todo!()
    }
    /// Every sealed file on disk.
    pub fn all_sealed(&self) -> io::Result<Vec<ObjectId>> {
        todo!()
    }
    /// Opens a live file (`write`: for writing too).
    pub fn open_live(&self, ino: Ino, write: bool) -> io::Result<File> {
        todo!()
    }
    /// Makes an empty live file.
    pub fn create_live(&self, ino: Ino) -> io::Result<File> {
        todo!()
    }
    /// Places a draft as the live file of `ino`, replacing one that nobody has open.
    pub fn place_live(&self, draft: Draft, ino: Ino) -> io::Result<LiveStat> {
        todo!()
    }
    /// The stat of a live file; `None` when there is none. Second value: 512-byte blocks it occupies.
    pub fn live_stat(&self, ino: Ino) -> io::Result<Option<(LiveStat, u64)>> {
        todo!()
    }
    /// Removes a live file; fine when there is none.
    pub fn remove_live(&self, ino: Ino) -> io::Result<()> {
        todo!()
    }
    /// Every live file on disk.
    pub fn all_live(&self) -> io::Result<Vec<Ino>> {
        todo!()
    }
    /// Syncs a sealed or live file.
    pub fn sync_sealed(&self, id: ObjectId) -> io::Result<()> {
        todo!()
    }
    /// BLAKE3 of a whole file.
    pub fn hash(&self, file: &File) -> io::Result<Hash> {
        todo!()
    }
}

#[allow(unused_variables)]
impl Draft {
    /// The file, open for reading and writing.
    pub fn file(&self) -> &File {
        todo!()
    }
}
