//! `driftfs st`.

use std::path::Path;

use super::exit::{Exit, Failure, Outcome};
use super::locate;
use super::output::{Out, count, reasons, short, size};
use crate::control::{Answer, Request, Status};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  driftfs st
  driftfs st --check || echo 'not in sync'
  driftfs -m ~/work --json st | jq .bytes_waiting")]
pub(super) struct Args {
    /// Exit with 3 when there are conflicts, 4 while not connected, 6 while the brake holds, 5 when anything waits
    #[arg(long)]
    check: bool,
}

pub(super) fn run(args: &Args, at: Option<&Path>, out: &Out) -> Outcome {
    let found = locate::find(at, None)?;
    let Answer::Status(status) = found.ask(Request::Status)? else {
        return Err(unexpected());
    };
    out.show(&status, text);
    Ok(if args.check {
        verdict(&status)
    } else {
        Exit::Done
    })
}

/// What a daemon of our protocol version never says.
pub(super) fn unexpected() -> Failure {
    Failure::error("the daemon gave an answer to another question; is it of another version?")
}

fn verdict(status: &Status) -> Exit {
    if status.conflicts > 0 {
        Exit::Conflicts
    } else if status.link.state == "disconnected" {
        Exit::Offline
    } else if status.brake.is_some() {
        Exit::NeedsApproval
    } else if status.changes.total() > 0 || !status.pending.is_empty() {
        Exit::Partly
    } else {
        Exit::Done
    }
}

fn text(status: &Status) -> String {
    let mut lines = vec![format!(
        "{}   {} since {}   {}",
        status.mount,
        status.link.state,
        short(&status.link.since),
        status.lower
    )];
    if !status.link.why.is_empty() {
        lines.push(format!("  {}", status.link.why));
    }
    if let Some(brake) = &status.brake {
        lines.push(format!("  stopped: {brake}"));
    }
    lines.push(waiting(status));
    if status.local_only > 0 {
        let many = count(status.local_only, "object");
        lines.push(format!("  {many} kept on this host by a rule"));
    }
    if status.conflicts > 0 {
        lines.push(format!(
            "  {} to decide        driftfs conflicts",
            count(status.conflicts, "conflict")
        ));
    }
    if status.unlisted > 0 {
        let dirs = if status.unlisted == 1 {
            "directory"
        } else {
            "directories"
        };
        lines.push(format!(
            "  {} {dirs} whose names are not known here yet",
            status.unlisted
        ));
    }
    let image = status.cache.image;
    let image = image.map_or_else(String::new, |bytes| {
        format!(" in an image of {}", size(bytes))
    });
    lines.push(format!("  cache {}{image}", size(status.cache.bytes)));
    let mut text = lines.join("\n") + "\n";
    text += &reasons("waiting", &status.pending);
    text += &reasons("notes", &status.notes);
    text
}

fn waiting(status: &Status) -> String {
    let c = &status.changes;
    let parts = [
        (c.created, "new"),
        (c.stored, "changed"),
        (c.renamed, "renamed"),
        (c.attributes, "with other attributes"),
        (c.removed, "removed"),
    ];
    let told: Vec<String> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    if told.is_empty() {
        "  nothing waits to go up".to_owned()
    } else {
        format!(
            "  {}   {} waiting to go up",
            told.join("  "),
            size(status.bytes_waiting)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Changes, LinkInfo};

    #[test]
    fn the_check_names_the_most_pressing_thing() {
        let mut status = Status::default();
        assert_eq!(verdict(&status), Exit::Done);
        status.changes = Changes {
            stored: 1,
            ..Changes::default()
        };
        assert_eq!(verdict(&status), Exit::Partly);
        status.link = LinkInfo {
            state: "disconnected".into(),
            ..LinkInfo::default()
        };
        assert_eq!(verdict(&status), Exit::Offline);
        status.conflicts = 1;
        assert_eq!(verdict(&status), Exit::Conflicts);
    }
}
