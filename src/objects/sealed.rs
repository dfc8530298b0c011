//! Sealed objects.

use std::fs::File;
use std::io;

use super::{Draft, Objects, places};
use crate::model::{Ino, ObjectId};
use crate::sys;

const MODE: u32 = 0o400;

impl Objects {
    /// Places a draft as sealed object `id` (mode 0400). Its row must be committed afterwards, or the file is swept.
    pub fn seal(&self, draft: Draft, id: ObjectId) -> io::Result<()> {
        sys::chmod(draft.file(), MODE)?;
        draft.place(&places::path(places::SEALED, id.0))
    }

    /// Opens a sealed object for reading.
    pub fn open_sealed(&self, id: ObjectId) -> io::Result<File> {
        sys::open_at(&self.root, &places::path(places::SEALED, id.0), false)
    }

    /// Bytes of a sealed object's file; `None` when there is no file.
    pub fn sealed_size(&self, id: ObjectId) -> io::Result<Option<u64>> {
        let stat = sys::stat_at(&self.root, &places::path(places::SEALED, id.0))?;
        Ok(stat.map(|stat| stat.size))
    }

    /// Makes a live file the sealed object `id` by giving it a second name: no copy. Only when nothing can write it any
    /// more; the caller removes the live name once the rows are committed. Repeating is fine.
    pub fn live_becomes_sealed(&self, ino: Ino, id: ObjectId) -> io::Result<()> {
        let live = places::path(places::LIVE, ino.0);
        let sealed = places::path(places::SEALED, id.0);
        sys::unlink_at(&self.root, &sealed)?;
        sys::link_at(&self.root, &live, &sealed)?;
        sys::chmod(&sys::open_at(&self.root, &sealed, false)?, MODE)
    }

    /// Removes a sealed file; fine when there is none. Its row must be gone already.
    pub fn remove_sealed(&self, id: ObjectId) -> io::Result<()> {
        sys::unlink_at(&self.root, &places::path(places::SEALED, id.0)).map(|_| ())
    }

    /// Every sealed file on disk.
    pub fn all_sealed(&self) -> io::Result<Vec<ObjectId>> {
        let numbers = places::all(&self.root, places::SEALED)?;
        Ok(numbers.into_iter().map(ObjectId).collect())
    }

    /// Syncs a sealed object: its bytes and its name.
    pub fn sync_sealed(&self, id: ObjectId) -> io::Result<()> {
        sys::sync(&self.open_sealed(id)?)?;
        places::sync_entry(&self.root, places::SEALED, id.0)
    }
}
