//! Who tells the kernel what it must forget: a small process of its own.
//!
//! To drop a name, the kernel takes the lock of its directory, and waits for it beyond any signal. A program that makes
//! something there holds that lock while it waits for our reply. If the daemon is killed in that moment and the call was made
//! by a thread of it, nothing moves any more: the thread waits for the lock, the lock for the reply, and the kernel does not
//! let go of the mount because the thread still has the device open. So the daemon makes no such call. The teller has a
//! device of its own (a clone), so the daemon's are closed when it dies, which refuses whatever it had read; what it had not
//! read the teller refuses. (docs/decisions/0018.)

mod device;
mod notice;
mod process;

pub use process::teller_main;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crate::overlay::News;
use crate::sys::{self, Channel, Process};

/// The daemon's end.
pub(super) struct Teller {
    program: PathBuf,
    /// What further processes get their device from.
    device: File,
    running: Option<Running>,
}

/// A process without a mount yet.
pub(super) struct Started {
    program: PathBuf,
    running: Running,
}

struct Running {
    channel: Channel,
    process: Process,
}

impl Started {
    /// Starts the process (`program` is this one). To be called before the mount is made, which may lie over the program.
    pub(super) fn new(program: &Path) -> io::Result<Started> {
        Ok(Started {
            program: program.to_owned(),
            running: Running::start(program)?,
        })
    }

    /// From now on it tells the kernel of the mount that `device` belongs to.
    pub(super) fn attach(self, device: impl AsFd) -> io::Result<Teller> {
        let device = sys::clone_fuse_device(device)?;
        self.running.attach(&device)?;
        Ok(Teller {
            program: self.program,
            device,
            running: Some(self.running),
        })
    }
}

impl Teller {
    /// Tells the kernel, and returns once it has heard. After an error some of it may not have been told, and the next call
    /// starts a new process.
    pub(super) fn tell(&mut self, news: &[News]) -> io::Result<()> {
        let message: Vec<u8> = news.iter().flat_map(notice::encode).collect();
        let running = match self.running.take() {
            Some(running) => running,
            None => {
                let running = Running::start(&self.program)?;
                running.attach(&self.device)?;
                running
            }
        };
        running.tell(&message)?;
        self.running = Some(running);
        Ok(())
    }
}

impl Running {
    fn start(program: &Path) -> io::Result<Running> {
        let (channel, theirs) = Channel::pair()?;
        let args = ["teller".into(), std::process::id().to_string().into()];
        let process = Process::start(program, &args, &[], theirs, None)?;
        Ok(Running { channel, process })
    }

    fn attach(&self, device: &File) -> io::Result<()> {
        self.channel.send(&[], &[&sys::clone_fuse_device(device)?])
    }

    fn tell(&self, message: &[u8]) -> io::Result<()> {
        self.channel.send(message, &[])?;
        match self.channel.receive()? {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It ends by itself when its call of the kernel returns; nobody waits for that.
        self.channel.shut();
        if !self.process.ended() {
            tracing::debug!(pid = self.process.pid(), "the teller ends later");
        }
    }
}
