//! Many small files of one directory in one answer.

use std::fs::File;

use super::look;
use super::root::{Family, Opened};
use crate::lower::error::{is, local, meaning, no};
use crate::lower::{Answer, LowerError, Packed, progress};
use crate::model::{Kind, Name, Observed, RelPath, Sameness};
use crate::sys;

/// Copies the files one behind the other into `into`. What is wrong with one file is its own answer.
pub(super) fn read_many(
    opened: &Opened,
    path: &RelPath,
    names: &[Name],
    most: u64,
    into: &File,
) -> Answer<Vec<Answer<Packed>>> {
    let dir = opened.dir(path)?;
    let (mut at, mut packed) = (0, Vec::with_capacity(names.len()));
    for name in names {
        let one = Wanted {
            opened,
            dir: &dir,
            name,
            path: path.join(name),
            most,
        };
        let read = one.pack(into, at);
        match &read {
            Ok(found) => at += found.seen.stamp.size,
            // What a dead link says of one file is true of all that come after it.
            Err(error @ (LowerError::Link { .. } | LowerError::Local { .. })) => {
                return Err(error.clone());
            }
            Err(_) => {}
        }
        packed.push(read);
        progress::beat();
    }
    Ok(packed)
}

struct Wanted<'a> {
    opened: &'a Opened,
    dir: &'a File,
    name: &'a Name,
    path: RelPath,
    most: u64,
}

impl Wanted<'_> {
    fn pack(&self, into: &File, at: u64) -> Answer<Packed> {
        let (file, mut seen) = self.open()?;
        let bytes = sys::read_at(&file, 0, seen.stamp.size as usize + 1)
            .map_err(|e| meaning("read", &self.path, e))?;
        let after = self.look(&file)?;
        let calm = matches!(
            seen.stamp.compare(&after.stamp, &self.opened.mask),
            Sameness::Same | Sameness::Unverified
        );
        // A young file of an SMB server may still have old bytes under its new size: read alone, twice.
        let torn = self.opened.family == Family::Smb && seen.stamp.racy;
        if !calm || torn || bytes.len() as u64 != seen.stamp.size {
            return Err(LowerError::Unstable(self.path.clone()));
        }
        let written = sys::write_at(into, at, &bytes).map_err(local)?;
        if written != bytes.len() {
            return Err(local(std::io::ErrorKind::StorageFull.into()));
        }
        if seen.stamp.racy {
            seen.stamp.hash = Some(sys::hash_bytes(&bytes));
        }
        Ok(Packed { seen, at })
    }

    /// Opens a small regular file, looked at before: opening a FIFO or a device does something.
    fn open(&self) -> Answer<(File, Observed)> {
        let fail = |e| meaning("open", &self.path, e);
        let stat = sys::statx_in(self.dir, self.name.os()).map_err(fail)?;
        let mut seen = look::observed(self.opened, &stat, None, None);
        if seen.stamp.kind != Kind::File || seen.stamp.size > self.most {
            return Err(LowerError::Changed {
                path: self.path.clone(),
                found: Some(Box::new(seen)),
            });
        }
        let file = match sys::dir::open_file_in(self.dir, self.name.os()) {
            Ok(file) => file,
            Err(e) if is(&e, no::EAGAIN) => {
                return Err(LowerError::Unstable(self.path.clone()));
            }
            Err(e) => return Err(fail(e)),
        };
        if self.opened.family != Family::Local {
            // Through the opening the server is asked; by name a network client may answer from memory.
            sys::forget_cached(&file);
            seen = self.look(&file)?;
            if seen.stamp.kind != Kind::File || seen.stamp.size > self.most {
                return Err(LowerError::Unstable(self.path.clone()));
            }
        }
        Ok((file, seen))
    }

    fn look(&self, file: &File) -> Answer<Observed> {
        let stat = sys::statx_of(file).map_err(|e| meaning("look at", &self.path, e))?;
        Ok(look::observed(self.opened, &stat, None, None))
    }
}
