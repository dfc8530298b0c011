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
    /// What further processes get their device from.
    device: File,
    program: PathBuf,
    running: Option<Running>,
}

struct Running {
    channel: Channel,
    process: Process,
}

impl Teller {
    /// Starts the process (`program` is this one) for the mount that `device` belongs to.
    pub(super) fn start(device: impl AsFd, program: &Path) -> io::Result<Teller> {
        let device = sys::clone_fuse_device(device)?;
        let running = Some(Running::start(&device, program)?);
        Ok(Teller {
            device,
            program: program.to_owned(),
            running,
        })
    }

    /// Tells the kernel, and returns once it has heard. After an error some of it may not have been told, and the next call
    /// starts a new process.
    pub(super) fn tell(&mut self, news: &[News]) -> io::Result<()> {
        let message: Vec<u8> = news.iter().flat_map(notice::encode).collect();
        let running = match self.running.take() {
            Some(running) => running,
            None => Running::start(&self.device, &self.program)?,
        };
        running.tell(&message)?;
        self.running = Some(running);
        Ok(())
    }
}

impl Running {
    fn start(device: &File, program: &Path) -> io::Result<Running> {
        let device = sys::clone_fuse_device(device)?;
        let (channel, theirs) = Channel::pair()?;
        let args = ["teller".into(), std::process::id().to_string().into()];
        let process = Process::start(program, &args, &[], theirs, None)?;
        channel.send(&[], &[&device])?;
        Ok(Running { channel, process })
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
