//! The directory that an export fills.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::{Attrs, Kind, Time};
use crate::sys;

/// A directory being filled. Nothing in it is ever replaced.
pub(super) struct Copies {
    root: File,
}

impl Copies {
    /// Makes the directory, or takes an empty one; `None` when it has something in it.
    pub(super) fn open(dir: &Path) -> io::Result<Option<Copies>> {
        sys::make_private_dir(dir)?;
        let root = sys::open_dir(dir)?;
        let empty = sys::list_at(&root, Path::new("."))?.is_empty();
        Ok(empty.then_some(Copies { root }))
    }

    /// Makes the directories a path lies in.
    fn make_parents(&self, path: &Path) -> io::Result<()> {
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.pop();
        for dir in above.into_iter().rev() {
            sys::make_dir_at(&self.root, dir, 0o700)?;
        }
        Ok(())
    }

    /// Makes a directory.
    pub(super) fn dir(&self, path: &Path) -> io::Result<()> {
        self.make_parents(path)?;
        sys::make_dir_at(&self.root, path, 0o700)
    }

    /// Copies a file, holes kept, with its permission bits and time. A second one of that name gets a number behind it.
    pub(super) fn file(
        &self,
        path: &Path,
        from: &File,
        like: Option<&Attrs>,
    ) -> io::Result<PathBuf> {
        self.make_parents(path)?;
        let (path, file) = self.fresh(path)?;
        sys::clone_file(from, &file)?;
        if let Some(attrs) = like.filter(|attrs| attrs.kind == Kind::File) {
            sys::chmod(&file, attrs.mode & 0o777)?;
            if attrs.mtime != Time::default() {
                sys::set_mtime(&file, attrs.mtime)?;
            }
        }
        sys::sync(&file)?;
        Ok(path)
    }

    /// Writes a small file.
    pub(super) fn text(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        self.make_parents(path)?;
        let file = sys::create_at(&self.root, path, 0o600)?;
        let mut written = 0;
        while written < text.len() {
            written += sys::write_at(&file, written as u64, &text[written..])?;
        }
        sys::sync(&file)
    }

    /// Makes a symlink.
    pub(super) fn symlink(&self, path: &Path, target: &[u8]) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt;
        self.make_parents(path)?;
        sys::symlink_in(
            &self.root,
            path.as_os_str(),
            std::ffi::OsStr::from_bytes(target),
        )
    }

    /// Waits until everything is on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        sys::sync(&self.root)
    }

    fn fresh(&self, path: &Path) -> io::Result<(PathBuf, File)> {
        for number in 1..1000 {
            let mut name = path.as_os_str().to_owned();
            if number > 1 {
                name.push(format!(".{number}"));
            }
            match sys::create_at(&self.root, Path::new(&name), 0o600) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                other => return Ok((PathBuf::from(name), other?)),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}
