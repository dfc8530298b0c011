//! Extended attributes of an object through its handle (any open descriptor).

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::attrs::proc_path;
use crate::model::Xattrs;

/// Every extended attribute whose name `wanted` accepts; `None` where the file system has no notion of them.
pub fn xattrs_of(handle: &File, wanted: impl Fn(&[u8]) -> bool) -> io::Result<Option<Xattrs>> {
    let path = proc_path(handle);
    let names = match xattr::list_deref(&path) {
        Ok(names) => names,
        Err(e) if is_unsupported(&e) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut found = Xattrs::new();
    for name in names.filter(|name| wanted(name.as_bytes())) {
        match xattr::get_deref(&path, &name) {
            Ok(Some(value)) => {
                found.insert(name.into_vec(), value);
            }
            // Removed meanwhile, or one that may not be read (a list shows it all the same).
            Ok(None) => {}
            Err(e) if is_unsupported(&e) || e.kind() == io::ErrorKind::PermissionDenied => {}
            Err(e) => return Err(e),
        }
    }
    Ok(Some(found))
}

/// Sets one extended attribute.
pub fn set_xattr(handle: &File, name: &[u8], value: &[u8]) -> io::Result<()> {
    xattr::set_deref(proc_path(handle), OsStr::from_bytes(name), value)
}

/// Removes one extended attribute; fine when there is none.
pub fn remove_xattr(handle: &File, name: &[u8]) -> io::Result<()> {
    match xattr::remove_deref(proc_path(handle), OsStr::from_bytes(name)) {
        Err(e) if e.raw_os_error() == Some(libc::ENODATA) => Ok(()),
        other => other,
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL)
    )
}
