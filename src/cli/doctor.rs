//! `driftfs doctor`.

use std::path::PathBuf;

use super::exit::{Exit, Outcome};
use super::output::Out;
use crate::daemon::{self, Finding, Health};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  driftfs doctor
  driftfs doctor /mnt/nas/work     looks at the share too; writes nothing there")]
pub(super) struct Args {
    /// A server's directory to look at as well
    lower: Option<PathBuf>,
}

pub(super) fn run(args: &Args, out: &Out) -> Outcome {
    let health = daemon::doctor(args.lower.as_deref());
    out.show(&health, text);
    Ok(if health.usable {
        Exit::Done
    } else {
        Exit::Error
    })
}

fn text(health: &Health) -> String {
    let line = |finding: &Finding| {
        let mark = if finding.ok { "ok  " } else { "no  " };
        format!("{mark} {}: {}\n", finding.name, finding.what)
    };
    health.findings.iter().map(line).collect()
}
