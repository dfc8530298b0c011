//! A pair of connected sockets that carries messages and open files between our own processes.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Largest message: a directory of a million names fits; a length beyond is a broken peer.
const LARGEST: usize = 1 << 30;
/// Most files one message carries.
const MOST_FILES: usize = 4;

/// One end. Both ends close on exec.
#[derive(Debug)]
pub struct Channel(UnixStream);

impl Channel {
    /// Two connected ends.
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let (a, b) = UnixStream::pair()?;
        Ok((Channel(a), Channel(b)))
    }

    /// The end this process was started with as standard input.
    pub fn from_stdin() -> io::Result<Channel> {
        // Closes on exec, unlike the original: a process we start must not keep our end alive.
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Channel(UnixStream::from(stdin)))
    }

    /// The same end once more.
    pub fn again(&self) -> io::Result<Channel> {
        Ok(Channel(self.0.try_clone()?))
    }

    /// The descriptor, to be given to a new process.
    pub fn into_fd(self) -> OwnedFd {
        self.0.into()
    }

    /// The end that came as a file in a message.
    pub fn from_file(file: File) -> Channel {
        Channel(UnixStream::from(OwnedFd::from(file)))
    }

    /// The end as a file, to be sent in a message.
    pub fn as_file(&self) -> io::Result<File> {
        Ok(File::from(OwnedFd::from(self.0.try_clone()?)))
    }

    /// Longest that one send may wait for a peer that does not read.
    pub fn limit_sends(&self, limit: Duration) -> io::Result<()> {
        self.0.set_write_timeout(Some(limit))
    }

    /// Longest that one receive may wait; `None`: as long as it takes.
    pub fn limit_receives(&self, limit: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(limit)
    }

    /// Ends the connection for every copy of this end: a reader waiting in `receive` returns.
    pub fn shut(&self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }

    /// Sends one message. After an error the connection is of no more use (half a message may be on the way).
    pub fn send(&self, message: &[u8], files: &[&File]) -> io::Result<()> {
        let length = u32::try_from(message.len()).map_err(|_| too_large())?;
        let head = length.to_le_bytes();
        let fds: Vec<RawFd> = files.iter().map(|file| file.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&fds)];
        let control: &[ControlMessage] = if fds.is_empty() { &[] } else { &rights };
        // The files travel with the first byte, so the head goes alone: the reader takes both in one call.
        let sent = retry(|| {
            sendmsg::<()>(
                self.0.as_raw_fd(),
                &[IoSlice::new(&head)],
                control,
                MsgFlags::MSG_NOSIGNAL,
                None,
            )
        })?;
        (&self.0).write_all(&head[sent..])?;
        (&self.0).write_all(message)
    }

    /// Waits for one message; `None` when the other end is gone.
    pub fn receive(&self) -> io::Result<Option<(Vec<u8>, Vec<File>)>> {
        let mut head = [0; 4];
        let (got, files) = self.receive_head(&mut head)?;
        if got == 0 {
            return Ok(None);
        }
        (&self.0).read_exact(&mut head[got..])?;
        let length = u32::from_le_bytes(head) as usize;
        if length > LARGEST {
            return Err(too_large());
        }
        let mut message = vec![0; length];
        (&self.0).read_exact(&mut message)?;
        Ok(Some((message, files)))
    }

    fn receive_head(&self, head: &mut [u8]) -> io::Result<(usize, Vec<File>)> {
        let mut space = nix::cmsg_space!([RawFd; MOST_FILES]);
        let fd = self.0.as_raw_fd();
        let mut parts = [IoSliceMut::new(head)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = loop {
            match recvmsg::<()>(fd, &mut parts, Some(&mut space), flags) {
                Err(nix::errno::Errno::EINTR) => {}
                other => break other?,
            }
        };
        let mut files = Vec::new();
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(fds) = control {
                // SAFETY: the kernel just made these descriptors for us; nobody else knows them.
                files.extend(fds.iter().map(|fd| unsafe { File::from_raw_fd(*fd) }));
            }
        }
        Ok((message.bytes, files))
    }
}

fn retry(mut call: impl FnMut() -> nix::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(nix::errno::Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "message too large")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn messages_and_files_arrive_in_order_and_the_end_is_seen() {
        let (a, b) = Channel::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"inside", 0).unwrap();
        let large = vec![7; 3 << 20];
        let sender = std::thread::spawn(move || {
            a.send(b"one", &[]).unwrap();
            a.send(b"two", &[&file]).unwrap();
            a.send(&large, &[]).unwrap();
            a.send(b"", &[&file]).unwrap();
        });
        let (message, files) = b.receive().unwrap().unwrap();
        assert_eq!((message.as_slice(), files.len()), (&b"one"[..], 0));
        let (message, files) = b.receive().unwrap().unwrap();
        assert_eq!((message.as_slice(), files.len()), (&b"two"[..], 1));
        let mut text = [0; 6];
        files[0].read_exact_at(&mut text, 0).unwrap();
        assert_eq!(&text, b"inside");
        assert_eq!(b.receive().unwrap().unwrap().0.len(), 3 << 20);
        assert_eq!(b.receive().unwrap().unwrap().1.len(), 1);
        sender.join().unwrap();
        assert!(b.receive().unwrap().is_none());
    }
}
