//! `driftfs plan`.

use std::path::Path;

use super::exit::{Exit, Outcome};
use super::locate;
use super::output::{Out, reasons};
use super::st::unexpected;
use crate::control::{Answer, PlanStep, Planned, Request};

pub(super) fn run(at: Option<&Path>, out: &Out) -> Outcome {
    let found = locate::find(at, None)?;
    let Answer::Plan(plan) = found.ask(Request::Plan)? else {
        return Err(unexpected());
    };
    out.show(&plan, text);
    Ok(Exit::Done)
}

fn text(plan: &Planned) -> String {
    if plan.steps.is_empty() && plan.conflicts.is_empty() && plan.pending.is_empty() {
        return "nothing to do: both sides agree".into();
    }
    let step = |step: &PlanStep| {
        let to = step.to.as_ref().map(|to| format!(" -> {}", to.path));
        format!(
            "{:<7} {:<10} {}{}   ({})\n",
            step.side,
            step.action,
            step.path.path,
            to.unwrap_or_default(),
            step.rule
        )
    };
    let mut text: String = plan.steps.iter().map(step).collect();
    for clash in &plan.conflicts {
        text += &format!(
            "conflict {:<9} {}   ({})\n",
            clash.kind, clash.path.path, clash.rule
        );
    }
    text += &reasons("waiting", &plan.pending);
    text += &reasons("notes", &plan.notes);
    if let Some(brake) = &plan.brake {
        text += &format!("the brake would hold: {brake}\n  next: driftfs approve\n");
    }
    text
}
