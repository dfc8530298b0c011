//! A program must not be able to tell by behaviour that it is not on the local file system: trees that are hard to copy,
//! databases, version control, locks, compilers. Each on new files and on files that came from the server, connected and
//! offline, and (where it says so) compared with the file system underneath.

#[path = "../support/mod.rs"]
mod support;

mod acl;
mod bed;
mod heavy;
mod inside;
mod programs;
mod round_trip;
mod user;
