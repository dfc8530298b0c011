//! A share in a temporary directory and a lower over it.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

use driftfs::lower::{
    AgentClient, AgentConfig, Attempt, Done, Expect, Fake, Lower, New, Posix, Slot,
};
use driftfs::model::{Attrs, Kind as What, Observed, RelPath, Stamp, Time, TxnId};

/// Which lower.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Posix,
    Plain,
    Agent,
    Spawned,
    Fake,
}

pub struct Rig {
    _tmp: tempfile::TempDir,
    pub share: PathBuf,
    pub lower: Box<dyn Lower>,
}

pub const FIRST: Attempt = Attempt {
    txn: TxnId(7),
    n: 1,
};
pub const SECOND: Attempt = Attempt {
    txn: TxnId(7),
    n: 2,
};

pub fn program() -> &'static str {
    env!("CARGO_BIN_EXE_driftfs")
}

/// Runs a case in a thread of its own: one that hangs fails.
pub fn run(kind: Kind, case: fn(&Rig)) {
    let (done, waiting) = channel();
    let thread = std::thread::spawn(move || {
        let rig = Rig::new(kind);
        case(&rig);
        let _ = done.send(());
    });
    match waiting.recv_timeout(Duration::from_secs(60)) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("the case hangs"),
        _ => thread
            .join()
            .unwrap_or_else(|e| std::panic::resume_unwind(e)),
    }
}

pub fn is_root() -> bool {
    tempfile::tempfile().unwrap().metadata().unwrap().uid() == 0
}

pub fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

pub fn local(bytes: &[u8]) -> File {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

pub fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

pub fn mkfifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path ends with NUL.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

/// A new object of a kind with mode 0644 (0755 for directories) and a time long ago.
pub fn new(kind: What) -> New {
    let meta = tempfile::tempfile().unwrap().metadata().unwrap();
    let long_ago = Time {
        sec: 1_600_000_000,
        nsec: 500,
    };
    New {
        attrs: Attrs {
            kind,
            mode: if kind == What::Dir { 0o755 } else { 0o644 },
            uid: meta.uid(),
            gid: meta.gid(),
            rdev: 0,
            size: 0,
            mtime: long_ago,
            ctime: long_ago,
            atime: long_ago,
        },
        target: None,
        xattrs: Default::default(),
    }
}

impl Rig {
    pub fn new(kind: Kind) -> Rig {
        let tmp = tempfile::tempdir().unwrap();
        let share = tmp.path().join("share");
        fs::create_dir(&share).unwrap();
        let config = |covered| AgentConfig {
            covered,
            ..AgentConfig::new(program(), &share, "c1")
        };
        let lower: Box<dyn Lower> = match kind {
            Kind::Posix => Box::new(Posix::new(&share, "c1")),
            Kind::Plain => Box::new(Posix::new(&share, "c1").without_exchange()),
            Kind::Agent => Box::new(AgentClient::new(config(false)).unwrap()),
            Kind::Spawned => Box::new(AgentClient::new(config(true)).unwrap()),
            Kind::Fake => Box::new(Fake::new(Posix::new(&share, "c1"))),
        };
        Rig {
            _tmp: tmp,
            share,
            lower,
        }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.share.join(name)
    }

    pub fn put(&self, name: &str, text: &str) {
        if let Some(parent) = self.at(name).parent() {
            fs::create_dir_all(parent).unwrap();
        }
        fs::write(self.at(name), text).unwrap();
        if std::env::var_os("DRIFTFS_LAB").is_some_and(|lab| lab == "smb") {
            // Another client's write is closed; ours on the same mount is only once the file is renamed.
            fs::rename(self.at(name), self.at("settling")).unwrap();
            fs::rename(self.at("settling"), self.at(name)).unwrap();
        }
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    pub fn tx(&self, attempt: Attempt, slot: &str) -> PathBuf {
        let name = format!(".driftfs/tx/c1-{}.{}/{slot}", attempt.txn, attempt.n);
        self.at(&name)
    }

    pub fn look(&self, name: &str) -> Observed {
        self.lower.look(&path(name), true).unwrap().unwrap()
    }

    pub fn stamp(&self, name: &str) -> Stamp {
        self.look(name).stamp
    }

    pub fn is(&self, name: &str) -> Expect {
        Expect::Is(self.stamp(name))
    }

    /// Stages a file with these bytes in the first attempt.
    pub fn stage(&self, text: &str) -> Done {
        self.lower.begin(FIRST).unwrap();
        let bytes = local(text.as_bytes());
        self.lower
            .stage(FIRST, &new(What::File), Some(&bytes))
            .unwrap()
    }

    pub fn take(
        &self,
        name: &str,
        expect: &Expect,
        slot: Slot,
    ) -> driftfs::lower::Answer<Observed> {
        self.lower.begin(FIRST).unwrap();
        self.lower.take(FIRST, &path(name), expect, slot)
    }

    pub fn names(&self, name: &str) -> Vec<String> {
        let listing = self.lower.list(&path(name), false).unwrap();
        let mut names: Vec<_> = listing.entries.iter().map(|e| e.name.to_string()).collect();
        names.sort();
        names
    }
}
