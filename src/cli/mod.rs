//! What the person types and sees.

/// Parses the arguments, runs the command, prints, and gives the exit code.
pub fn main() -> std::process::ExitCode {
    todo!()
}
