//! The lower as a directory of this host: what the agent runs, and tests use in process.

/// A directory of this host as a lower.
pub struct Posix {}
