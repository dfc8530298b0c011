//! Agents for a mount that covers its own lower.
//!
//! By then nobody reaches the lower by path any more. So a small process is started before the mount, keeps a handle of the
//! directory beneath, and starts agents that inherit it. It makes no call on the lower itself, so it cannot hang.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sys::{self, Channel, Process};

/// Most agents that were killed and have not ended yet (they hang in a dead mount) before no more are started.
pub(super) const MOST_STUCK: usize = 16;

#[derive(Serialize, Deserialize)]
enum Order {
    /// Start an agent with these arguments; its socket, and perhaps its log, come along.
    Start(Vec<OsString>),
    /// Kill the agent with this number.
    Kill(u32),
}

/// The number of the new agent (0 for other orders), or why not.
type Outcome = Result<u32, String>;

/// Body of the spawner process; ends with its daemon.
pub(super) fn serve(channel: &Channel, lower: &Path) -> Result<(), String> {
    let kept = sys::dir::keep_place(lower).and_then(|root| {
        let number = sys::inherit(&root)?;
        Ok((root, number))
    });
    let number = match &kept {
        Ok((_, number)) => *number,
        Err(e) => {
            say(channel, &Err(format!("open {}: {e}", lower.display())));
            return Err(e.to_string());
        }
    };
    say(channel, &Ok(0));
    let mut agents = HashMap::new();
    while let Ok(Some((message, files))) = channel.receive() {
        agents.retain(|_, agent: &mut Process| !agent.ended());
        let outcome = match postcard::from_bytes(&message) {
            Ok(Order::Start(args)) => start(&mut agents, number, args, files),
            Ok(Order::Kill(pid)) => {
                if let Some(agent) = agents.get_mut(&pid) {
                    agent.kill();
                }
                Ok(0)
            }
            Err(e) => Err(e.to_string()),
        };
        say(channel, &outcome);
    }
    for agent in agents.values_mut() {
        agent.kill();
    }
    Ok(())
}

fn say(channel: &Channel, outcome: &Outcome) {
    if let Ok(message) = postcard::to_stdvec(outcome) {
        let _ = channel.send(&message, &[]);
    }
}

fn start(
    agents: &mut HashMap<u32, Process>,
    root: i32,
    mut args: Vec<OsString>,
    files: Vec<File>,
) -> Outcome {
    if agents.len() >= MOST_STUCK {
        return Err("earlier agents still hang in the dead mount".into());
    }
    let mut files = files.into_iter();
    let socket = files.next().ok_or("no socket came")?;
    args.extend(["--root-fd".into(), root.to_string().into()]);
    let channel = Channel::from_file(socket);
    let program = Path::new("/proc/self/exe");
    let agent = Process::start(program, &args, &[], channel, files.next())
        .map_err(|e| format!("start an agent: {e}"))?;
    let pid = agent.pid();
    agents.insert(pid, agent);
    Ok(pid)
}

/// The daemon's end.
pub(super) struct Spawner {
    channel: Mutex<Channel>,
}

impl Spawner {
    /// Starts the process and waits until it holds `lower`; the mount must not be made before.
    pub fn new(
        program: &Path,
        lower: &Path,
        env: &[(OsString, OsString)],
        log: Option<File>,
        limit: Duration,
    ) -> io::Result<Spawner> {
        let (ours, theirs) = Channel::pair()?;
        let args = ["agent".into(), "--spawner".into(), lower.into()];
        let mut process = Process::start(program, &args, env, theirs, log)?;
        ours.limit_sends(limit)?;
        ours.limit_receives(Some(limit))?;
        let held = hear(&ours);
        if held.is_err() {
            process.kill();
        }
        // It ends with its socket; whoever waits for it must have nothing else to do.
        std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || process.reap())?;
        held?;
        Ok(Spawner {
            channel: Mutex::new(ours),
        })
    }

    /// Starts an agent; gives its number.
    pub fn start(&self, args: Vec<OsString>, socket: &File, log: Option<&File>) -> io::Result<u32> {
        let files: Vec<&File> = std::iter::once(socket).chain(log).collect();
        self.order(&Order::Start(args), &files)
    }

    /// Kills an agent it started.
    pub fn kill(&self, pid: u32) {
        let _ = self.order(&Order::Kill(pid), &[]);
    }

    fn order(&self, order: &Order, files: &[&File]) -> io::Result<u32> {
        let message = postcard::to_stdvec(order).map_err(io::Error::other)?;
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let done = channel.send(&message, files).and_then(|()| hear(&channel));
        if done
            .as_ref()
            .is_err_and(|e| e.kind() != io::ErrorKind::Other)
        {
            // An answer that is late would be taken for that of the next order.
            channel.shut();
        }
        done
    }
}

fn hear(channel: &Channel) -> io::Result<u32> {
    let (message, _) = channel
        .receive()?
        .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    let outcome: Outcome = postcard::from_bytes(&message)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
    outcome.map_err(io::Error::other)
}
