//! A lower that only reads a directory, and answers only while its gate is open.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use driftfs::lower::{
    Answer, Attempt, AttemptState, Done, Expect, Fetched, Identity, Lower, LowerError, New, Probe,
    SetAttrs, Slot, Space,
};
use driftfs::model::{
    Attrs, Hash, Kind, Listed, Listing, Mask, Name, Observed, RelPath, Stamp, Time,
};

/// The directory `root`, read-only.
pub struct Below {
    pub root: PathBuf,
    /// Answers come only while it is true.
    pub answers: AtomicBool,
    /// Listings asked for beneath the root.
    pub lists: AtomicUsize,
}

impl Below {
    fn wait(&self) {
        while !self.answers.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn at(&self, path: &RelPath) -> PathBuf {
        self.root.join(path.os())
    }

    fn observe(&self, path: &RelPath) -> Answer<Observed> {
        let at = self.at(path);
        let meta =
            std::fs::symlink_metadata(&at).map_err(|_| LowerError::NotFound(path.clone()))?;
        let time = |sec, nsec| Time {
            sec,
            nsec: nsec as u32,
        };
        let kind = match meta.file_type() {
            t if t.is_dir() => Kind::Dir,
            t if t.is_symlink() => Kind::Symlink,
            _ => Kind::File,
        };
        let (mtime, ctime) = (
            time(meta.mtime(), meta.mtime_nsec()),
            time(meta.ctime(), meta.ctime_nsec()),
        );
        let target = std::fs::read_link(&at)
            .ok()
            .map(|t| t.as_os_str().as_bytes().to_vec());
        Ok(Observed {
            stamp: Stamp {
                kind,
                size: if kind == Kind::Dir { 0 } else { meta.size() },
                mtime,
                ctime,
                ino: meta.ino(),
                btime: None,
                hash: None,
                racy: false,
            },
            attrs: Attrs {
                kind,
                mode: meta.mode() & 0o7777,
                uid: meta.uid(),
                gid: meta.gid(),
                rdev: 0,
                size: meta.size(),
                mtime,
                ctime,
                atime: mtime,
            },
            nlink: meta.nlink() as u32,
            same_device: true,
            target,
            xattrs: Some(Default::default()),
        })
    }
}

fn refused<T>() -> Answer<T> {
    Err(LowerError::Refused {
        what: "a change".into(),
        errno: 30,
        why: "read-only".into(),
    })
}

impl Lower for Below {
    fn probe(&self) -> Answer<Probe> {
        self.wait();
        let root = self.observe(&RelPath::root())?;
        Ok(Probe {
            identity: Identity {
                id: None,
                fs_type: 0,
                source: None,
                root_ino: root.stamp.ino,
            },
            root,
            empty: false,
            space: Space::default(),
            mask: Mask::ALL,
        })
    }
    fn list(&self, dir: &RelPath, _xattrs: bool) -> Answer<Listing> {
        self.wait();
        if *dir != RelPath::root() {
            self.lists.fetch_add(1, Ordering::SeqCst);
        }
        let seen = self.observe(dir)?;
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(self.at(dir))
            .map_err(|_| LowerError::NotFound(dir.clone()))?
            .flatten()
        {
            let name = Name::from_os(&entry.file_name()).expect("a real name");
            let seen = self.observe(&dir.join(&name))?;
            entries.push(Listed { name, seen });
        }
        Ok(Listing {
            dir: seen,
            entries,
            unknown: Vec::new(),
        })
    }
    fn look(&self, path: &RelPath, _xattrs: bool) -> Answer<Option<Observed>> {
        self.wait();
        Ok(self.observe(path).ok())
    }
    fn read(&self, path: &RelPath, mut into: &File) -> Answer<Fetched> {
        self.wait();
        let local = |error: std::io::Error| LowerError::Local {
            errno: error.raw_os_error().unwrap_or(5),
            why: error.to_string(),
        };
        let mut from = File::open(self.at(path)).map_err(local)?;
        std::io::copy(&mut from, &mut into).map_err(local)?;
        let hash = driftfs::sys::hash_file(into).map_err(local)?;
        let mut seen = self.observe(path)?;
        seen.stamp.hash = Some(hash);
        let hash: Hash = hash;
        Ok(Fetched { seen, hash })
    }
    fn begin(&self, _: Attempt) -> Answer<()> {
        refused()
    }
    fn stage(&self, _: Attempt, _: &New, _: Option<&File>) -> Answer<Done> {
        refused()
    }
    fn publish(&self, _: Attempt, _: &RelPath, _: &Expect) -> Answer<Done> {
        refused()
    }
    fn take(&self, _: Attempt, _: &RelPath, _: &Expect, _: Slot) -> Answer<Observed> {
        refused()
    }
    fn link(&self, _: Attempt, _: &RelPath, _: &Expect) -> Answer<Observed> {
        refused()
    }
    fn set(&self, _: &RelPath, _: &Expect, _: &SetAttrs) -> Answer<Done> {
        refused()
    }
    fn attempt(&self, _: Attempt) -> Answer<AttemptState> {
        refused()
    }
    fn fence(&self, _: Attempt, _: Attempt) -> Answer<AttemptState> {
        refused()
    }
    fn end(&self, _: Attempt, _: Option<&str>) -> Answer<()> {
        refused()
    }
}
