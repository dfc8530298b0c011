//! What nobody sees: our own directory, and the silly files of network clients.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use super::root::Opened;
use crate::lower::error::{is_link, meaning, no};
use crate::lower::{Answer, LowerError};
use crate::model::{Kind, RelPath};
use crate::sys;

/// Our directory at the root of a lower.
pub(super) const OURS: &str = ".driftfs";
/// The file in it that says so.
pub(super) const ID: &str = "id";
/// How its text begins.
pub(super) const ID_PREFIX: &str = "driftfs ";

/// True for names that network clients give to files removed while open. Strict about the form, so that a person's
/// `.nfsrc` is an ordinary file.
pub(super) fn is_silly(name: &OsStr) -> bool {
    let form = |prefix: &[u8], least: usize| {
        name.as_bytes()
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.len() >= least && rest.iter().all(u8::is_ascii_hexdigit))
    };
    form(b".nfs", 16) || form(b".smb", 4) || form(b".__smb", 4) || form(b".fuse_hidden", 16)
}

/// The text of `id` in the open directory `ours`; `None` when there is none, or it is not one of ours.
pub(super) fn id_of(ours: &File) -> std::io::Result<Option<String>> {
    let file = match sys::dir::open_file_in(ours, OsStr::new(ID)) {
        Ok(file) => file,
        Err(e) if is_link(&e) => return Err(e),
        Err(_) => return Ok(None),
    };
    if sys::statx_of(&file)?.attrs.kind != Kind::File {
        return Ok(None);
    }
    let mut text = [0; 256];
    let length = file.read_at(&mut text, 0)?;
    let text = String::from_utf8_lossy(&text[..length]);
    let text = text.trim();
    Ok((text.len() > ID_PREFIX.len() && text.starts_with(ID_PREFIX)).then(|| text.to_string()))
}

/// True when `name` in `dir` is a directory of ours.
pub(super) fn is_ours(dir: &File, name: &OsStr) -> std::io::Result<bool> {
    if name != OURS {
        return Ok(false);
    }
    match sys::dir::open_dir_in(dir, name) {
        Ok(ours) => Ok(id_of(&ours)?.is_some()),
        Err(e) if is_link(&e) => Err(e),
        // One that may not be read is as good as ours: nobody plans what nobody can see.
        Err(e) => Ok(e.raw_os_error() == Some(no::EACCES)),
    }
}

/// Refuses a user's path that leads into a directory of ours.
pub(super) fn refuse(opened: &Opened, path: &RelPath) -> Answer<()> {
    for (depth, name) in path.names().iter().enumerate() {
        if name.os() != OURS {
            continue;
        }
        let above = RelPath::from_names(path.names()[..depth].iter().cloned());
        let dir = opened.dir(&above)?;
        if is_ours(&dir, name.os()).map_err(|e| meaning("look at", path, e))? {
            return Err(LowerError::Refused {
                what: format!("using {path}"),
                errno: no::EPERM,
                why: format!("{OURS} keeps driftfs' own files"),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_forms_are_silly() {
        for silly in [
            ".nfs00000000002a004700000001",
            ".smb00A1",
            ".__smb00A1",
            ".fuse_hidden0000001200000003",
        ] {
            assert!(is_silly(OsStr::new(silly)), "{silly}");
        }
        for plain in [".nfsrc", ".nfs", ".smbcredentials", ".fuse_hidden", "nfs"] {
            assert!(!is_silly(OsStr::new(plain)), "{plain}");
        }
    }
}
