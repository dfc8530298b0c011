//! `driftfs diff`.

use std::path::{Path, PathBuf};

use super::exit::{Exit, Outcome};
use super::locate;
use super::output::Out;
use super::st::unexpected;
use crate::control::{Answer, Diff, DiffItem, Request};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  driftfs diff                 what we changed since both sides last agreed
  driftfs diff --server src    what the server changed in src

Letters: A created, M bytes, D removed, R renamed, T type, a attributes.")]
pub(super) struct Args {
    /// Only this path and what is beneath it
    path: Option<PathBuf>,
    /// The server's changes instead of ours
    #[arg(long)]
    server: bool,
}

pub(super) fn run(args: &Args, at: Option<&Path>, out: &Out) -> Outcome {
    let found = locate::find(at, args.path.as_deref())?;
    let path = match &args.path {
        Some(path) => found.json(path)?,
        None => crate::control::JsonPath::new(b"."),
    };
    let request = Request::Diff {
        path,
        server: args.server,
    };
    let Answer::Diff(diff) = found.ask(request)? else {
        return Err(unexpected());
    };
    out.show(&diff, text);
    Ok(Exit::Done)
}

fn text(diff: &Diff) -> String {
    let line = |item: &DiffItem| match &item.from {
        Some(from) => format!("{} {} -> {}\n", item.letter, from.path, item.path.path),
        None => format!("{} {}\n", item.letter, item.path.path),
    };
    diff.changes.iter().map(line).collect()
}
