//! Live files written in one piece.

use std::io;

use super::{Objects, live, places};
use crate::model::{Ino, LiveStat, Time};
use crate::sys;

impl Objects {
    /// Makes the live file of a node with these bytes and this mtime. One that is there goes first: it may have a second
    /// name as a sealed object, so it is never written over. To be called where nobody can use the live file.
    pub fn write_live(&self, ino: Ino, bytes: &[u8], mtime: Time) -> io::Result<LiveStat> {
        let path = places::path(places::LIVE, ino.0);
        let file = match sys::create_at(&self.root, &path, live::MODE) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                sys::unlink_at(&self.root, &path)?;
                sys::create_at(&self.root, &path, live::MODE)?
            }
            other => other?,
        };
        let written = sys::write_at(&file, 0, bytes)?;
        if written != bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        sys::set_mtime_of(&file, mtime)?;
        sys::stat_of(&file).map(live::live_stat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ObjectId;

    #[test]
    fn a_file_with_a_second_name_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path()).unwrap();
        let at = Time { sec: 77, nsec: 5 };
        let first = objects.write_live(Ino(5), b"old", at).unwrap();
        assert_eq!((first.size, first.mtime), (3, at));
        objects.live_becomes_sealed(Ino(5), ObjectId(1)).unwrap();
        let second = objects.write_live(Ino(5), b"newer", at).unwrap();
        assert_eq!(objects.live_stat(Ino(5)).unwrap().unwrap().0, second);
        let sealed = objects.open_sealed(ObjectId(1)).unwrap();
        assert_eq!(sys::read_at(&sealed, 0, 99).unwrap(), b"old");
    }
}
