//! Which directories are watched, and what the kernel told of them.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::root::Opened;
use crate::lower::error::meaning;
use crate::lower::{Answer, Events, Watch, Watched};
use crate::model::RelPath;
use crate::sys::{self, WatchEvent, WatchId, Watcher};

/// Most directories watched for one mount: the limit of the user is shared with every other program.
const MOST: usize = 8192;
/// After the first event so long is waited for its companions: one save makes half a dozen.
const GATHER: Duration = Duration::from_millis(5);

/// The watches of one agent.
#[derive(Default)]
pub(super) struct Watches {
    now: Mutex<Option<Session>>,
}

/// Watches on one file system.
struct Session {
    number: u64,
    /// Another file system at the same path is another session.
    dev: u64,
    watcher: Arc<Watcher>,
    ids: HashMap<u64, WatchId>,
    keys: HashMap<WatchId, u64>,
}

impl Watches {
    /// See [`crate::lower::Lower::watch`].
    pub(super) fn watch(&self, opened: &Opened, dirs: &[Watch], drop: &[u64]) -> Answer<Watched> {
        if !opened.told {
            return Ok(Watched::default());
        }
        let mut now = self.lock();
        let session = session(&mut now, opened.dev)?;
        for key in drop {
            session.forget(*key);
        }
        let placed = dirs
            .iter()
            .filter(|watch| session.add(opened, watch))
            .map(|watch| watch.key)
            .collect();
        Ok(Watched {
            session: session.number,
            able: true,
            placed,
        })
    }

    /// See [`crate::lower::Lower::events`]. Nobody else is kept waiting meanwhile.
    pub(super) fn events(&self, opened: &Opened, wait: Duration) -> Answer<Events> {
        if !opened.told {
            return Ok(Events::default());
        }
        let watcher = session(&mut self.lock(), opened.dev)?.watcher.clone();
        let fail = |e| meaning("watch", &RelPath::root(), e);
        let told = if watcher.wait(wait).map_err(fail)? {
            sys::sleep(GATHER);
            watcher.take().map_err(fail)?
        } else {
            Vec::new()
        };
        let mut now = self.lock();
        let session = session(&mut now, opened.dev)?;
        if !Arc::ptr_eq(&session.watcher, &watcher) {
            // Another session began meanwhile; its number says all.
            return Ok(Events {
                session: session.number,
                ..Events::default()
            });
        }
        Ok(session.in_words(&told))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Session>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session of the file system `dev`, begun anew when there is none or another one was there.
fn session(now: &mut Option<Session>, dev: u64) -> Answer<&mut Session> {
    if now.as_ref().is_some_and(|session| session.dev != dev) {
        *now = None;
    }
    match now {
        Some(session) => Ok(session),
        None => {
            let begun = Session::begin(dev).map_err(|e| meaning("watch", &RelPath::root(), e))?;
            Ok(now.insert(begun))
        }
    }
}

impl Session {
    fn begin(dev: u64) -> io::Result<Session> {
        let random = sys::random()?;
        let mut number = [0; 8];
        number.copy_from_slice(&random[..8]);
        Ok(Session {
            // Never 0, which stands for no session.
            number: u64::from_ne_bytes(number) | 1,
            dev,
            watcher: Arc::new(Watcher::new()?),
            ids: HashMap::new(),
            keys: HashMap::new(),
        })
    }

    /// True when the directory is watched now. One that cannot be opened or is one too many is not.
    fn add(&mut self, opened: &Opened, watch: &Watch) -> bool {
        let known = self.ids.contains_key(&watch.key);
        if !known && self.ids.len() >= MOST {
            return false;
        }
        let added = opened.dir(&watch.dir).ok().and_then(|dir| {
            // A file system mounted inside the share may be of any kind.
            let inside = sys::statx_of(&dir).is_ok_and(|stat| stat.dev == opened.dev);
            inside.then(|| self.watcher.add(&dir).ok()).flatten()
        });
        let before = self.ids.get(&watch.key).copied();
        if let Some(before) = before.filter(|before| added != Some(*before)) {
            // Another directory has that path now.
            self.keys.remove(&before);
            self.ids.remove(&watch.key);
            self.watcher.remove(before);
        }
        let Some(id) = added else {
            return false;
        };
        if let Some(other) = self.keys.insert(id, watch.key)
            && other != watch.key
        {
            self.ids.remove(&other);
        }
        self.ids.insert(watch.key, id);
        true
    }

    fn forget(&mut self, key: u64) {
        if let Some(id) = self.ids.remove(&key) {
            self.keys.remove(&id);
            self.watcher.remove(id);
        }
    }

    fn in_words(&mut self, told: &[WatchEvent]) -> Events {
        let [mut changed, mut names, mut moved] = [const { BTreeSet::new() }; 3];
        let mut events = Events {
            session: self.number,
            ..Events::default()
        };
        for event in told {
            // What was forgotten on purpose has no key any more.
            match event {
                WatchEvent::Changed(id) => changed.extend(self.keys.get(id)),
                WatchEvent::Names(id) => {
                    changed.extend(self.keys.get(id));
                    names.extend(self.keys.get(id));
                }
                WatchEvent::Moved(id) => moved.extend(self.keys.get(id)),
                WatchEvent::Gone(id) => {
                    if let Some(key) = self.keys.remove(id) {
                        self.ids.remove(&key);
                        moved.insert(key);
                        events.ended.push(key);
                    }
                }
                WatchEvent::Lost => events.lost = true,
            }
        }
        events.changed = changed.into_iter().collect();
        events.names = names.into_iter().collect();
        events.moved = moved.into_iter().collect();
        events
    }
}

#[cfg(test)]
mod tests {
    use super::super::root::Root;
    use super::*;

    fn watch(key: u64, dir: &str) -> Watch {
        Watch {
            key,
            dir: RelPath::parse(dir.as_bytes()).unwrap(),
        }
    }

    #[test]
    fn another_directory_at_the_same_path_is_watched_instead() {
        let tmp = tempfile::tempdir().unwrap();
        let at = |name: &str| tmp.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        let opened = Root::at(tmp.path().into()).opened().unwrap();
        let watches = Watches::default();
        assert_eq!(
            watches
                .watch(&opened, &[watch(7, "d")], &[])
                .unwrap()
                .placed,
            [7]
        );
        std::fs::rename(at("d"), at("old")).unwrap();
        std::fs::create_dir(at("d")).unwrap();
        assert_eq!(
            watches
                .watch(&opened, &[watch(7, "d")], &[])
                .unwrap()
                .placed,
            [7]
        );
        let _ = watches.events(&opened, Duration::ZERO).unwrap();
        std::fs::write(at("old/f"), "x").unwrap();
        assert!(watches.events(&opened, Duration::ZERO).unwrap().is_quiet());
        std::fs::write(at("d/f"), "x").unwrap();
        assert_eq!(
            watches
                .events(&opened, Duration::from_secs(20))
                .unwrap()
                .changed,
            [7]
        );
    }

    #[test]
    fn another_file_system_is_another_session() {
        let mut now = None;
        let first = session(&mut now, 1).unwrap().number;
        assert_eq!(session(&mut now, 1).unwrap().number, first);
        assert_ne!(session(&mut now, 2).unwrap().number, first);
    }
}
