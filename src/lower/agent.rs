//! The other process: does every call on the lower, so that a dead server can hang it and nobody else.
//!
//! Started as `driftfs agent` with its socket as standard input and
//! `--lower PATH` or `--root-fd N` (a handle its parent let it inherit), `--client NAME`, `--user UID:GID:G1,G2…`.
//! `driftfs agent --spawner PATH` is the small process that starts agents when the mount covers the lower.
//!
//! It ends when its socket does, that is with the daemon. It does not ask the kernel to be killed with its parent: that
//! would be tied to the one thread that started it.
//!
//! `DRIFTFS_AGENT_TEST_HANG=FILE` makes calls wait while `FILE` (or `FILE.<call>`, such as `FILE.publish`) exists; a test's
//! way to a server that does not answer.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::wire::{Reply, Request};
use super::{Posix, progress, spawner};
use crate::sys::{self, Channel};

/// Most calls at once; each holds one thread, most of them waiting for the server.
const MOST_THREADS: usize = 64;
/// Signs of life are sent no more often than this.
const BEAT: Duration = Duration::from_millis(250);

/// Runs the agent on the socket it was started with; returns when it cannot start, ends the process when the daemon is gone.
pub fn agent_main() -> i32 {
    match Options::read(std::env::args_os().skip(2)).and_then(Options::run) {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("driftfs agent: {why}");
            2
        }
    }
}

#[derive(Default)]
struct Options {
    lower: Option<PathBuf>,
    root_fd: Option<i32>,
    client: String,
    user: Option<String>,
    spawner: Option<PathBuf>,
}

impl Options {
    fn read(mut args: impl Iterator<Item = OsString>) -> Result<Options, String> {
        let mut options = Options::default();
        while let Some(option) = args.next() {
            let value = args
                .next()
                .ok_or_else(|| format!("{} needs a value", option.display()))?;
            let text = || value.to_string_lossy().into_owned();
            match option.to_str() {
                Some("--lower") => options.lower = Some(value.into()),
                Some("--spawner") => options.spawner = Some(value.into()),
                Some("--client") => options.client = text(),
                Some("--user") => options.user = Some(text()),
                Some("--root-fd") => options.root_fd = text().parse().ok(),
                _ => return Err(format!("unknown option {}", option.display())),
            }
        }
        Ok(options)
    }

    fn run(self) -> Result<(), String> {
        let channel = Channel::from_stdin().map_err(|e| format!("no socket: {e}"))?;
        sys::clear_umask();
        if let Some(path) = self.spawner {
            return spawner::serve(&channel, &path);
        }
        // Taken up before the change of user, which may not reach it.
        let handle = self
            .root_fd
            .map(sys::inherited)
            .transpose()
            .map_err(|e| format!("the share beneath: {e}"))?;
        if let Some(user) = &self.user {
            become_user(user)?;
        }
        let lower = match (handle, self.lower) {
            (Some(handle), _) => Posix::at_handle(handle, &self.client),
            (None, Some(path)) => Posix::new(path, &self.client),
            (None, None) => return Err("which directory?".into()),
        };
        serve(channel, lower)
    }
}

/// `UID:GID:G1,G2…`
fn become_user(text: &str) -> Result<(), String> {
    let number = |text: &str| text.parse::<u32>().map_err(|e| format!("{text}: {e}"));
    let mut parts = text.split(':');
    let uid = number(parts.next().unwrap_or_default())?;
    let gid = number(parts.next().unwrap_or_default())?;
    let groups = parts.next().unwrap_or_default().split(',');
    let groups = groups
        .filter(|group| !group.is_empty())
        .map(number)
        .collect::<Result<Vec<_>, _>>()?;
    sys::become_user(uid, gid, &groups).map_err(|e| format!("become user {uid}: {e}"))
}

fn serve(channel: Channel, lower: Posix) -> Result<(), String> {
    let replies = channel.again().map_err(|e| e.to_string())?;
    let pool = Pool::new(lower, replies);
    while let Ok(Some((message, files))) = channel.receive() {
        match postcard::from_bytes(&message) {
            Ok(request) => pool.give(request, files.into_iter().next()),
            // A daemon of another version: it sees us end and says so.
            Err(e) => return Err(format!("not understood: {e}")),
        }
    }
    // Not by returning: threads may hang in a dead mount.
    sys::exit_at_once(0)
}

type Job = (Request, Option<File>);

/// What the threads share.
struct Shared {
    lower: Posix,
    replies: Mutex<Channel>,
    jobs: Mutex<Receiver<Job>>,
    /// Idle threads less jobs not taken yet.
    free: AtomicIsize,
    hang: Option<PathBuf>,
}

/// Threads, started as they are needed.
struct Pool {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
    threads: AtomicUsize,
}

impl Pool {
    fn new(lower: Posix, replies: Channel) -> Pool {
        let (jobs, taken) = channel();
        let shared = Arc::new(Shared {
            lower,
            replies: Mutex::new(replies),
            jobs: Mutex::new(taken),
            free: AtomicIsize::new(0),
            hang: std::env::var_os("DRIFTFS_AGENT_TEST_HANG").map(PathBuf::from),
        });
        Pool {
            shared,
            jobs,
            threads: AtomicUsize::new(0),
        }
    }

    /// Only the one thread that receives calls this.
    fn give(&self, request: Request, file: Option<File>) {
        let shared = &self.shared;
        if shared.free.fetch_sub(1, Ordering::SeqCst) <= 0
            && self.threads.load(Ordering::SeqCst) < MOST_THREADS
        {
            let work = shared.clone();
            let started = std::thread::Builder::new()
                .name("lower".into())
                .spawn(move || work.run());
            if started.is_ok() {
                self.threads.fetch_add(1, Ordering::SeqCst);
                shared.free.fetch_add(1, Ordering::SeqCst);
            }
        }
        // The other end lives as long as `shared`.
        let _ = self.jobs.send((request, file));
    }
}

impl Shared {
    fn run(self: Arc<Shared>) {
        loop {
            let job = self
                .jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv();
            let Ok((request, file)) = job else {
                return;
            };
            self.answer(&request, file);
            self.free.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn answer(self: &Arc<Shared>, request: &Request, file: Option<File>) {
        self.hang(request.ask.call().word());
        let (shared, id, mut last) = (self.clone(), request.id, Instant::now());
        let beat = move || {
            if last.elapsed() >= BEAT {
                last = Instant::now();
                shared.say(&Reply::Beat(id));
            }
        };
        let answer = progress::with_sink(beat, || request.ask.perform(&self.lower, file.as_ref()));
        // Before the caller knows: it may go on to ask whether anybody still writes that file.
        drop(file);
        self.say(&Reply::Answer(id, answer));
    }

    fn say(&self, reply: &Reply) {
        let sent = postcard::to_stdvec(reply).map(|message| {
            let replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
            replies.send(&message, &[])
        });
        if !matches!(sent, Ok(Ok(()))) {
            sys::exit_at_once(1);
        }
    }

    fn hang(&self, word: &str) {
        let Some(path) = &self.hang else {
            return;
        };
        let mut of_call = path.clone().into_os_string();
        of_call.push(OsStr::new("."));
        of_call.push(word);
        while sys::path_exists(path) || sys::path_exists(Path::new(&of_call)) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
