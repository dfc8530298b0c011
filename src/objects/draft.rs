//! Drafts: files nobody knows yet.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Objects, places};
use crate::sys;

/// A file that nobody knows yet; dropped, it is gone.
pub struct Draft {
    root: Arc<File>,
    path: Option<PathBuf>,
    file: File,
}

impl Draft {
    /// The file, open for reading and writing.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the draft its place, replacing what is there.
    pub(super) fn place(mut self, to: &Path) -> io::Result<()> {
        if let Some(from) = &self.path {
            sys::rename_at(&self.root, from, to)?;
        }
        // Only now: a failed rename must leave a draft that is removed.
        self.path = None;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = sys::unlink_at(&self.root, path)
        {
            // Removed at the next start at the latest.
            tracing::warn!(%error, "a draft could not be removed");
        }
    }
}

impl Objects {
    /// The file of a node's parts as a draft: placed or removed, it is no part any more.
    pub fn part_as_draft(&self, ino: crate::model::Ino) -> io::Result<Draft> {
        let path = places::path(places::PART, ino.0);
        Ok(Draft {
            file: sys::open_at(&self.root, &path, true)?,
            root: self.root.clone(),
            path: Some(path),
        })
    }

    /// An empty draft.
    pub fn draft(&self) -> io::Result<Draft> {
        let number = self.drafts.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(places::DRAFT).join(number.to_string());
        let file = sys::create_at(&self.root, &path, 0o600)?;
        Ok(Draft {
            root: self.root.clone(),
            path: Some(path),
            file,
        })
    }

    /// A draft with the bytes of `from`: a reflink where the file system can, else a copy with holes kept.
    pub fn clone_of(&self, from: &File) -> io::Result<Draft> {
        let draft = self.draft()?;
        sys::clone_file(from, &draft.file)?;
        Ok(draft)
    }
}

/// Makes `draft/` and removes what an earlier process left in it.
pub(super) fn clear(root: &File) -> io::Result<()> {
    let dir = Path::new(places::DRAFT);
    sys::make_dir_at(root, dir, 0o700)?;
    for name in sys::list_at(root, dir)? {
        sys::unlink_at(root, &dir.join(name))?;
    }
    Ok(())
}
