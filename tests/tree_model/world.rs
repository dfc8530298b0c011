//! The tree, the real directory beside it, and how they are compared.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftfs::meta::Meta;
use driftfs::model::{Bid, Cookie, Epoch, Ino, Kind, Name, Who};
use driftfs::objects::Objects;
use driftfs::tree::{Handle, Seen, Tree};

pub const WHO: Who = Who {
    uid: 0,
    gid: 0,
    pid: 0,
};

/// One object as both sides must show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub kind: Kind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub nlink: u64,
    pub bytes: Vec<u8>,
}

/// A file open on both sides.
pub struct Opened {
    pub handle: Handle,
    pub file: fs::File,
}

pub struct World {
    pub tree: Option<Tree>,
    pub opened: Vec<Opened>,
    pub snapshots: Vec<(Epoch, BTreeMap<PathBuf, Shown>)>,
    /// Bytes agreed on, by base object. `None`: known to be given up.
    pub agreed: HashMap<Bid, Option<Vec<u8>>>,
    state: tempfile::TempDir,
    real: tempfile::TempDir,
}

fn open(dir: &Path) -> Tree {
    let meta = Arc::new(Meta::open(dir).unwrap());
    Tree::open(meta, Arc::new(Objects::open(dir).unwrap())).unwrap()
}

pub fn name(text: &std::ffi::OsStr) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

