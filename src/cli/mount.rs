//! `driftfs mount`.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use super::exit::{Exit, Failure, Outcome};
use super::output::Out;
use crate::control::JsonPath;
use crate::daemon::{self, Mounting, PushMode, StartError};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  driftfs mount /mnt/nas/work ~/work
  driftfs mount --push manual /mnt/nas/work /mnt/nas/work    over the share itself
  driftfs mount --cache-image 20G /mnt/nas/work /work        on ext4: clones instead of copies
  driftfs mount -o ro,allow_other --state /var/cache/work /mnt/nas/work /work

Returns when the mount answers. Mounting again after a crash or a reboot continues where it stopped, with or
without the server.")]
pub(super) struct Args {
    /// The server's directory as it is mounted on this host (NFS, SMB, sshfs, a local disk, …)
    lower: PathBuf,
    /// Where to show it
    mountpoint: PathBuf,
    /// Where everything is kept that is kept here [default: $XDG_STATE_HOME/driftfs/NAME, for root
    /// /var/lib/driftfs/NAME]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Stay in the foreground, with the log on standard error
    #[arg(long)]
    foreground: bool,
    /// Mount options, as in fstab: ro, allow_other, noxattr, nopassthrough, dev, suid, noexec, noatime, …
    #[arg(short = 'o', value_name = "OPTIONS", value_delimiter = ',')]
    options: Vec<String>,
    /// When changes go to the server: 1 s after the last close, before close returns, or by `driftfs sync` only
    #[arg(long, value_enum, default_value_t = Push::Auto)]
    push: Push,
    /// Longest pause between two looks whether an unreachable server is back
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    probe: u64,
    /// Keep files in a file system of their own that can clone (an XFS image of that size in the state
    /// directory), where the disk cannot: the first write to a large file then copies nothing (root only; needs xfsprogs)
    #[arg(long, value_name = "SIZE", value_parser = daemon::parse_size)]
    cache_image: Option<u64>,
    /// How many files and directories are kept in memory, about 300 bytes each; what is not is read from the disk
    #[arg(long, value_name = "N", default_value_t = 250_000, value_parser = clap::value_parser!(u32).range(1000..=100_000_000))]
    inode_cache: u32,
    /// Started by another driftfs, which waits for a report
    #[arg(long, hide = true)]
    detached: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Push {
    Auto,
    Close,
    Manual,
}

#[derive(Serialize)]
struct Mounted {
    mount: String,
    lower: String,
    state_dir: String,
    pid: u32,
    link: String,
    why: String,
}

pub(super) fn run(args: &Args, out: &Out) -> Outcome {
    let mounting = Mounting {
        lower: args.lower.clone(),
        mountpoint: args.mountpoint.clone(),
        state: args.state.clone(),
        options: args.options.clone(),
        push: match args.push {
            Push::Auto => PushMode::Auto,
            Push::Close => PushMode::Close,
            Push::Manual => PushMode::Manual,
        },
        probe: std::time::Duration::from_secs(args.probe),
        cache_image: args.cache_image,
        inode_cache: args.inode_cache,
    };
    if args.detached {
        daemon::run_detached(&mounting).map_err(failure)?;
        return Ok(Exit::Done);
    }
    if args.foreground {
        daemon::run_foreground(&mounting).map_err(failure)?;
        return Ok(Exit::Done);
    }
    let ready = daemon::launch(&mounting).map_err(failure)?;
    let shown = Mounted {
        mount: JsonPath::host(&ready.mount).path,
        lower: JsonPath::host(&ready.lower).path,
        state_dir: JsonPath::host(&ready.state_dir).path,
        pid: ready.pid,
        link: ready.link,
        why: ready.why,
    };
    out.show(&shown, text);
    Ok(Exit::Done)
}

fn text(mounted: &Mounted) -> String {
    let offline = if mounted.link == "disconnected" {
        format!(
            "\n  {}\n  everything kept here works, and is merged when the server is back",
            mounted.why
        )
    } else {
        String::new()
    };
    format!(
        "{} is shown at {}\n  kept in {}{offline}",
        mounted.lower, mounted.mount, mounted.state_dir
    )
}

fn failure(error: StartError) -> Failure {
    let exit = match error {
        StartError::Usage(_) => Exit::Usage,
        StartError::Unreachable(_) => Exit::Offline,
        StartError::Failed(_) => Exit::Error,
    };
    Failure::new(exit, error.to_string())
}
