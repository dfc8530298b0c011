//! A lower in another process: deadlines, kill and replace, and the gate.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::process::{Holder, InUse, Running};
use super::spawner::{MOST_STUCK, Spawner};
use super::wire::{Ask, Asked, Told};
use super::{Answer, LowerError, Probe};
use crate::sys::{Channel, Process};

/// Says whether the share that answered is the one we know. It is called with a lock of the client held: it must not ask
/// the lower itself.
pub type Accept = Arc<dyn Fn(&Probe) -> bool + Send + Sync>;

/// How to start agents.
pub struct AgentConfig {
    /// The program that has the verb `agent`: this one.
    pub program: PathBuf,
    /// The directory of the share on this host.
    pub lower: PathBuf,
    /// Names this client among all that share the lower (letters, digits, `-`, `_`).
    pub client: String,
    /// Longest wait for a call that only looks, without a sign of life.
    pub deadline: Duration,
    /// The same for calls that change something.
    pub change_deadline: Duration,
    /// Whom agents act as (user, group, further groups); `None`: as this process.
    pub user: Option<(u32, u32, Vec<u32>)>,
    /// True when the mount will cover `lower`: agents then come from a process started before the mount.
    pub covered: bool,
    /// Where agents write messages; nowhere if `None`.
    pub log: Option<File>,
    /// Passed on to agents beside the environment of this process.
    pub env: Vec<(OsString, OsString)>,
    /// The gate: nothing an agent says is believed before a probe of it is accepted.
    pub accept: Accept,
}

impl AgentConfig {
    /// The usual: 5 s, 30 s for changes, as this process, not covered, everything accepted.
    pub fn new(
        program: impl Into<PathBuf>,
        lower: impl Into<PathBuf>,
        client: &str,
    ) -> AgentConfig {
        AgentConfig {
            program: program.into(),
            lower: lower.into(),
            client: client.to_string(),
            deadline: Duration::from_secs(5),
            change_deadline: Duration::from_secs(30),
            user: None,
            covered: false,
            log: None,
            env: Vec::new(),
            accept: Arc::new(|_| true),
        }
    }

    fn args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["agent".into(), "--client".into()];
        args.push(self.client.clone().into());
        if let Some((uid, gid, groups)) = &self.user {
            let groups: Vec<_> = groups.iter().map(u32::to_string).collect();
            args.push("--user".into());
            args.push(format!("{uid}:{gid}:{}", groups.join(",")).into());
        }
        args
    }
}

/// A lower that lives in an agent process. The agent is started at the first call, killed when a call passes its deadline,
/// and replaced at the next.
pub struct AgentClient {
    config: AgentConfig,
    spawner: Option<Arc<Spawner>>,
    running: Mutex<Option<Arc<Running>>>,
    /// Agents that have not ended, killed ones included.
    alive: Arc<AtomicUsize>,
}

impl AgentClient {
    /// Starts nothing yet, except the spawner of a covered lower, which must hold the directory before the mount is made.
    pub fn new(config: AgentConfig) -> std::io::Result<AgentClient> {
        let spawner = match config.covered {
            true => Some(Arc::new(Spawner::new(
                &config.program,
                &config.lower,
                &config.env,
                copy(config.log.as_ref()),
                config.deadline,
            )?)),
            false => None,
        };
        Ok(AgentClient {
            config,
            spawner,
            running: Mutex::new(None),
            alive: Arc::default(),
        })
    }

    /// The agent in use, started if there is none.
    fn running(&self) -> Answer<InUse> {
        let mut kept = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = kept.as_ref().filter(|running| !running.is_dead()) {
            return Ok(running.enter());
        }
        let running = self.start().map_err(|e| LowerError::Link {
            what: "start an agent".into(),
            why: e.to_string(),
        })?;
        let in_use = running.enter();
        *kept = Some(running);
        Ok(in_use)
    }

    fn start(&self) -> std::io::Result<Arc<Running>> {
        if self.alive.load(Ordering::SeqCst) >= MOST_STUCK {
            return Err(std::io::Error::other(
                "earlier agents still hang in the dead mount",
            ));
        }
        let (ours, theirs) = Channel::pair()?;
        let mut args = self.config.args();
        let log = copy(self.config.log.as_ref());
        let holder = match &self.spawner {
            Some(spawner) => {
                let pid = spawner.start(args, &theirs.as_file()?, log.as_ref())?;
                Holder::Spawned(spawner.clone(), pid)
            }
            None => {
                args.push("--lower".into());
                args.push(self.config.lower.clone().into());
                let (program, env) = (&self.config.program, &self.config.env);
                Holder::Own(Process::start(program, &args, env, theirs, log)?)
            }
        };
        Running::new(ours, holder, self.config.deadline, self.alive.clone())
    }

    /// Lets a call pass once a probe of this agent was accepted: an empty or foreign root must never look like removals.
    fn pass_gate(&self, running: &Running) -> Answer<()> {
        if running.accepted.load(Ordering::SeqCst) {
            return Ok(());
        }
        let _turn = running.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if running.accepted.load(Ordering::SeqCst) {
            return Ok(());
        }
        let told = running.call(Ask::Probe, None, self.config.deadline)?;
        if self.judge(running, &told) {
            return Ok(());
        }
        Err(LowerError::Link {
            what: "know the share again".into(),
            why: "something else is there than the share we know".into(),
        })
    }

    fn judge(&self, running: &Running, told: &Told) -> bool {
        let Told::Probe(probe) = told else {
            return false;
        };
        let accepted = (self.config.accept)(probe);
        running.accepted.store(accepted, Ordering::SeqCst);
        accepted
    }
}

fn copy(log: Option<&File>) -> Option<File> {
    log.and_then(|file| file.try_clone().ok())
}

impl Asked for AgentClient {
    fn ask(&self, ask: Ask, file: Option<&File>) -> Answer<Told> {
        let running = self.running()?;
        if matches!(ask, Ask::Probe) {
            // The caller shall see who is there; whether that opens the gate is judged each time.
            let told = running.call(ask, None, self.config.deadline)?;
            self.judge(&running, &told);
            return Ok(told);
        }
        self.pass_gate(&running)?;
        let limit = if ask.call().changes() {
            self.config.change_deadline
        } else {
            self.config.deadline
        };
        running.call(ask, file, limit)
    }

    fn renew_asked(&self) {
        let kept = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(running) = kept {
            running.retire();
        }
    }
}

impl Drop for AgentClient {
    fn drop(&mut self) {
        self.renew_asked();
    }
}
