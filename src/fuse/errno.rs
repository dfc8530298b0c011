//! Which error number a caller gets: the one table.

use fuser::Errno;

use crate::model::NameError;
use crate::overlay::{MetaError, OverlayError, TreeError};
use crate::sys::errno as e;

/// Largest error number the kernel passes on; an answer of 512 or more leaves the caller hanging for ever.
const LARGEST: i32 = 511;

/// The error number for `error`.
pub(super) fn errno(error: &OverlayError) -> Errno {
    Errno::from_i32(clamped(number(error)))
}

fn clamped(number: i32) -> i32 {
    if (1..=LARGEST).contains(&number) {
        number
    } else {
        e::EIO
    }
}

fn number(error: &OverlayError) -> i32 {
    match error {
        OverlayError::Wait(_) | OverlayError::NamesAway(_) => e::EHOSTDOWN,
        OverlayError::BytesAway { nonblock: true, .. } => e::EAGAIN,
        OverlayError::BytesAway {
            nonblock: false, ..
        } => e::ENODATA,
        OverlayError::TimedOut => e::ETIMEDOUT,
        OverlayError::Interrupted => e::EINTR,
        OverlayError::Refused(_) => e::EACCES,
        OverlayError::Reserved(_) => e::EPERM,
        OverlayError::ReadOnly => e::EROFS,
        OverlayError::Name(NameError::TooLong) => e::ENAMETOOLONG,
        OverlayError::Name(NameError::Malformed) => e::EINVAL,
        OverlayError::BadHandle => e::EBADF,
        OverlayError::Running => e::ETXTBSY,
        OverlayError::PastEnd => e::ENXIO,
        OverlayError::Unsupported(_) => e::EOPNOTSUPP,
        OverlayError::BadValue(_) => e::EINVAL,
        OverlayError::Bug => e::EIO,
        OverlayError::Tree(error) => of_tree(error),
    }
}

fn of_tree(error: &TreeError) -> i32 {
    match error {
        TreeError::NotFound => e::ENOENT,
        TreeError::Exists => e::EEXIST,
        TreeError::NotEmpty => e::ENOTEMPTY,
        TreeError::NotDir => e::ENOTDIR,
        TreeError::IsDir => e::EISDIR,
        TreeError::Loop | TreeError::Invalid => e::EINVAL,
        TreeError::TooManyLinks => e::EMLINK,
        TreeError::TooLarge => e::EFBIG,
        TreeError::NoAttribute => e::ENODATA,
        TreeError::NotListed(_) => e::EHOSTDOWN,
        TreeError::NoBytes(_) => e::ENODATA,
        TreeError::Busy => e::EBUSY,
        TreeError::NoSpace | TreeError::Meta(MetaError::Full) => e::ENOSPC,
        TreeError::Unsupported => e::EOPNOTSUPP,
        TreeError::Meta(
            MetaError::Sql { .. }
            | MetaError::Version { .. }
            | MetaError::Damaged { .. }
            | MetaError::Io { .. }
            | MetaError::Unsettled
            | MetaError::Stopped,
        ) => e::EIO,
        TreeError::Io { source, .. } => source.raw_os_error().unwrap_or(e::EIO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Ino;

    #[test]
    fn no_answer_reaches_512_whatever_the_host_said() {
        for odd in [0, -5, 512, 524, i32::MAX] {
            let error = TreeError::Io {
                what: "test",
                source: std::io::Error::from_raw_os_error(odd),
            };
            assert_eq!(errno(&OverlayError::Tree(error)).code(), e::EIO);
        }
    }

    #[test]
    fn what_is_out_of_reach_is_never_called_missing() {
        let ino = Ino(9);
        let away = |nonblock| OverlayError::BytesAway { ino, nonblock };
        assert_eq!(errno(&OverlayError::NamesAway(ino)).code(), e::EHOSTDOWN);
        assert_eq!(errno(&away(false)).code(), e::ENODATA);
        assert_eq!(errno(&away(true)).code(), e::EAGAIN);
    }
}
