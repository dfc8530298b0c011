//! Live files.

use std::fs::File;
use std::io;

use super::{Draft, Objects, places};
use crate::model::{Ino, LiveStat};
use crate::sys;

pub(super) const MODE: u32 = 0o600;

impl Objects {
    /// Opens a live file (`write`: for writing too).
    pub fn open_live(&self, ino: Ino, write: bool) -> io::Result<File> {
        let path = places::path(places::LIVE, ino.0);
        match sys::open_at(&self.root, &path, write) {
            // A crash between [`Objects::live_becomes_sealed`] and its rows leaves the live file read-only.
            Err(e) if write && e.kind() == io::ErrorKind::PermissionDenied => {
                sys::chmod(&sys::open_at(&self.root, &path, false)?, MODE)?;
                sys::open_at(&self.root, &path, true)
            }
            other => other,
        }
    }

    /// Makes an empty live file.
    pub fn create_live(&self, ino: Ino) -> io::Result<File> {
        sys::create_at(&self.root, &places::path(places::LIVE, ino.0), MODE)
    }

    /// Places a draft as the live file of `ino`, replacing one that nobody has open.
    pub fn place_live(&self, draft: Draft, ino: Ino) -> io::Result<LiveStat> {
        let path = places::path(places::LIVE, ino.0);
        draft.place(&path)?;
        // Only after the rename: renaming moves ctime.
        let stat = sys::stat_at(&self.root, &path)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(live_stat(stat))
    }

    /// The stat of a live file; `None` when there is none. Second value: 512-byte blocks it occupies.
    pub fn live_stat(&self, ino: Ino) -> io::Result<Option<(LiveStat, u64)>> {
        let stat = sys::stat_at(&self.root, &places::path(places::LIVE, ino.0))?;
        Ok(stat.map(|stat| (live_stat(stat), stat.blocks)))
    }

    /// Removes a live file; fine when there is none.
    pub fn remove_live(&self, ino: Ino) -> io::Result<()> {
        sys::unlink_at(&self.root, &places::path(places::LIVE, ino.0)).map(|_| ())
    }

    /// Every live file on disk.
    pub fn all_live(&self) -> io::Result<Vec<Ino>> {
        let numbers = places::all(&self.root, places::LIVE)?;
        Ok(numbers.into_iter().map(Ino).collect())
    }

    /// Syncs a live file: its bytes and its name.
    pub fn sync_live(&self, ino: Ino) -> io::Result<()> {
        sys::sync(&self.open_live(ino, false)?)?;
        places::sync_entry(&self.root, places::LIVE, ino.0)
    }
}

pub(super) fn live_stat(stat: sys::FileStat) -> LiveStat {
    LiveStat {
        size: stat.size,
        mtime: stat.mtime,
        ctime: stat.ctime,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ObjectId;
    use std::os::unix::fs::{FileExt, PermissionsExt};

    fn store() -> (tempfile::TempDir, Objects) {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path()).unwrap();
        (dir, objects)
    }

    fn text(file: &File) -> String {
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_dropped_draft_is_gone_and_a_start_removes_left_ones() {
        let (dir, objects) = store();
        drop(objects.draft().unwrap());
        std::mem::forget(objects.draft().unwrap());
        let count = || std::fs::read_dir(dir.path().join("draft")).unwrap().count();
        assert_eq!(count(), 1);
        Objects::open(dir.path()).unwrap();
        assert_eq!(count(), 0);
    }

    #[test]
    fn a_sealed_clone_keeps_its_bytes_when_the_live_file_changes() {
        let (dir, objects) = store();
        let live = objects.create_live(Ino(0x1234)).unwrap();
        live.write_all_at(b"agreed", 0).unwrap();
        let draft = objects.clone_of(&live).unwrap();
        objects.seal(draft, ObjectId(7)).unwrap();
        live.write_all_at(b"edited", 0).unwrap();
        assert_eq!(text(&objects.open_sealed(ObjectId(7)).unwrap()), "agreed");
        assert_eq!(objects.all_sealed().unwrap(), [ObjectId(7)]);
        assert_eq!(objects.all_live().unwrap(), [Ino(0x1234)]);
        assert!(dir.path().join("live/34/4660").exists());
        let mode = dir
            .path()
            .join("sealed/07/7")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o400);
        objects.sync_sealed(ObjectId(7)).unwrap();
        objects.remove_sealed(ObjectId(7)).unwrap();
        assert_eq!(objects.sealed_size(ObjectId(7)).unwrap(), None);
    }

    #[test]
    fn a_live_file_becomes_sealed_without_a_copy() {
        let (_dir, objects) = store();
        let live = objects.create_live(Ino(5)).unwrap();
        live.write_all_at(b"old", 0).unwrap();
        for _ in 0..2 {
            objects.live_becomes_sealed(Ino(5), ObjectId(9)).unwrap();
        }
        objects.remove_live(Ino(5)).unwrap();
        assert_eq!(text(&objects.open_sealed(ObjectId(9)).unwrap()), "old");
        assert_eq!(objects.live_stat(Ino(5)).unwrap(), None);
    }

    #[test]
    fn placing_gives_the_stat_the_file_keeps() {
        let (_dir, objects) = store();
        objects.create_live(Ino(5)).unwrap();
        let draft = objects.draft().unwrap();
        draft.file().write_all_at(b"fetched", 0).unwrap();
        let placed = objects.place_live(draft, Ino(5)).unwrap();
        assert_eq!(objects.live_stat(Ino(5)).unwrap().unwrap().0, placed);
        assert_eq!(placed.size, 7);
    }
}
