//! Files of which only parts are here: `part/xx/<ino>`, as long as the whole, with holes where nothing came yet.

use std::fs::File;
use std::io;

use super::{Objects, live, places};
use crate::model::Ino;
use crate::sys;

impl Objects {
    /// Makes a file for the parts of a node, of that size and without any byte. One that is there goes first: a late
    /// answer may still be written into it.
    pub fn new_part(&self, ino: Ino, size: u64) -> io::Result<File> {
        let path = places::path(places::PART, ino.0);
        sys::unlink_at(&self.root, &path)?;
        let file = sys::create_at(&self.root, &path, live::MODE)?;
        sys::set_len(&file, size)?;
        Ok(file)
    }

    /// The file of a node's parts, if it is there with that size.
    pub fn open_part(&self, ino: Ino, size: u64) -> io::Result<Option<File>> {
        match sys::open_at(&self.root, &places::path(places::PART, ino.0), true) {
            Ok(file) if sys::stat_of(&file)?.size == size => Ok(Some(file)),
            Ok(_) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Removes the file of a node's parts; fine when there is none.
    pub fn remove_part(&self, ino: Ino) -> io::Result<()> {
        sys::unlink_at(&self.root, &places::path(places::PART, ino.0)).map(|_| ())
    }

    /// Waits until the parts and the name of their file are on disk.
    pub fn sync_part(&self, ino: Ino, file: &File) -> io::Result<()> {
        sys::sync_data(file)?;
        places::sync_entry(&self.root, places::PART, ino.0)
    }

    /// Every node with such a file.
    pub fn all_parts(&self) -> io::Result<Vec<Ino>> {
        let numbers = places::all(&self.root, places::PART)?;
        Ok(numbers.into_iter().map(Ino).collect())
    }
}
