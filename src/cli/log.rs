//! `driftfs log`.

use std::path::{Path, PathBuf};

use super::exit::{Exit, Outcome};
use super::locate;
use super::output::{Out, short};
use super::st::unexpected;
use crate::control::{Answer, Log, LogItem, Request};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  driftfs log                  the last 100 things done to this mount
  driftfs log -n 5 notes.md    the last 5 done to one file")]
pub(super) struct Args {
    /// Only this object
    path: Option<PathBuf>,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 100)]
    limit: usize,
}

pub(super) fn run(args: &Args, at: Option<&Path>, out: &Out) -> Outcome {
    let found = locate::find(at, args.path.as_deref())?;
    let path = args.path.as_deref().map(|path| found.json(path));
    let request = Request::Log {
        path: path.transpose()?,
        limit: args.limit,
    };
    let Answer::Log(log) = found.ask(request)? else {
        return Err(unexpected());
    };
    out.show(&log, text);
    Ok(Exit::Done)
}

fn text(log: &Log) -> String {
    let line = |item: &LogItem| {
        let who = format!("{} ({})", item.program, item.uid);
        let detail = if item.detail.is_empty() {
            String::new()
        } else {
            format!("   {}", item.detail)
        };
        format!(
            "{}  {:<10} {:<20} {}{detail}\n",
            short(&item.time),
            item.verb,
            who,
            item.path.path
        )
    };
    log.records.iter().map(line).collect()
}
