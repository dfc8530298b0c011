//! `driftfs cat`: a version of a file, read through the mount's hidden paths.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure, Outcome};
use super::locate;
use super::output::Out;
use crate::control::{Answer, ConflictItem, Request};
use crate::model::RelPath;
use crate::sys;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  driftfs cat --server notes.md
  driftfs cat --base notes.md | diff - notes.md

The same can be read by any program: DIR/.drift/server/NAME.")]
#[command(group = clap::ArgGroup::new("version").required(true).args(["server", "client", "base", "resolved"]))]
#[group(skip)]
pub(super) struct Args {
    /// The server's, as last seen
    #[arg(long)]
    server: bool,
    /// Ours
    #[arg(long)]
    client: bool,
    /// The last one both sides agreed on
    #[arg(long)]
    base: bool,
    /// What a resolve left
    #[arg(long)]
    resolved: bool,
    /// The file
    path: PathBuf,
}

pub(super) fn run(args: &Args, at: Option<&Path>, _out: &Out) -> Outcome {
    let mount = locate::find(at, Some(&args.path))?;
    let rel = mount.rel(&args.path)?;
    let word = word(args);
    let hidden = hidden_path(&mount.mount.point, &rel, word)
        .ok_or_else(|| Failure::usage("the root of a mount is a directory; name a file in it"))?;
    let opened = sys::open_path(&hidden).or_else(|error| match other_name(&mount, &rel, word) {
        Some(path) => sys::open_path(&path),
        None => Err(error),
    });
    let mut file = opened.map_err(|error| explain(&error, &rel, word))?;
    let mut out = std::io::stdout().lock();
    match io::copy(&mut file, &mut out).and_then(|_| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(explain(&error, &rel, word)),
        Ok(()) => Ok(Exit::Done),
    }
}

fn word(args: &Args) -> &'static str {
    match (args.server, args.client, args.base) {
        (true, _, _) => "server",
        (_, true, _) => "client",
        (_, _, true) => "base",
        _ => "resolved",
    }
}

/// Asked at the root, because the directory of the file may be gone in the live tree.
fn hidden_path(mount: &Path, rel: &RelPath, word: &str) -> Option<PathBuf> {
    (!rel.is_root()).then(|| mount.join(".drift").join(word).join(rel.os()))
}

/// Where the version is when the file has another name there: a conflict tells.
fn other_name(mount: &locate::Found, rel: &RelPath, word: &str) -> Option<PathBuf> {
    let Ok(Answer::Conflicts(all)) = mount.ask(Request::Conflicts) else {
        return None;
    };
    let of_it = |item: &&ConflictItem| item.path.rel().is_ok_and(|path| path == *rel);
    let item = all.conflicts.iter().find(of_it)?;
    item.variants.get(word).map(PathBuf::from)
}

fn explain(error: &io::Error, rel: &RelPath, word: &str) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Failure::error(format!(
            "{rel} has no version `{word}`\n  next: driftfs conflicts   shows which versions there are"
        )),
        io::ErrorKind::IsADirectory => Failure::usage(format!("{rel} is a directory")),
        _ => Failure::error(format!(
            "the version `{word}` of {rel} cannot be read: {error}\n  next: driftfs online --wait   if its contents are not here"
        )),
    }
}
