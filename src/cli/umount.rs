//! `driftfs umount`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::exit::{Exit, Failure, Outcome};
use super::locate;
use super::output::{Out, count};
use crate::control::{self, Answer, JsonPath, Request, Said};
use crate::sys::{self, Mount};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  driftfs umount ~/work
  cd ~ && driftfs umount -m work

Returns within 10 seconds whatever the server does. Programs that still have files open there are named; they may
go on, and the daemon ends after their last close. Changes that are not on the server yet stay in the state
directory, and the next mount sends them.")]
pub(super) struct Args {
    /// The mount point
    mountpoint: Option<PathBuf>,
}

#[derive(Serialize)]
struct Unmounted {
    mount: String,
    unsent: usize,
    busy: Vec<String>,
    #[serde(skip)]
    note: &'static str,
}

/// The daemon's own work is bounded below this; what is left of the ten seconds is for the fallback.
const PATIENCE: Duration = Duration::from_secs(8);

const GONE: &str = "its daemon did not run any more; what it had not sent is in its state directory, and the next mount sends it";
const DETACHED: &str = "its daemon could not be asked: it was detached, and ends after the last close; what is unsent stays in its state directory";

pub(super) fn run(args: &Args, at: Option<&Path>, out: &Out) -> Outcome {
    let point = args.mountpoint.as_deref();
    let mount = locate::find_mount(point.or(at), None)?;
    if let Some(point) = point {
        same_place(point, &mount)?;
    }
    let start = Instant::now();
    let said = ask_to_stop(&mount);
    let done = match said {
        Ok(said) => {
            wait_until_gone(&mount, &said, start);
            Unmounted {
                mount: JsonPath::host(&mount.point).path,
                unsent: said.unsent,
                busy: said.busy,
                note: "",
            }
        }
        Err(note) => without_daemon(&mount, note)?,
    };
    out.show(&done, text);
    Ok(Exit::Done)
}

/// `umount ~/work/notes` is more likely a slip than a wish.
fn same_place(point: &Path, mount: &Mount) -> Result<(), Failure> {
    let real = sys::canonical(point).or_else(|_| sys::canonical_but_last(point));
    let by_name = point.file_name() == mount.point.file_name() || point.components().count() == 1;
    match real {
        Ok(real) if real == mount.point => Ok(()),
        Err(_) if by_name => Ok(()),
        _ => Err(Failure::usage(format!(
            "{} is not a mount point\n  next: driftfs umount {}",
            point.display(),
            mount.point.display()
        ))),
    }
}

/// Asks the daemon; else what a person is told of one that does not run, or does not answer in time.
fn ask_to_stop(mount: &Mount) -> Result<Said, &'static str> {
    let state_dir = locate::state_dir_of(mount).map_err(|failure| match failure.exit {
        Exit::NotRunning => GONE,
        _ => DETACHED,
    })?;
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(control::ask(&state_dir, Request::Stop)));
    match told.recv_timeout(PATIENCE) {
        Ok(Ok(Answer::Said(said))) => Ok(said),
        Ok(Err(control::AskError::NotRunning)) => Err(GONE),
        _ => Err(DETACHED),
    }
}

/// A script that mounts again at once shall find the place free: waits for mount and daemon to be gone.
fn wait_until_gone(mount: &Mount, said: &Said, start: Instant) {
    let running = || said.pid != 0 && said.busy.is_empty() && sys::is_running(said.pid);
    while (is_there(mount) || running()) && start.elapsed() < PATIENCE {
        sys::sleep(Duration::from_millis(20));
    }
}

fn is_there(mount: &Mount) -> bool {
    let same = |other: &Mount| other.point == mount.point && other.device == mount.device;
    sys::mounts().is_ok_and(|all| all.iter().any(same))
}

fn without_daemon(mount: &Mount, note: &'static str) -> Result<Unmounted, Failure> {
    if let Err(error) = sys::unmount(&mount.point, true)
        && is_there(mount)
    {
        return Err(Failure::error(format!(
            "{} could not be unmounted: {error}",
            mount.point.display()
        )));
    }
    Ok(Unmounted {
        mount: JsonPath::host(&mount.point).path,
        unsent: 0,
        busy: Vec::new(),
        note,
    })
}

fn text(done: &Unmounted) -> String {
    let mut lines = vec![format!("{} is unmounted", done.mount)];
    if !done.note.is_empty() {
        lines.push(format!("  {}", done.note));
    }
    if done.unsent > 0 {
        let waiting = count(done.unsent, "change");
        lines.push(format!(
            "  {waiting} not on the server yet; the next mount sends them"
        ));
    }
    if !done.busy.is_empty() {
        lines.push(
            "  still in use by these programs; the daemon ends after their last close:".into(),
        );
        lines.extend(done.busy.iter().map(|who| format!("    {who}")));
    }
    lines.join("\n")
}
