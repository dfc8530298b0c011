//! The `driftfs` program: parses the command line, calls the `cli` room, and turns the outcome into an exit code.

fn main() -> std::process::ExitCode {
    // Agents are this program too, and start often: nothing of the command line is set up for them.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|verb| verb == "agent")
    {
        let code = driftfs::lower::agent_main();
        return std::process::ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    driftfs::cli::main()
}
