//! Being told by the kernel when a directory of a local file system changes (inotify).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

/// Which watched directory, as the kernel numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatchId(WatchDescriptor);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// Bytes or attributes of what it names changed.
    Changed(WatchId),
    /// Names in it came or went, or its own attributes changed.
    Names(WatchId),
    /// It was moved: it and everything in it have another path now. It is still watched.
    Moved(WatchId),
    /// It was removed or its file system unmounted: it is watched no more.
    Gone(WatchId),
    /// More happened than the kernel remembers: anything may have changed.
    Lost,
}

/// Watches directories.
pub struct Watcher {
    inotify: Inotify,
}

/// Everything that makes a listing untrue. Stores through a mapping are told of when the file is closed.
const WATCHED: AddWatchFlags = AddWatchFlags::IN_MODIFY
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);

impl Watcher {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Watcher> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        Ok(Watcher {
            inotify: Inotify::init(flags)?,
        })
    }

    /// Watches the open directory `dir`; the same directory again has the same number. `ENOSPC`: the limit of this user
    /// (`fs.inotify.max_user_watches`) is reached.
    pub fn add(&self, dir: &File) -> io::Result<WatchId> {
        // By the handle, not by its path: what was opened beneath a root is what is watched.
        let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
        Ok(WatchId(self.inotify.add_watch(path.as_str(), WATCHED)?))
    }

    /// Watches it no more. One that is gone already is no error.
    pub fn remove(&self, id: WatchId) {
        let _ = self.inotify.rm_watch(id.0);
    }

    /// Waits until something happened, at most `limit`; true when it did.
    pub fn wait(&self, limit: Duration) -> io::Result<bool> {
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, left) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes what happened since the last call, at most a few thousand events of it; does not wait.
    pub fn take(&self) -> io::Result<Vec<WatchEvent>> {
        let mut events = Vec::new();
        while events.len() < 4096 {
            match self.inotify.read_events() {
                Ok(read) => events.extend(read.iter().map(meaning)),
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(events)
    }
}

const OWN: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE);

fn meaning(raw: &InotifyEvent) -> WatchEvent {
    let has = |flag| raw.mask.intersects(flag);
    let id = WatchId(raw.wd);
    if has(AddWatchFlags::IN_Q_OVERFLOW) {
        WatchEvent::Lost
    } else if has(AddWatchFlags::IN_IGNORED) {
        // Comes after removal, unmount, and our own `remove`.
        WatchEvent::Gone(id)
    } else if has(AddWatchFlags::IN_MOVE_SELF) {
        WatchEvent::Moved(id)
    } else if has(OWN) || raw.name.is_none() {
        WatchEvent::Names(id)
    } else {
        WatchEvent::Changed(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything told until something is in it, or a limit.
    fn told(watcher: &Watcher, wanted: impl Fn(&WatchEvent) -> bool) -> Vec<WatchEvent> {
        let mut all = Vec::new();
        while !all.iter().any(&wanted) {
            assert!(watcher.wait(Duration::from_secs(20)).unwrap(), "{all:?}");
            all.extend(watcher.take().unwrap());
        }
        all
    }

    #[test]
    fn what_happens_in_a_watched_directory_is_told() {
        let tmp = tempfile::tempdir().unwrap();
        let (dir, other) = (tmp.path().join("d"), tmp.path().join("o"));
        std::fs::create_dir(&dir).unwrap();
        std::fs::create_dir(&other).unwrap();
        std::fs::write(dir.join("f"), "x").unwrap();
        let watcher = Watcher::new().unwrap();
        let opened = crate::sys::open_dir(&dir).unwrap();
        let id = watcher.add(&opened).unwrap();
        assert_eq!(watcher.add(&opened).unwrap(), id);
        std::fs::write(other.join("f"), "y").unwrap();
        assert!(!watcher.wait(Duration::ZERO).unwrap());
        std::fs::write(dir.join("f"), "y").unwrap();
        told(&watcher, |event| *event == WatchEvent::Changed(id));
        std::fs::write(dir.join("g"), "y").unwrap();
        told(&watcher, |event| *event == WatchEvent::Names(id));
        std::fs::rename(&dir, tmp.path().join("e")).unwrap();
        told(&watcher, |event| *event == WatchEvent::Moved(id));
        std::fs::remove_dir_all(tmp.path().join("e")).unwrap();
        drop(opened);
        told(&watcher, |event| *event == WatchEvent::Gone(id));
    }
}
