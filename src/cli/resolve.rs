//! `driftfs resolve`.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::exit::{Exit, Outcome};
use super::locate::{self, Found};
use super::output::Out;
use super::st::unexpected;
use crate::control::{
    Answer, ConflictItem, Conflicts, JsonPath, Request, Resolved, ResolvedItem, Take,
};
use crate::model::RelPath;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  driftfs conflicts
  driftfs cat --server notes.md | diff notes.md -
  driftfs resolve --take server notes.md
  driftfs resolve --take both -- report.odt slides/

The version that is not taken stays readable: `driftfs log PATH` tells where. After editing the file here into the
wanted form, take `client`.")]
pub(super) struct Args {
    /// Which version counts
    #[arg(long, value_enum)]
    take: Word,
    /// Paths in conflict; a directory means every conflict in it
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Word {
    /// Ours, as it is in the mount now
    #[value(alias = "ours")]
    Client,
    /// The server's
    #[value(alias = "theirs")]
    Server,
    /// The last one both sides agreed on
    Base,
    /// Both: ours keeps the name, the server's gets a new one
    Both,
    /// The merged proposal, when it has no markers
    Merged,
}

impl From<Word> for Take {
    fn from(word: Word) -> Take {
        match word {
            Word::Client => Take::Client,
            Word::Server => Take::Server,
            Word::Base => Take::Base,
            Word::Both => Take::Both,
            Word::Merged => Take::Merged,
        }
    }
}

pub(super) fn run(args: &Args, at: Option<&Path>, out: &Out) -> Outcome {
    let found = locate::find(at, args.paths.first().map(PathBuf::as_path))?;
    let Answer::Conflicts(open) = found.ask(Request::Conflicts)? else {
        return Err(unexpected());
    };
    let meant = |path: &PathBuf| listed(&found, &open, path).map_or_else(|| found.json(path), Ok);
    let paths = args.paths.iter().map(meant);
    let request = Request::Resolve {
        take: args.take.into(),
        paths: paths.collect::<Result<_, _>>()?,
    };
    let Answer::Resolved(resolved) = found.ask(request)? else {
        return Err(unexpected());
    };
    out.show(&resolved, text);
    let all = resolved.resolved.iter().all(|item| item.done);
    Ok(if all { Exit::Done } else { Exit::Partly })
}

/// The conflict that was printed with just this path, whatever links have come to be in it since.
fn listed(found: &Found, open: &Conflicts, path: &Path) -> Option<JsonPath> {
    let typed = found.as_printed(path)?;
    let typed = RelPath::parse(typed.as_os_str().as_bytes()).ok()?;
    let mut all = open.conflicts.iter();
    let of_it = |item: &&ConflictItem| item.path.rel().is_ok_and(|path| path == typed);
    all.find(of_it).map(|item| item.path.clone())
}

fn text(resolved: &Resolved) -> String {
    let line = |item: &ResolvedItem| {
        let word = if item.done {
            "resolved"
        } else {
            "not resolved"
        };
        let note = if item.note.is_empty() {
            String::new()
        } else {
            format!(": {}", item.note)
        };
        format!("{word}  {}{note}\n", item.path.path)
    };
    let mut text: String = resolved.resolved.iter().map(line).collect();
    if resolved.conflicts > 0 {
        text += &format!(
            "{} left\n",
            super::output::count(resolved.conflicts, "conflict")
        );
    }
    text
}
