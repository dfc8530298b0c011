//! What the person types and sees. One file per command: typed arguments with their help beside them, one call, one
//! rendering.

mod approve;
mod args;
mod cat;
mod check;
mod conflicts;
mod diff;
mod doctor;
mod exit;
mod export;
mod link;
mod locate;
mod log;
mod ls;
mod mount;
mod output;
mod plan;
mod resolve;
mod st;
mod umount;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Verb};
use exit::{Exit, Outcome};
use output::Out;

/// Parses the arguments, runs the command, prints, and gives the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    if matches!(cli.verb, Verb::Agent(_)) {
        // The agent's end is nobody's command: its status is for the daemon alone.
        return ExitCode::from(u8::try_from(crate::daemon::agent_main()).unwrap_or(1));
    }
    let out = Out::new(cli.json);
    match run(&cli, &out) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            out.failure(&failure);
            failure.exit.into()
        }
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe is no reason to fail differently.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done.into(),
        _ => Exit::Usage.into(),
    }
}

fn run(cli: &Cli, out: &Out) -> Outcome {
    let at = cli.mount.as_deref();
    match &cli.verb {
        Verb::Mount(args) => mount::run(args, out),
        Verb::Umount(args) => umount::run(args, at, out),
        Verb::St(args) => st::run(args, at, out),
        Verb::Ls => ls::run(out),
        Verb::Doctor(args) => doctor::run(args, out),
        Verb::Offline => link::offline(at, out),
        Verb::Online(args) => link::online(args, at, out),
        Verb::Sync => link::sync(at, out),
        Verb::Approve(args) => approve::run(args, at, out),
        Verb::Diff(args) => diff::run(args, at, out),
        Verb::Plan => plan::run(at, out),
        Verb::Log(args) => log::run(args, at, out),
        Verb::Conflicts => conflicts::run(at, out),
        Verb::Resolve(args) => resolve::run(args, at, out),
        Verb::Cat(args) => cat::run(args, at, out),
        Verb::Check(args) => check::run(args, out),
        Verb::Export(args) => export::run(args, out),
        Verb::LookAt(args) => crate::daemon::look_at_main(&args.paths).map_or_else(
            |error| Err(exit::Failure::error(error.to_string())),
            |()| Ok(Exit::Done),
        ),
        Verb::Agent(_) => Ok(Exit::Done),
    }
}
