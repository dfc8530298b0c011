//! The lower as a directory of this host: what the agent runs, and tests use in process.

mod attempt;
mod attrs;
mod expect;
mod hidden;
mod list;
mod look;
mod many;
mod moves;
mod part;
mod probe;
mod publish;
mod read;
mod replace;
mod retained;
mod root;
mod set;
mod stage;
mod take;
mod watch;

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use self::root::{Opened, Root};
use super::{
    Answer, Attempt, AttemptState, Done, Events, Expect, Fetched, Lower, New, Packed, Part, PartOf,
    Probe, SetAttrs, Slot, Watch, Watched,
};
use crate::model::{Listing, Name, Observed, RelPath};

/// A directory of this host as a lower.
pub struct Posix {
    root: Root,
    /// Names our attempt directories among those of other clients.
    client: String,
    /// Sets an exchange of names aside, to try the ways of servers that have none.
    plain: bool,
    watches: watch::Watches,
}

impl Posix {
    /// The directory at `path`, opened at the first call and again at each probe. `client` names this client among all
    /// that share the lower (letters, digits, `-`, `_`).
    pub fn new(path: impl Into<PathBuf>, client: &str) -> Posix {
        Posix {
            root: Root::at(path.into()),
            client: client.to_string(),
            plain: false,
            watches: watch::Watches::default(),
        }
    }

    /// The directory a handle keeps (one opened only to keep its place will do).
    pub fn at_handle(handle: File, client: &str) -> Posix {
        Posix {
            root: Root::kept(handle),
            client: client.to_string(),
            plain: false,
            watches: watch::Watches::default(),
        }
    }

    /// The same as if the server could not exchange two names in one step (as NFS and SMB cannot).
    #[must_use]
    pub fn without_exchange(mut self) -> Posix {
        self.plain = true;
        self
    }
}

impl Lower for Posix {
    fn probe(&self) -> Answer<Probe> {
        probe::probe(&self.root)
    }

    fn list(&self, dir: &RelPath, xattrs: bool) -> Answer<Listing> {
        list::list(&*self.root.opened()?, dir, xattrs)
    }

    fn look(&self, path: &RelPath, xattrs: bool) -> Answer<Option<Observed>> {
        look::look(&*self.root.opened()?, path, xattrs)
    }

    fn read(&self, path: &RelPath, into: &File) -> Answer<Fetched> {
        read::read(&*self.root.opened()?, path, into)
    }

    fn read_many(
        &self,
        dir: &RelPath,
        names: &[Name],
        most: u64,
        into: &File,
    ) -> Answer<Vec<Answer<Packed>>> {
        many::read_many(&*self.root.opened()?, dir, names, most, into)
    }

    fn read_part(&self, part: &PartOf, into: &File) -> Answer<Part> {
        part::read_part(&*self.root.opened()?, part, into)
    }

    fn begin(&self, attempt: Attempt) -> Answer<()> {
        attempt::begin(&*self.root.opened()?, &self.client, attempt).map(drop)
    }

    fn stage(&self, attempt: Attempt, new: &New, bytes: Option<&File>) -> Answer<Done> {
        let opened = self.root.opened()?;
        let tx = attempt::open(&opened, &self.client, attempt)?;
        stage::stage(&opened, &tx, new, bytes)
    }

    fn publish(&self, attempt: Attempt, to: &RelPath, expect: &Expect) -> Answer<Done> {
        let opened = self.root.opened()?;
        let tx = attempt::open(&opened, &self.client, attempt)?;
        publish::publish(&opened, &tx, to, expect, self.plain)
    }

    fn take(
        &self,
        attempt: Attempt,
        from: &RelPath,
        expect: &Expect,
        slot: Slot,
    ) -> Answer<Observed> {
        let opened = self.root.opened()?;
        let tx = attempt::open(&opened, &self.client, attempt)?;
        take::take(&opened, &tx, from, expect, slot)
    }

    fn link(&self, attempt: Attempt, from: &RelPath, expect: &Expect) -> Answer<Observed> {
        let opened = self.root.opened()?;
        let tx = attempt::open(&opened, &self.client, attempt)?;
        take::link(&opened, &tx, from, expect)
    }

    fn set(&self, path: &RelPath, expect: &Expect, change: &SetAttrs) -> Answer<Done> {
        set::set(&*self.root.opened()?, path, expect, change)
    }

    fn attempt(&self, attempt: Attempt) -> Answer<AttemptState> {
        attempt::state(&*self.root.opened()?, &self.client, attempt)
    }

    fn fence(&self, from: Attempt, to: Attempt) -> Answer<AttemptState> {
        attempt::fence(&*self.root.opened()?, &self.client, from, to)
    }

    fn end(&self, attempt: Attempt, retain: Option<&str>) -> Answer<()> {
        attempt::end(&*self.root.opened()?, &self.client, attempt, retain)
    }

    fn watch(&self, dirs: &[Watch], drop: &[u64]) -> Answer<Watched> {
        self.watches.watch(&*self.root.opened()?, dirs, drop)
    }

    fn events(&self, wait: Duration) -> Answer<Events> {
        self.watches.events(&*self.root.opened()?, wait)
    }
}

/// A place for one name: an open directory, and the name in it.
struct Place {
    dir: File,
    name: std::ffi::OsString,
    /// For messages.
    path: RelPath,
}

impl Place {
    /// Opens the directory of `path` beneath the root. The root itself has no place.
    fn find(opened: &Opened, path: &RelPath) -> Answer<Place> {
        let Some((dir, name)) = path.split() else {
            return Err(super::LowerError::Refused {
                what: "changing the root of the share".into(),
                errno: super::error::no::EINVAL,
                why: "it has no name here".into(),
            });
        };
        hidden::refuse(opened, path)?;
        Ok(Place {
            dir: opened.dir(&dir)?,
            name: name.os().to_os_string(),
            path: path.clone(),
        })
    }
}
