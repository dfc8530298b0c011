//! Which error numbers mean what.

use std::io;

use super::LowerError;
use crate::model::RelPath;

/// Error numbers by name: the same on every Linux architecture we build for.
pub(super) mod no {
    pub const EPERM: i32 = 1;
    pub const ENOENT: i32 = 2;
    pub const EINTR: i32 = 4;
    pub const EIO: i32 = 5;
    pub const ENXIO: i32 = 6;
    pub const EAGAIN: i32 = 11;
    pub const ENOMEM: i32 = 12;
    pub const EACCES: i32 = 13;
    pub const EEXIST: i32 = 17;
    pub const EXDEV: i32 = 18;
    pub const ENODEV: i32 = 19;
    pub const ENOTDIR: i32 = 20;
    pub const EISDIR: i32 = 21;
    pub const EINVAL: i32 = 22;
    pub const ENFILE: i32 = 23;
    pub const EMFILE: i32 = 24;
    pub const EFBIG: i32 = 27;
    pub const EMLINK: i32 = 31;
    pub const EPIPE: i32 = 32;
    pub const ENOSYS: i32 = 38;
    pub const ENOTEMPTY: i32 = 39;
    pub const ELOOP: i32 = 40;
    pub const ENOLINK: i32 = 67;
    pub const ECOMM: i32 = 70;
    pub const EPROTO: i32 = 71;
    pub const EOPNOTSUPP: i32 = 95;
    pub const ENETDOWN: i32 = 100;
    pub const ENETUNREACH: i32 = 101;
    pub const ENETRESET: i32 = 102;
    pub const ECONNABORTED: i32 = 103;
    pub const ECONNRESET: i32 = 104;
    pub const ENOTCONN: i32 = 107;
    pub const ESHUTDOWN: i32 = 108;
    pub const ETIMEDOUT: i32 = 110;
    pub const ECONNREFUSED: i32 = 111;
    pub const EHOSTDOWN: i32 = 112;
    pub const EHOSTUNREACH: i32 = 113;
    pub const ESTALE: i32 = 116;
    pub const EREMOTEIO: i32 = 121;
}

/// Numbers a dead or dying link gives. None of them says anything about the object.
const LINK: &[i32] = &[
    no::EINTR,
    no::EIO,
    no::ENXIO,
    no::EAGAIN,
    no::ENOMEM,
    no::ENODEV,
    no::EPIPE,
    no::ENOLINK,
    no::ECOMM,
    no::EPROTO,
    no::ENETDOWN,
    no::ENETUNREACH,
    no::ENETRESET,
    no::ECONNABORTED,
    no::ECONNRESET,
    no::ENOTCONN,
    no::ESHUTDOWN,
    no::ETIMEDOUT,
    no::ECONNREFUSED,
    no::EHOSTDOWN,
    no::EHOSTUNREACH,
    no::ESTALE,
    no::EREMOTEIO,
];

/// True for the errors of a link.
pub(super) fn is_link(error: &io::Error) -> bool {
    // Without a number it is no answer of a file system at all.
    error.raw_os_error().is_none_or(|n| LINK.contains(&n))
}

/// True when `error` has number `n`.
pub(super) fn is(error: &io::Error, n: i32) -> bool {
    error.raw_os_error() == Some(n)
}

/// True when the file system does not know this call, or this way of calling it.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    [no::EINVAL, no::ENOSYS, no::EOPNOTSUPP]
        .iter()
        .any(|n| is(error, *n))
}

/// What `error`, met while doing `what` at `path`, means.
pub(super) fn meaning(what: &str, path: &RelPath, error: io::Error) -> LowerError {
    let why = error.to_string();
    let what = format!("{what} {path}");
    if is_link(&error) {
        return LowerError::Link { what, why };
    }
    match error.raw_os_error().unwrap_or(no::EIO) {
        no::ENOENT | no::ENOTDIR => LowerError::NotFound(path.clone()),
        no::ELOOP | no::EXDEV => LowerError::Outside(path.clone()),
        no::ENOTEMPTY => LowerError::NotEmpty(path.clone()),
        errno @ (no::EMFILE | no::ENFILE) => LowerError::Local { errno, why },
        errno => LowerError::Refused { what, errno, why },
    }
}

/// Our own copy failed.
pub(super) fn local(error: io::Error) -> LowerError {
    LowerError::Local {
        errno: error.raw_os_error().unwrap_or(no::EIO),
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_link_never_means_gone() {
        let path = RelPath::parse(b"a/b").unwrap();
        for n in [5, 11, 100, 101, 103, 104, 107, 110, 111, 112, 113, 116] {
            let met = meaning("read", &path, io::Error::from_raw_os_error(n));
            assert!(matches!(met, LowerError::Link { .. }), "{n}: {met}");
        }
        let gone = meaning("read", &path, io::Error::from_raw_os_error(2));
        assert_eq!(gone, LowerError::NotFound(path.clone()));
        let no = meaning("read", &path, io::Error::from_raw_os_error(13));
        assert!(matches!(no, LowerError::Refused { errno: 13, .. }));
    }
}
