//! The `driftfs` program: parses the command line, calls the `cli` room, and turns the outcome into an exit code.

fn main() -> std::process::ExitCode {
    // These are this program too, and start often: nothing of the command line is set up for them.
    let verb = std::env::args_os().nth(1);
    let helper = match verb.as_ref().and_then(|verb| verb.to_str()) {
        Some("agent") => Some(driftfs::lower::agent_main as fn() -> i32),
        Some("teller") => Some(driftfs::fuse::teller_main as fn() -> i32),
        _ => None,
    };
    if let Some(helper) = helper {
        return std::process::ExitCode::from(u8::try_from(helper()).unwrap_or(1));
    }
    driftfs::cli::main()
}
