//! A tree in a directory of its own, for tests, and short words for what tests do most.

use std::sync::Arc;

use super::{Handle, NewNode, Seen, Tree, TreeError};
use crate::meta::{BaseNode, Meta, Node};
use crate::model::{Bid, Dirty, Ino, Kind, Name, Stamp, Who};
use crate::objects::Objects;
use crate::sys;

pub(super) const WHO: Who = Who {
    uid: 0,
    gid: 0,
    pid: 0,
};

pub(super) struct Lab {
    pub(super) dir: tempfile::TempDir,
    tree: Option<Tree>,
}

pub(super) fn name(text: &str) -> Name {
    Name::try_from(text).unwrap()
}

impl Lab {
    pub(super) fn new() -> Lab {
        // In memory where the host has such a place: no test here is about power cuts, and syncing takes most of the time.
        let memory = std::path::Path::new("/dev/shm");
        let place = Some(memory).filter(|place| place.is_dir());
        let dir = match place {
            Some(place) => tempfile::tempdir_in(place).unwrap(),
            None => tempfile::tempdir().unwrap(),
        };
        Lab::at_dir(dir)
    }

    /// Where the tests' other files are: on a disk, as like as not.
    pub(super) fn on_disk() -> Lab {
        Lab::at_dir(tempfile::tempdir().unwrap())
    }

    fn at_dir(dir: tempfile::TempDir) -> Lab {
        let tree = open(dir.path());
        tree.commit(|txn| {
            let mut root = txn.node(Ino::ROOT)?.unwrap();
            root.listed = Some(txn.epoch()?);
            txn.put_node(&root)
        })
        .unwrap();
        Lab {
            dir,
            tree: Some(tree),
        }
    }

    /// Ends the process in order and starts another.
    pub(super) fn restart(&mut self) {
        self.tree = None;
        self.tree = Some(open(self.dir.path()));
    }

    /// Ends the process as `kill -9` does and starts another.
    pub(super) fn kill(&mut self) {
        self.meta().stop_after(0);
        std::mem::forget(self.tree.take());
        self.tree = Some(open(self.dir.path()));
    }

    pub(super) fn make(&self, kind: Kind, parent: Ino, text: &str) -> Ino {
        let new = NewNode {
            kind,
            mode: 0o644,
            rdev: 0,
            target: None,
        };
        let seen = self.create(parent, &name(text), &new, WHO).unwrap();
        seen.node.ino
    }

    /// A file in the root with these bytes, closed.
    pub(super) fn file(&self, text: &str, bytes: &[u8]) -> Ino {
        let ino = match self.lookup(Ino::ROOT, &name(text)) {
            Ok(seen) => seen.node.ino,
            Err(_) => self.make(Kind::File, Ino::ROOT, text),
        };
        let handle = self.open_file(ino, true, true, WHO).unwrap();
        self.put(&handle, bytes);
        ino
    }

    pub(super) fn put(&self, handle: &Handle, bytes: &[u8]) {
        let done = self.write(handle, 0, bytes, false, false, WHO);
        assert_eq!(done.unwrap(), bytes.len());
    }

    pub(super) fn bytes(&self, ino: Ino) -> Vec<u8> {
        let handle = self.open_file(ino, false, false, WHO).unwrap();
        self.read(&handle, 0, 1 << 20).unwrap()
    }

    pub(super) fn row(&self, ino: Ino) -> Node {
        self.meta().read(|rows| rows.node(ino)).unwrap().unwrap()
    }

    pub(super) fn at(&self, text: &str) -> Seen {
        self.lookup(Ino::ROOT, &name(text)).unwrap()
    }

    /// As after a push: base is what the file is now, under its first name in the root.
    pub(super) fn agree(&self, text: &str) -> Bid {
        let ino = self.at(text).node.ino;
        let rev = match self.seal_now(ino) {
            Ok((object, rev)) => {
                self.release(object);
                rev
            }
            Err(_) => self.row(ino).rev,
        };
        self.commit_with_bytes(ino, rev, |txn, same| {
            assert!(same);
            let mut node = txn.node(ino)?.unwrap();
            let bid = match node.bid {
                Some(bid) => bid,
                None => txn.new_bid()?,
            };
            txn.put_base(&base_of(&node, bid))?;
            txn.put_base_entry(Bid::ROOT, &name(text), bid)?;
            node.bid = Some(bid);
            node.dirty = Dirty::CLEAN;
            txn.put_node(&node)?;
            Ok::<_, TreeError>(bid)
        })
        .unwrap()
    }

    /// Base bytes as text; `None`: not here.
    pub(super) fn base_text(&self, bid: Bid) -> Option<Vec<u8>> {
        let object = self.base_bytes(bid).unwrap()?;
        let file = self.objects().open_sealed(object).unwrap();
        self.release(object);
        Some(sys::read_at(&file, 0, 1 << 20).unwrap())
    }

    pub(super) fn check(&self) {
        let ill = self.meta().read(|rows| rows.doctor()).unwrap();
        assert!(ill.is_empty(), "{ill:?}");
    }
}

pub(super) fn base_of(node: &Node, bid: Bid) -> BaseNode {
    BaseNode {
        bid,
        attrs: node.attrs,
        target: node.target.clone(),
        xattrs: None,
        stamp: Stamp {
            kind: node.attrs.kind,
            size: node.attrs.size,
            mtime: node.attrs.mtime,
            ctime: node.attrs.ctime,
            ino: node.ino.0,
            btime: None,
            hash: None,
            racy: false,
        },
        object: None,
        hash: None,
    }
}

impl std::ops::Deref for Lab {
    type Target = Tree;
    fn deref(&self) -> &Tree {
        self.tree.as_ref().unwrap()
    }
}

fn open(dir: &std::path::Path) -> Tree {
    let meta = Arc::new(Meta::open(dir).unwrap());
    let objects = Arc::new(Objects::open(dir).unwrap());
    Tree::open(meta, objects).unwrap()
}
