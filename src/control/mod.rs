//! How a person's command reaches the daemon: one JSON line each way over a Unix socket in the state directory.
//!
//! The socket is for the daemon's user and root. A request is one line `{"v":1,"request":…}`, an answer one line
//! `{"v":1,"answer":…}` or `{"v":1,"refused":…}`. Lines are bounded, and nothing a peer sends ends the daemon.

mod answers;
mod client;
mod codec;
mod path;
mod proto;
mod server;

pub use crate::model::Take;
pub use answers::{
    Answer, Cache, Changes, ConflictItem, Conflicts, Diff, DiffItem, LinkInfo, Log, LogItem,
    PathReason, PlanClash, PlanStep, Planned, Resolved, ResolvedItem, Said, Settled, Status,
};
pub use client::{AskError, ask};
pub use path::{JsonPath, rfc3339};
pub use proto::{Code, Refusal, Request};
pub use server::{Server, serve};
