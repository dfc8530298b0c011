//! Snapshots: names, attributes and bytes of every one stay as they were.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use driftfs::meta::MetaError;
use driftfs::model::{Epoch, Ino, Kind};

use super::world::{Shown, World};

impl World {
    pub fn snapshot(&mut self) {
        if self.snapshots.len() == 6 {
            return;
        }
        let view = self.tree().snapshot("random", "test").unwrap();
        self.snapshots.push((view.epoch, self.photograph()));
    }

    pub fn check_past(&self, said: &str) {
        for (epoch, wanted) in &self.snapshots {
            let mut found = BTreeMap::new();
            self.walk(*epoch, Ino::ROOT, Path::new(""), &mut found);
            let names = |all: &BTreeMap<PathBuf, Shown>| all.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&found), names(wanted), "{said}: names at {epoch}");
            for (path, shown) in &found {
                assert_eq!(shown, &wanted[path], "{said}: {path:?} at {epoch}");
            }
        }
    }

    fn walk(&self, epoch: Epoch, dir: Ino, at: &Path, found: &mut BTreeMap<PathBuf, Shown>) {
        let meta = self.tree().meta();
        let entries = meta.read(|rows| {
            let entries = rows.entries_at(epoch, dir)?;
            let mut nodes = Vec::new();
            for entry in entries {
                let node = rows
                    .node_at(epoch, entry.ino)?
                    .expect("a node for each entry");
                nodes.push((entry, node, rows.bytes_at(epoch, dir)?));
            }
            Ok::<_, MetaError>(nodes)
        });
        for (entry, node, _) in entries.unwrap() {
            let path = at.join(entry.name.os());
            let bytes = match node.attrs.kind {
                Kind::File => self.bytes_at(epoch, node.ino),
                Kind::Symlink => node.target.clone().unwrap(),
                _ => Vec::new(),
            };
            if node.attrs.kind == Kind::File {
                assert_eq!(
                    node.attrs.size,
                    bytes.len() as u64,
                    "size of {path:?} at {epoch}"
                );
            }
            let shown = Shown {
                kind: node.attrs.kind,
                mode: node.attrs.mode,
                uid: node.attrs.uid,
                gid: node.attrs.gid,
                nlink: u64::from(node.nlink),
                bytes,
            };
            found.insert(path.clone(), shown);
            if node.attrs.kind == Kind::Dir {
                self.walk(epoch, node.ino, &path, found);
            }
        }
    }

    fn bytes_at(&self, epoch: Epoch, ino: Ino) -> Vec<u8> {
        let kept = self
            .tree()
            .meta()
            .read(|rows| rows.bytes_at(epoch, ino))
            .unwrap();
        match kept {
            None => self.bytes(ino),
            Some(object) => read_all(&self.tree().objects().open_sealed(object).unwrap()),
        }
    }
}

pub fn read_all(file: &std::fs::File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}
