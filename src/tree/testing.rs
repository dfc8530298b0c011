//! A tree in a directory of its own, for tests.

use std::sync::Arc;

use super::Tree;
use crate::meta::Meta;
use crate::objects::Objects;

pub(super) struct Lab {
    pub(super) dir: tempfile::TempDir,
    tree: Option<Tree>,
}
impl Lab {
    pub(super) fn new() -> Lab {
        let dir = tempfile::tempdir().unwrap();
        let tree = Some(open(dir.path()));
        Lab { dir, tree }
    }
    pub(super) fn reopen(&mut self) {
        self.tree = None;
        self.tree = Some(open(self.dir.path()));
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
