//! `driftfs conflicts`.

use std::path::Path;

use super::exit::{Exit, Outcome};
use super::locate;
use super::output::{Out, short};
use super::st::unexpected;
use crate::control::{Answer, ConflictItem, Conflicts, Request};

pub(super) fn run(at: Option<&Path>, out: &Out) -> Outcome {
    let found = locate::find(at, None)?;
    let Answer::Conflicts(conflicts) = found.ask(Request::Conflicts)? else {
        return Err(unexpected());
    };
    out.show(&conflicts, text);
    Ok(Exit::Done)
}

fn text(all: &Conflicts) -> String {
    if all.conflicts.is_empty() {
        return "no conflicts".into();
    }
    let one = |item: &ConflictItem| {
        let variants: String = item
            .variants
            .iter()
            .map(|(word, path)| format!("    {word:<7} {path}\n"))
            .collect();
        format!(
            "{}   {}   since {}\n{variants}",
            item.path.path,
            item.kind,
            short(&item.since)
        )
    };
    let mut text: String = all.conflicts.iter().map(one).collect();
    text += "  next: driftfs resolve --take client|server|base|both|merged PATH\n";
    text
}
