//! Deadlines, kill and replace.

/// How to start agents.
pub struct AgentConfig {}

/// A lower that lives in an agent process.
pub struct AgentClient {}
