//! `driftfs export`.

use std::path::PathBuf;

use super::exit::{Exit, Failure, Outcome};
use super::output::Out;
use crate::daemon::rescue;

#[derive(clap::Args)]
#[command(after_help = "\
Example:
  driftfs export --all-dirty --state /var/lib/driftfs/work-1a2b3c4d ~/rescued

Copies every version that is not on the server (changes, and all sides of conflicts) to OUT, with a MANIFEST.json.
Needs no daemon, no mount and no server; changes nothing in the state directory.")]
pub(super) struct Args {
    /// Everything that is not on the server
    #[arg(long, required = true)]
    all_dirty: bool,
    /// The state directory
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// A directory to be made, or an empty one
    out: PathBuf,
}

pub(super) fn run(args: &Args, out: &Out) -> Outcome {
    let done = rescue::export(&args.state, &args.out, args.all_dirty)
        .map_err(|error| Failure::error(error.to_string()))?;
    out.show(&done, |done| done.to_string());
    Ok(if done.is_complete() {
        Exit::Done
    } else {
        Exit::Partly
    })
}
