//! Base: what was agreed on stays readable whatever happens to the live file.

use driftfs::meta::BaseNode;
use driftfs::model::{Bid, Bytes, Dirty, Ino, Kind, Name, ObjectId, Stamp};
use driftfs::tree::{Tree, TreeError};

use super::past::read_all;
use super::world::World;

impl World {
    /// As after a push: base becomes what the live file had when it was sealed.
    pub fn agree(&mut self, ino: Ino, random: &mut fastrand::Rng) {
        let Ok((object, rev)) = self.tree().seal_now(ino) else {
            return;
        };
        let bytes = read_all(&self.tree().objects().open_sealed(object).unwrap());
        if random.u8(..) < 60 {
            // The person goes on while the push is under way.
            let handle = self
                .tree()
                .open_file(ino, true, false, super::world::WHO)
                .unwrap();
            let file = self.real_of(ino);
            std::os::unix::fs::FileExt::write_all_at(&file, b"meanwhile", 3).unwrap();
            self.tree()
                .write(&handle, 3, b"meanwhile", false, false, super::world::WHO)
                .unwrap();
        }
        let bid = agree_rows(self.tree(), ino, rev, object).unwrap();
        self.tree().release(object);
        self.agreed.insert(bid, Some(bytes));
    }

    fn real_of(&self, ino: Ino) -> std::fs::File {
        let path = self
            .tree()
            .meta()
            .read(|rows| rows.path(ino))
            .unwrap()
            .unwrap();
        let real = self.real(std::path::Path::new(&path.os()));
        std::fs::OpenOptions::new().write(true).open(real).unwrap()
    }

    /// Drops the bytes of a clean file and places them again, as eviction and a fetch do.
    pub fn evict(&mut self, ino: Ino) {
        let node = self.tree().stat(ino).unwrap().node;
        let (true, Some(bid)) = (node.attrs.kind == Kind::File, node.bid) else {
            return;
        };
        match self.tree().drop_bytes(ino) {
            Ok(()) => {}
            Err(TreeError::Busy) => return,
            Err(error) => panic!("{error}"),
        }
        let row = self
            .tree()
            .meta()
            .read(|rows| rows.node(ino))
            .unwrap()
            .unwrap();
        assert_eq!(row.bytes, Bytes::Absent);
        let missing = self.tree().open_file(ino, true, false, super::world::WHO);
        assert!(matches!(missing, Err(TreeError::NoBytes(_))));
        let draft = self.tree().objects().draft().unwrap();
        let bytes = self.agreed[&bid].clone().unwrap();
        std::os::unix::fs::FileExt::write_all_at(draft.file(), &bytes, 0).unwrap();
        let base = self
            .tree()
            .meta()
            .read(|rows| rows.base(bid))
            .unwrap()
            .unwrap();
        self.tree().place_bytes(ino, draft, &base).unwrap();
    }

    pub fn check_agreed(&self, said: &str) {
        for (bid, wanted) in &self.agreed {
            let Some(wanted) = wanted else { continue };
            let object = self.tree().base_bytes(*bid).unwrap();
            let object =
                object.unwrap_or_else(|| panic!("{said}: the bytes of base object {bid} are gone"));
            let found = read_all(&self.tree().objects().open_sealed(object).unwrap());
            self.tree().release(object);
            assert_eq!(&found, wanted, "{said}: base object {bid}");
        }
    }
}

/// The rows of a finished push of `object`, which has the bytes of revision `rev`.
pub fn agree_rows(tree: &Tree, ino: Ino, rev: u64, object: ObjectId) -> Result<Bid, TreeError> {
    tree.commit_with_bytes(ino, rev, |txn, same| {
        let mut node = txn.node(ino)?.ok_or(TreeError::NotFound)?;
        if node.nlink == 0 {
            return Err(TreeError::NotFound);
        }
        let bid = match node.bid {
            Some(bid) => bid,
            None => txn.new_bid()?,
        };
        let size = txn.sealed(object)?.expect("its row").size;
        let mut attrs = node.attrs;
        attrs.size = size;
        txn.put_base(&BaseNode {
            bid,
            attrs,
            target: None,
            xattrs: None,
            stamp: Stamp {
                kind: Kind::File,
                size,
                mtime: attrs.mtime,
                ctime: attrs.ctime,
                ino: ino.0,
                btime: None,
                hash: None,
                racy: false,
            },
            object: (!same).then_some(object),
            hash: None,
        })?;
        node.bid = Some(bid);
        if same {
            node.dirty = Dirty::CLEAN;
        }
        txn.put_node(&node)?;
        // A name of its own, so that every base object can be reached.
        let own = Name::new(format!("base object {bid}").as_bytes()).expect("a name");
        txn.put_base_entry(Bid::ROOT, &own, bid)?;
        for (parent, name) in txn.names(ino)? {
            if parent == Ino::ROOT {
                txn.put_base_entry(Bid::ROOT, &name, bid)?;
            }
        }
        Ok::<_, TreeError>(bid)
    })
}
