//! Extended attributes.

use super::record::At;
use super::{Result, SetXattr, Tree, TreeError};
use crate::meta::Node;
use crate::model::{Dirty, Ino, Who};
use crate::sys;

impl Tree {
    /// Sets an extended attribute.
    pub fn set_xattr(
        &self,
        ino: Ino,
        name: &[u8],
        value: &[u8],
        how: SetXattr,
        who: Who,
    ) -> Result<()> {
        self.change_xattrs(ino, name, who, |node| {
            match (how, node.xattrs.contains_key(name)) {
                (SetXattr::Create, true) => return Err(TreeError::Exists),
                (SetXattr::Replace, false) => return Err(TreeError::NoAttribute),
                _ => {}
            }
            node.xattrs.insert(name.to_vec(), value.to_vec());
            Ok(())
        })
    }

    /// Removes an extended attribute.
    pub fn remove_xattr(&self, ino: Ino, name: &[u8], who: Who) -> Result<()> {
        self.change_xattrs(ino, name, who, |node| {
            let had = node.xattrs.remove(name);
            had.map(drop).ok_or(TreeError::NoAttribute)
        })
    }

    fn change_xattrs(
        &self,
        ino: Ino,
        name: &[u8],
        who: Who,
        change: impl Fn(&mut Node) -> Result<()>,
    ) -> Result<()> {
        let core = &self.core;
        // The lock: a writer that found no capability to take away must not overlook this one.
        let pin = core.table.pin(ino);
        let _alone = pin.alone();
        core.meta.write(|txn| {
            let mut node = txn.node(ino)?.ok_or(TreeError::NotFound)?;
            change(&mut node)?;
            node.attrs.ctime = sys::now();
            node.rev += 1;
            if node.nlink > 0 {
                node.dirty = node.dirty.with(Dirty::XATTRS);
            }
            txn.put_node(&node)?;
            let detail = String::from_utf8_lossy(name).into_owned();
            core.record(txn, "xattr", ino, At::Node(ino), who, detail)
        })?;
        pin.plain.store(0, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }
}
