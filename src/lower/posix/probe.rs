//! Who is there, and how is it?

use std::ffi::OsStr;

use super::root::{Opened, Root};
use super::{hidden, look};
use crate::lower::error::{is_link, meaning};
use crate::lower::{Answer, Identity, Probe, Space};
use crate::model::RelPath;
use crate::sys::{self, FsStat};

/// Opens the root anew and looks at it. `statfs` goes to the server each time, where a plain look may not.
pub(super) fn probe(root: &Root) -> Answer<Probe> {
    let opened = root.reopen()?;
    ask(&opened).map_err(|e| meaning("probe", &RelPath::root(), e))
}

fn ask(opened: &Opened) -> std::io::Result<Probe> {
    let space = sys::statfs_of(&opened.root)?;
    let stat = sys::statx_of(&opened.root)?;
    let names = sys::dir::names_of(&opened.root)?;
    Ok(Probe {
        identity: Identity {
            id: id(opened)?,
            fs_type: space.fs_type,
            source: sys::mounted(stat.mount).map(|m| match m.root.as_str() {
                "/" => m.source,
                root => format!("{}[{root}]", m.source),
            }),
            root_ino: stat.ino,
        },
        root: look::of_dir(opened, &opened.root, true)?,
        empty: names.iter().all(|name| name == hidden::OURS),
        space: in_words(&space),
        mask: opened.mask,
    })
}

fn id(opened: &Opened) -> std::io::Result<Option<String>> {
    match sys::dir::open_dir_in(&opened.root, OsStr::new(hidden::OURS)) {
        Ok(ours) => hidden::id_of(&ours),
        Err(e) if is_link(&e) => Err(e),
        Err(_) => Ok(None),
    }
}

fn in_words(fs: &FsStat) -> Space {
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Space {
        bsize: small(fs.bsize),
        blocks: fs.blocks,
        bfree: fs.bfree,
        bavail: fs.bavail,
        files: fs.files,
        ffree: fs.ffree,
        namelen: small(fs.namelen),
    }
}