impl World {
    pub fn new() -> World {
        // In memory where the host has such a place: nothing here is about power cuts, and syncing takes most of the time.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let state = tempfile::tempdir_in(place).unwrap();
        let tree = open(state.path());
        let listed = tree.commit(|txn| {
            let mut root = txn.node(Ino::ROOT)?.expect("the root");
            root.listed = Some(txn.epoch()?);
            txn.put_node(&root)
        });
        listed.unwrap();
        let real = tempfile::tempdir().unwrap();
        fs::set_permissions(
            real.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        World {
            tree: Some(tree),
            opened: Vec::new(),
            snapshots: Vec::new(),
            agreed: HashMap::new(),
            state,
            real,
        }
    }

    pub fn tree(&self) -> &Tree {
        self.tree.as_ref().unwrap()
    }

    pub fn real(&self, path: &Path) -> PathBuf {
        self.real.path().join(path)
    }

    /// Ends the process, in order or as killed (nothing more is committed), and starts another.
    pub fn restart(&mut self, killed: bool) {
        if killed {
            // Nothing more is committed, and nothing is put in order.
            self.tree().meta().stop_after(0);
            std::mem::forget(std::mem::take(&mut self.opened));
            std::mem::forget(self.tree.take());
        }
        self.opened.clear();
        self.tree = None;
        self.tree = Some(open(self.state.path()));
    }

    pub fn find(&self, path: &Path) -> Option<Ino> {
        let mut at = Ino::ROOT;
        for part in path.iter() {
            at = self.tree().lookup(at, &name(part)).ok()?.node.ino;
        }
        Some(at)
    }

    /// A look at a path on both sides.
    pub fn compare(&self, path: &Path, said: &str) {
        let real = fs::symlink_metadata(self.real(path)).ok();
        let ours = self.find(path).map(|ino| self.tree().stat(ino).unwrap());
        match (real, ours) {
            (None, None) => {}
            (Some(real), Some(seen)) => self.compare_object(path, &real, &seen, said),
            (real, ours) => panic!(
                "{said}: {path:?}: real {}, ours {}",
                real.is_some(),
                ours.is_some()
            ),
        }
    }

    fn compare_object(&self, path: &Path, real: &fs::Metadata, seen: &Seen, said: &str) {
        let theirs = shown_real(&self.real(path), real);
        let ours = self.shown(seen);
        assert_eq!(ours, theirs, "{said}: {path:?}");
        if ours.kind == Kind::File {
            assert_eq!(seen.node.attrs.size, real.size(), "{said}: {path:?}");
        }
    }

    fn shown(&self, seen: &Seen) -> Shown {
        let node = &seen.node;
        Shown {
            kind: node.attrs.kind,
            mode: node.attrs.mode,
            uid: node.attrs.uid,
            gid: node.attrs.gid,
            nlink: u64::from(node.nlink),
            bytes: match node.attrs.kind {
                Kind::File => self.bytes(node.ino),
                Kind::Symlink => node.target.clone().unwrap(),
                _ => Vec::new(),
            },
        }
    }

    pub fn bytes(&self, ino: Ino) -> Vec<u8> {
        let handle = self.tree().open_file(ino, false, false, WHO).unwrap();
        self.tree().read(&handle, 0, 1 << 20).unwrap()
    }

    /// After a step: mostly nothing, sometimes the whole of it.
    pub fn check_some(&self, random: &mut fastrand::Rng, said: &str) {
        if random.u8(..) < 6 {
            self.check_all(said);
        }
    }

    pub fn check_all(&self, said: &str) {
        self.compare_dir(Path::new(""), said);
        for opened in &self.opened {
            let size = opened.file.metadata().unwrap().len() as usize;
            let mut theirs = vec![0; size];
            opened.file.read_exact_at(&mut theirs, 0).unwrap();
            let ours = self.tree().read(&opened.handle, 0, 1 << 20).unwrap();
            assert_eq!(ours, theirs, "{said}: an open file");
            let nlink = self
                .tree()
                .stat(self.tree().handle_ino(&opened.handle))
                .unwrap()
                .node
                .nlink;
            assert_eq!(
                u64::from(nlink),
                opened.file.metadata().unwrap().nlink(),
                "{said}: an open file"
            );
        }
        self.check_past(said);
        self.check_agreed(said);
        let ill: Vec<String> = self.tree().meta().read(|rows| rows.doctor()).unwrap();
        assert!(ill.is_empty(), "{said}: {ill:?}");
    }

    fn compare_dir(&self, dir: &Path, said: &str) {
        self.compare(dir, said);
        let mut theirs: Vec<Name> = fs::read_dir(self.real(dir))
            .unwrap()
            .map(|entry| name(&entry.unwrap().file_name()))
            .collect();
        theirs.sort();
        let ino = self.find(dir).unwrap();
        let listed = self.tree().list(ino, Cookie(0), usize::MAX >> 1).unwrap();
        let mut ours: Vec<Name> = listed.iter().map(|(entry, _)| entry.name.clone()).collect();
        ours.sort();
        assert_eq!(ours, theirs, "{said}: names in {dir:?}");
        for (entry, seen) in listed {
            let path = dir.join(entry.name.os());
            if seen.node.attrs.kind == Kind::Dir {
                assert_eq!(self.tree().parent(seen.node.ino).unwrap(), ino);
                self.compare_dir(&path, said);
            } else {
                self.compare(&path, said);
            }
        }
    }

    /// Every object of the real directory by path.
    pub fn photograph(&self) -> BTreeMap<PathBuf, Shown> {
        let mut found = BTreeMap::new();
        let mut open = vec![PathBuf::new()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(self.real(&dir)).unwrap() {
                let path = dir.join(entry.unwrap().file_name());
                let meta = fs::symlink_metadata(self.real(&path)).unwrap();
                if meta.is_dir() {
                    open.push(path.clone());
                }
                found.insert(path.clone(), shown_real(&self.real(&path), &meta));
            }
        }
        found
    }
}

pub fn shown_real(path: &Path, meta: &fs::Metadata) -> Shown {
    let kind = match meta.file_type() {
        t if t.is_dir() => Kind::Dir,
        t if t.is_symlink() => Kind::Symlink,
        t if t.is_fifo() => Kind::Fifo,
        _ => Kind::File,
    };
    Shown {
        kind,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        nlink: meta.nlink(),
        bytes: match kind {
            Kind::File => fs::read(path).unwrap(),
            Kind::Symlink => fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec(),
            _ => Vec::new(),
        },
    }
}
