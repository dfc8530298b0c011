//! `driftfs ls`.

use serde::Serialize;

use super::exit::{Exit, Failure, Outcome};
use super::locate;
use super::output::{Out, count};
use crate::control::{self, Answer, JsonPath, Request};
use crate::sys::{self, Mount};

#[derive(Serialize)]
struct Mounts {
    mounts: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    mount: String,
    lower: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// A state of the link, `dead` when the daemon is gone, or `unknown` when it may not be asked.
    state: String,
    unsent: usize,
    conflicts: usize,
}

pub(super) fn run(out: &Out) -> Outcome {
    let all = sys::mounts()
        .map_err(|error| Failure::error(format!("the mount table could not be read: {error}")))?;
    let mounts = all
        .iter()
        .filter(|mount| mount.fs_type == sys::FS_TYPE)
        .map(look)
        .collect();
    out.show(&Mounts { mounts }, text);
    Ok(Exit::Done)
}

fn look(mount: &Mount) -> Item {
    let mut item = Item {
        mount: JsonPath::host(&mount.point).path,
        lower: mount.source.to_string_lossy().into_owned(),
        state_dir: None,
        pid: None,
        state: "unknown".into(),
        unsent: 0,
        conflicts: 0,
    };
    let dir = match locate::state_dir_of(mount) {
        Ok(dir) => dir,
        Err(failure) => {
            if failure.exit == Exit::NotRunning {
                item.state = "dead".into();
            }
            return item;
        }
    };
    if let Ok(Answer::Status(status)) = control::ask(&dir, Request::Status) {
        item.pid = Some(status.pid);
        item.state = status.link.state;
        item.unsent = status.changes.total();
        item.conflicts = status.conflicts;
    }
    item.state_dir = Some(JsonPath::host(&dir).path);
    item
}

fn text(all: &Mounts) -> String {
    if all.mounts.is_empty() {
        return "no driftfs mounts\n  next: driftfs mount LOWER MOUNTPOINT".into();
    }
    let line = |item: &Item| {
        format!(
            "{}   {}   {}   {} unsent, {}\n",
            item.mount,
            item.state,
            item.lower,
            item.unsent,
            count(item.conflicts, "conflict")
        )
    };
    all.mounts.iter().map(line).collect()
}
