//! Between the kernel's words and ours.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, OpenAccMode, OpenFlags, RenameFlags, Request, TimeOrNow};

use crate::model::{Kind, Time, Who};
use crate::overlay::{Call, HowToOpen, RenameMode, SetTime, Stat};
use crate::sys::flags as f;

/// Type bits of a mode, and what they mean.
const TYPES: [(u32, Kind); 7] = [
    (0o100_000, Kind::File),
    (0o040_000, Kind::Dir),
    (0o120_000, Kind::Symlink),
    (0o010_000, Kind::Fifo),
    (0o140_000, Kind::Socket),
    (0o020_000, Kind::Char),
    (0o060_000, Kind::Block),
];

/// The kind in the type bits of `mode`.
pub(super) fn kind_of_mode(mode: u32) -> Option<Kind> {
    let bits = mode & 0o170_000;
    TYPES
        .iter()
        .find(|(b, _)| *b == bits)
        .map(|(_, kind)| *kind)
}

/// The kernel's word for a kind.
pub(super) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Dir => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
        Kind::Char => FileType::CharDevice,
        Kind::Block => FileType::BlockDevice,
    }
}

/// The kernel's form of a stat.
pub(super) fn file_attr(stat: &Stat) -> FileAttr {
    let attrs = &stat.attrs;
    FileAttr {
        ino: INodeNo(stat.ino.0),
        size: if attrs.kind == Kind::Dir {
            4096
        } else {
            attrs.size
        },
        blocks: stat.blocks,
        atime: system_time(attrs.atime),
        mtime: system_time(attrs.mtime),
        ctime: system_time(attrs.ctime),
        crtime: UNIX_EPOCH,
        kind: file_type(attrs.kind),
        perm: (attrs.mode & 0o7777) as u16,
        nlink: stat.nlink,
        uid: attrs.uid,
        gid: attrs.gid,
        // The kernel's device number here is the low half of st_rdev.
        rdev: attrs.rdev as u32,
        blksize: 4096,
        flags: 0,
    }
}

/// A time as the library takes it.
fn system_time(time: Time) -> SystemTime {
    let whole = Duration::from_secs(time.sec.unsigned_abs());
    let base = if time.sec < 0 {
        UNIX_EPOCH.checked_sub(whole)
    } else {
        UNIX_EPOCH.checked_add(whole)
    };
    base.and_then(|base| base.checked_add(Duration::from_nanos(u64::from(time.nsec))))
        .unwrap_or(UNIX_EPOCH)
}

/// A time as the library gives it. Before 1970 it takes the nanoseconds off where they should be added: undone here.
pub(super) fn time(system: SystemTime) -> Time {
    match system.duration_since(UNIX_EPOCH) {
        Ok(after) => Time {
            sec: after.as_secs() as i64,
            nsec: after.subsec_nanos(),
        },
        Err(before) => Time {
            sec: -(before.duration().as_secs() as i64),
            nsec: before.duration().subsec_nanos(),
        },
    }
}

/// A time to be set.
pub(super) fn set_time(wanted: TimeOrNow) -> SetTime {
    match wanted {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(system) => SetTime::To(time(system)),
    }
}

/// How a rename treats its target; `None` for flags that we do not know.
pub(super) fn rename_mode(flags: RenameFlags) -> Option<RenameMode> {
    if flags.is_empty() {
        Some(RenameMode::Replace)
    } else if flags == RenameFlags::RENAME_NOREPLACE {
        Some(RenameMode::NoReplace)
    } else if flags == RenameFlags::RENAME_EXCHANGE {
        Some(RenameMode::Exchange)
    } else {
        None
    }
}

/// The call a request makes.
pub(super) fn call(request: &Request) -> Call {
    Call::of(Who {
        uid: request.uid(),
        gid: request.gid(),
        pid: request.pid(),
    })
}

/// The call of an open: O_NONBLOCK asks not to be kept waiting.
pub(super) fn open_call(request: &Request, open_flags: i32) -> Call {
    Call {
        nonblock: open_flags & f::O_NONBLOCK != 0,
        ..call(request)
    }
}

/// The same call with the umask it came with.
pub(super) fn masked(call: Call, umask: u32) -> Call {
    Call { umask, ..call }
}

/// What the flags of an open ask for.
pub(super) fn how_to_open(open_flags: i32) -> HowToOpen {
    HowToOpen {
        write: OpenFlags(open_flags).acc_mode() != OpenAccMode::O_RDONLY,
        maps: OpenFlags(open_flags).acc_mode() == OpenAccMode::O_RDWR,
        truncate: open_flags & f::O_TRUNC != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_keep_their_nanoseconds() {
        // As the library decodes -0.8 s, which the kernel sends as (-1 s, 200,000,000 ns).
        let decoded = UNIX_EPOCH - Duration::new(1, 200_000_000);
        let ours = time(decoded);
        assert_eq!((ours.sec, ours.nsec), (-1, 200_000_000));
        let shown = system_time(ours);
        assert_eq!(
            UNIX_EPOCH.duration_since(shown).unwrap(),
            Duration::from_millis(800)
        );
    }

    #[test]
    fn every_kind_has_its_type_bits() {
        assert_eq!(kind_of_mode(0o100_644), Some(Kind::File));
        assert_eq!(kind_of_mode(0o140_755), Some(Kind::Socket));
        assert_eq!(kind_of_mode(0o644), None);
    }
}
