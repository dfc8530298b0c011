//! `driftfs check`.

use std::path::PathBuf;

use super::exit::{Exit, Failure, Outcome};
use super::output::Out;
use crate::daemon::rescue;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  driftfs check --state /var/lib/driftfs/work-1a2b3c4d
  driftfs check --read-data --state ~/.local/state/driftfs/work-1a2b3c4d

Needs no mount and no server. Unmount first: a state directory in use is not checked.")]
pub(super) struct Args {
    /// The state directory (`driftfs st` and `driftfs ls` show it)
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Read every stored file and compare its hash
    #[arg(long)]
    read_data: bool,
}

pub(super) fn run(args: &Args, out: &Out) -> Outcome {
    let report = rescue::check(&args.state, args.read_data)
        .map_err(|error| Failure::error(error.to_string()))?;
    out.show(&report, |report| report.to_string());
    Ok(if report.is_sound() {
        Exit::Done
    } else {
        Exit::Error
    })
}
