//! The process: writes what it is sent to the device, and outlives its daemon only while a call of it waits.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::{device, notice};
use crate::sys::{self, Channel};

/// Between two looks whether the daemon has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Body of the process, whose argument is the number of its daemon; gives its exit code.
pub fn teller_main() -> i32 {
    match serve() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!(
                "driftfs: the daemon starts this by itself, it is of no use alone ({error})\n  next: driftfs help"
            );
            2
        }
    }
}

fn serve() -> std::io::Result<()> {
    let parent = std::env::args().nth(2).and_then(|word| word.parse().ok());
    let parent: u32 = parent.ok_or(std::io::ErrorKind::InvalidInput)?;
    let daemon = Arc::new(Channel::from_stdin()?);
    let device = match daemon.receive()? {
        Some((_, mut files)) if !files.is_empty() => Arc::new(files.remove(0)),
        _ => return Err(std::io::ErrorKind::InvalidInput.into()),
    };
    let (send, messages) = channel();
    let (end, written) = (Arc::clone(&daemon), Arc::clone(&device));
    let writer = std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || write_all(&end, &written, &messages))?;
    pass_on(&daemon, send);
    // The writer ends this process once it has nothing more to write. If it is in a call that waits, and the daemon is dead
    // (not only done with us), nobody else answers what the call waits for.
    while !writer.is_finished() {
        if sys::parent() != parent {
            device::refuse_all(&device);
        }
        sys::sleep(LOOK);
    }
    Ok(())
}

fn pass_on(daemon: &Channel, send: Sender<Vec<u8>>) {
    while let Ok(Some((message, _))) = daemon.receive() {
        if send.send(message).is_err() {
            return;
        }
    }
}

/// Ends the process when there is nothing more to write.
fn write_all(daemon: &Channel, device: &File, messages: &Receiver<Vec<u8>>) {
    while let Ok(message) = messages.recv() {
        let mut rest = &message[..];
        while let Some((notice, more)) = notice::split(rest) {
            // ENOENT: the kernel has forgotten it already. Nothing else can be done about the others either.
            let _ = (&*device).write(notice);
            rest = more;
        }
        if daemon.send(&[], &[]).is_err() {
            break;
        }
    }
    sys::exit_at_once(0);
}
