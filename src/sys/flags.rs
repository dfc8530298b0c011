//! Flags of system calls by name, for the room that decodes them.

pub use libc::{
    O_APPEND, O_EXCL, O_NONBLOCK, O_TRUNC, SEEK_DATA, SEEK_HOLE, XATTR_CREATE, XATTR_REPLACE,
};
