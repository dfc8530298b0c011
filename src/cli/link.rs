//! `driftfs offline`, `online` and `sync`.

use std::path::Path;

use super::exit::{Exit, Outcome};
use super::locate;
use super::output::{Out, count, reasons};
use super::st::unexpected;
use crate::control::{Answer, Request, Said, Settled};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  driftfs online
  driftfs online --wait && echo 'both sides are equal'

With --wait it returns when settled: 0 clean, 3 conflicts present, 4 still unreachable, 5 some items pending,
6 the brake holds (then: driftfs plan, driftfs approve).")]
pub(super) struct OnlineArgs {
    /// Return when both sides are merged, or surely cannot be now
    #[arg(long)]
    wait: bool,
}

pub(super) fn offline(at: Option<&Path>, out: &Out) -> Outcome {
    let found = locate::find(at, None)?;
    let Answer::Said(said) = found.ask(Request::Offline)? else {
        return Err(unexpected());
    };
    out.show(&said, said_text);
    Ok(Exit::Done)
}

pub(super) fn online(args: &OnlineArgs, at: Option<&Path>, out: &Out) -> Outcome {
    settle(Request::Online { wait: args.wait }, at, out)
}

pub(super) fn sync(at: Option<&Path>, out: &Out) -> Outcome {
    settle(Request::Sync, at, out)
}

pub(super) fn said_text(said: &Said) -> String {
    said.said.clone()
}

fn settle(request: Request, at: Option<&Path>, out: &Out) -> Outcome {
    let found = locate::find(at, None)?;
    let Answer::Settled(settled) = found.ask(request)? else {
        return Err(unexpected());
    };
    out.show(&settled, text);
    Ok(exit(&settled))
}

fn exit(settled: &Settled) -> Exit {
    match settled.outcome.as_str() {
        "clean" | "started" => Exit::Done,
        "conflicts" => Exit::Conflicts,
        "offline" => Exit::Offline,
        "pending" => Exit::Partly,
        "brake" => Exit::NeedsApproval,
        _ => Exit::Error,
    }
}

fn text(settled: &Settled) -> String {
    let mut lines = vec![settled.why.clone()];
    let moved = [
        (settled.pushed, "sent"),
        (settled.pulled, "taken from the server"),
        (settled.merged, "merged"),
    ];
    let told: Vec<String> = moved
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    if !told.is_empty() {
        lines.push(format!("  {}", told.join(", ")));
    }
    if settled.conflicts > 0 {
        let how_many = count(settled.conflicts, "conflict");
        lines.push(format!("  {how_many} to decide\n  next: driftfs conflicts"));
    }
    let mut text = lines.join("\n") + "\n";
    text += &reasons("waiting", &settled.pending);
    text += &reasons("notes", &settled.notes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_exit_code() {
        let codes = [
            ("clean", 0),
            ("conflicts", 3),
            ("offline", 4),
            ("pending", 5),
            ("brake", 6),
        ];
        for (outcome, code) in codes {
            let settled = Settled {
                outcome: outcome.into(),
                ..Settled::default()
            };
            assert_eq!(exit(&settled) as u8, code, "{outcome}");
        }
    }
}
