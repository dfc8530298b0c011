//! `driftfs approve`.

use std::path::Path;

use super::exit::{Exit, Outcome};
use super::link::said_text;
use super::locate;
use super::output::Out;
use super::st::unexpected;
use crate::control::{Answer, Request};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  driftfs plan && driftfs approve      the plan removes much, and that is right
  driftfs approve --identity           the server was restored or replaced, and this is it")]
pub(super) struct Args {
    /// Accept what is at the server's place now as the share we know
    #[arg(long)]
    identity: bool,
}

pub(super) fn run(args: &Args, at: Option<&Path>, out: &Out) -> Outcome {
    let found = locate::find(at, None)?;
    let request = Request::Approve {
        identity: args.identity,
    };
    let Answer::Said(said) = found.ask(request)? else {
        return Err(unexpected());
    };
    out.show(&said, said_text);
    Ok(Exit::Done)
}
