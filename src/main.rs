//! The `driftfs` program: parses the command line, calls the `cli` room, and turns the outcome into an exit code.

fn main() -> std::process::ExitCode {
    driftfs::cli::main()
}
