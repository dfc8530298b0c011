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
    let point = &found.mount.point;
    let there = crate::sys::canonical(Path::new(".")).is_ok_and(|at| at == *point);
    let cd = match there {
        true => String::new(),
        false => format!("cd {} && ", quoted(point)),
    };
    out.show(&conflicts, |all| text(all, &cd));
    Ok(Exit::Done)
}

/// `cd`: what to type before the paths shown mean what they say.
fn text(all: &Conflicts, cd: &str) -> String {
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
    text += &format!("  next: {cd}driftfs resolve --take client|server|base|both|merged PATH\n");
    text
}

/// A path as a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@:,".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_typed_is_one_word_to_a_shell() {
        assert_eq!(quoted(Path::new("/mnt/a-b_1")), "/mnt/a-b_1");
        assert_eq!(quoted(Path::new("/mnt/my files")), "'/mnt/my files'");
        assert_eq!(quoted(Path::new("/it's $x")), "'/it'\\''s $x'");
    }
}
