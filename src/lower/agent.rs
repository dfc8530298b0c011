//! The other process.

/// Runs the agent on the socket it was started with; returns when the daemon is gone.
pub fn agent_main() -> i32 {
    todo!()
}
