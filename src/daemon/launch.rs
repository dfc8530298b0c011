//! From the command to a running daemon: started detached by the command, which waits for its report.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::control::JsonPath;
use crate::sys;

/// A daemon that says nothing for so long is given up by the command that started it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What shall be mounted, as it was typed.
#[derive(Clone, Debug)]
pub struct Mounting {
    /// The server's directory.
    pub lower: PathBuf,
    /// Where to show it.
    pub mountpoint: PathBuf,
    /// The state directory, if not the default.
    pub state: Option<PathBuf>,
    /// `-o` options.
    pub options: Vec<String>,
    /// When changes go to the server.
    pub push: PushMode,
    /// Longest pause between two probes.
    pub probe: Duration,
    /// Keep files in an image of so many bytes.
    pub cache_image: Option<u64>,
    /// Nodes kept in memory.
    pub inode_cache: u32,
}

/// When changes go to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushMode {
    /// A second after the last close.
    Auto,
    /// Before close returns.
    Close,
    /// By `driftfs sync` only.
    Manual,
}

impl PushMode {
    /// The word a person types.
    pub fn word(self) -> &'static str {
        match self {
            PushMode::Auto => "auto",
            PushMode::Close => "close",
            PushMode::Manual => "manual",
        }
    }
}

/// Why there is no mount. Each is a sentence with what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartError {
    /// The places or options make no sense.
    #[error("{0}")]
    Usage(String),
    /// A first mount needs the server.
    #[error("{0}")]
    Unreachable(String),
    /// Something else.
    #[error("{0}")]
    Failed(String),
}

/// A mount that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Mount point.
    pub mount: PathBuf,
    /// Lower.
    pub lower: PathBuf,
    /// State directory.
    pub state_dir: PathBuf,
    /// The daemon.
    pub pid: u32,
    /// State of the link.
    pub link: String,
    /// A sentence, empty while connected.
    pub why: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Report {
    Ready {
        mount: JsonPath,
        lower: JsonPath,
        state_dir: JsonPath,
        pid: u32,
        link: String,
        why: String,
    },
    Failed(StartError),
}

/// Starts the daemon in the background and returns when the mount answers.
pub fn launch(mounting: &Mounting) -> Result<Ready, StartError> {
    let failed = |what: String| StartError::Failed(what);
    let (mut child, mut pipe) = sys::spawn_detached(&arguments(mounting))
        .map_err(|error| failed(format!("the daemon could not be started: {error}")))?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(sys::read_report(&mut pipe)));
    let said = match told.recv_timeout(PATIENCE) {
        Ok(Ok(said)) => said,
        Ok(Err(error)) => return Err(failed(format!("the daemon's report was lost: {error}"))),
        Err(_) => {
            // Mounting it later, unasked, would be a surprise.
            let _ = child.kill();
            return Err(failed(format!(
                "the daemon did not answer within {} s\n  next: look into daemon.log in the state directory",
                PATIENCE.as_secs()
            )));
        }
    };
    understand(&said)
}

fn understand(said: &[u8]) -> Result<Ready, StartError> {
    match serde_json::from_slice(said) {
        Ok(Report::Ready {
            mount,
            lower,
            state_dir,
            pid,
            link,
            why,
        }) => Ok(Ready {
            mount: mount.os().into(),
            lower: lower.os().into(),
            state_dir: state_dir.os().into(),
            pid,
            link,
            why,
        }),
        Ok(Report::Failed(error)) => Err(error),
        Err(_) => Err(StartError::Failed(
            "the daemon ended before the mount answered\n  next: driftfs mount --foreground …   shows why".into(),
        )),
    }
}

/// The same mount, for the program that becomes the daemon.
fn arguments(mounting: &Mounting) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec![
        "mount".into(),
        "--detached".into(),
        "--push".into(),
        mounting.push.word().into(),
        "--probe".into(),
        mounting.probe.as_secs().to_string().into(),
        "--inode-cache".into(),
        mounting.inode_cache.to_string().into(),
    ];
    for option in &mounting.options {
        all.extend(["-o".into(), option.into()]);
    }
    if let Some(size) = mounting.cache_image {
        all.extend(["--cache-image".into(), size.to_string().into()]);
    }
    if let Some(state) = &mounting.state {
        all.extend(["--state".into(), state.into()]);
    }
    all.push("--".into());
    all.extend([(&mounting.lower).into(), (&mounting.mountpoint).into()]);
    all
}

/// Becomes the daemon, reporting to the program that started this one. Returns when the mount is gone.
pub fn run_detached(mounting: &Mounting) -> Result<(), StartError> {
    let mut pipe = sys::report_pipe().map_err(|error| {
        StartError::Failed(format!(
            "--detached is for driftfs itself: {error}\n  next: driftfs mount LOWER MOUNTPOINT"
        ))
    })?;
    let mut tell = |report: &Report| {
        // These values always serialise: strings and numbers only.
        let text = serde_json::to_vec(report).unwrap_or_default();
        sys::write_report(&mut pipe, &text);
    };
    match super::start::start(mounting, super::start::Output::Log) {
        Ok(running) => {
            tell(&ready(running.ready()));
            drop(pipe);
            running.until_end();
            Ok(())
        }
        Err(error) => {
            tell(&Report::Failed(error.clone()));
            Err(error)
        }
    }
}

/// Becomes the daemon in the caller's terminal. Returns when the mount is gone.
pub fn run_foreground(mounting: &Mounting) -> Result<(), StartError> {
    let running = super::start::start(mounting, super::start::Output::Terminal)?;
    running.until_end();
    Ok(())
}

fn ready(ready: Ready) -> Report {
    Report::Ready {
        mount: JsonPath::host(&ready.mount),
        lower: JsonPath::host(&ready.lower),
        state_dir: JsonPath::host(&ready.state_dir),
        pid: ready.pid,
        link: ready.link,
        why: ready.why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_the_pipe_and_silence_is_a_failure() {
        let report = ready(Ready {
            mount: "/m".into(),
            lower: "/l".into(),
            state_dir: "/s".into(),
            pid: 7,
            link: "connected".into(),
            why: String::new(),
        });
        let said = serde_json::to_vec(&report).unwrap();
        assert_eq!(understand(&said).unwrap().pid, 7);
        let refused = StartError::Usage("no".into());
        let said = serde_json::to_vec(&Report::Failed(refused.clone())).unwrap();
        assert_eq!(understand(&said), Err(refused));
        assert!(matches!(understand(b""), Err(StartError::Failed(_))));
    }
}
