//! The command line as types.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::{approve, cat, check, diff, doctor, export, link, log, mount, resolve, st, umount};

/// Keep working when the server is gone, and merge when it is back.
#[derive(Parser)]
#[command(
    name = "driftfs",
    version,
    arg_required_else_help = true,
    infer_subcommands = false,
    after_help = "\
Begin here:
  driftfs mount /mnt/nas/work ~/work   show the share at ~/work
  cd ~/work && driftfs st              how is it?
  driftfs offline                      work without the server; everything stays writable
  driftfs online --wait                merge both sides
  driftfs conflicts                    what needs a decision
  driftfs umount ~/work

Exit codes: 0 done, 1 error, 2 usage, 3 conflicts present, 4 offline or unreachable, 5 partly done,
6 needs approval, 7 daemon not running, 8 would lose data (refused), 130 interrupted."
)]
pub(super) struct Cli {
    /// The mount meant: its mount point, a path inside it, or its name as `driftfs ls` shows it
    /// [default: the mount the given path or the current directory is in]
    #[arg(short = 'm', long = "mount", global = true, value_name = "MOUNT")]
    pub(super) mount: Option<PathBuf>,

    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub(super) json: bool,

    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Show a server's directory at a mount point, with a cache that survives the server
    Mount(mount::Args),
    /// Take a mount away; unsent changes stay in its state directory
    Umount(umount::Args),
    /// How a mount is: link, waiting changes, conflicts
    #[command(visible_alias = "status")]
    St(st::Args),
    /// Every driftfs mount of this host
    Ls,
    /// What this host (and a server's directory) can do; changes nothing
    Doctor(doctor::Args),
    /// Disconnect from the server by hand; survives restarts
    Offline,
    /// Connect again and merge what is outstanding
    Online(link::OnlineArgs),
    /// Push and pull now
    Sync,
    /// Let a merge go on that the brake stopped, or accept another server
    Approve(approve::Args),
    /// What differs from the last agreed state
    Diff(diff::Args),
    /// What a sync would do, and by which rule
    Plan,
    /// What was done to the mount, newest first
    Log(log::Args),
    /// What both sides changed and nobody may decide alone
    Conflicts,
    /// Decide conflicts
    Resolve(resolve::Args),
    /// Print one version of a file
    Cat(cat::Args),
    /// Prove that a state directory is sound; needs no daemon, mount or server
    Check(check::Args),
    /// Copy everything unsent out of a state directory; needs no daemon, mount or server
    Export(export::Args),
    #[command(hide = true)]
    Agent(AgentArgs),
    #[command(hide = true)]
    LookAt(LookAtArgs),
}

#[derive(clap::Args)]
pub(super) struct AgentArgs {
    /// What the daemon tells its agent
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _told: Vec<std::ffi::OsString>,
}

#[derive(clap::Args)]
pub(super) struct LookAtArgs {
    /// What to look at, in a process that may hang
    #[arg(required = true)]
    pub(super) paths: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
