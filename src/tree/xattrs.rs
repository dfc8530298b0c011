//! Extended attributes.

use super::acl::{ACCESS, Acl, DEFAULT};
use super::record::At;
use super::room::ROWS;
use super::seal::SGID;
use super::{Result, SetXattr, Tree, TreeError};
use crate::meta::Node;
use crate::model::{Dirty, Ino, Kind, Who, Xattrs};
use crate::sys;

impl Tree {
    /// The extended attributes of a node.
    pub fn xattrs(&self, ino: Ino) -> Result<Xattrs> {
        Ok(self.core.row(ino)?.xattrs)
    }

    /// Sets an extended attribute.
    pub fn set_xattr(
        &self,
        ino: Ino,
        name: &[u8],
        value: &[u8],
        how: SetXattr,
        who: Who,
    ) -> Result<()> {
        self.core.spare(ROWS + value.len() as u64)?;
        self.change_xattrs(ino, name, who, |node| {
            match (how, node.xattrs.contains_key(name)) {
                (SetXattr::Create, true) => return Err(TreeError::Exists),
                (SetXattr::Replace, false) => return Err(TreeError::NoAttribute),
                _ => {}
            }
            match name {
                ACCESS => set_access(node, value, who),
                DEFAULT => set_default(node, value),
                _ => {
                    node.xattrs.insert(name.to_vec(), value.to_vec());
                    Ok(())
                }
            }
        })
    }

    /// Removes an extended attribute.
    pub fn remove_xattr(&self, ino: Ino, name: &[u8], who: Who) -> Result<()> {
        self.change_xattrs(ino, name, who, |node| {
            let had = node.xattrs.remove(name);
            match had {
                None if name != ACCESS && name != DEFAULT => Err(TreeError::NoAttribute),
                // No list where there was none is what was asked for.
                _ => Ok(()),
            }
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
        core.write_for(who, |txn| {
            let mut node = txn.node(ino)?.ok_or(TreeError::NotFound)?;
            let mode = node.attrs.mode;
            change(&mut node)?;
            if node.attrs.mode != mode && node.nlink > 0 {
                node.dirty = node.dirty.with(Dirty::ATTRS);
            }
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

/// Sets the access list. The mode follows it; a list that says no more than the mode is not kept; and whoever is not of the
/// group loses set-group-id, as with chmod.
fn set_access(node: &mut Node, value: &[u8], who: Who) -> Result<()> {
    let list = Acl::parse(value).ok_or(TreeError::Invalid)?;
    if node.attrs.kind == Kind::Symlink {
        return Err(TreeError::Unsupported);
    }
    node.attrs.mode = node.attrs.mode & !0o777 | list.bits();
    if node.attrs.mode & SGID != 0 && !is_member(who, node.attrs.gid) {
        node.attrs.mode &= !SGID;
    }
    if list.is_minimal() {
        node.xattrs.remove(ACCESS);
    } else {
        node.xattrs.insert(ACCESS.to_vec(), list.compose());
    }
    Ok(())
}

fn set_default(node: &mut Node, value: &[u8]) -> Result<()> {
    let list = Acl::parse(value).ok_or(TreeError::Invalid)?;
    if node.attrs.kind != Kind::Dir {
        return Err(TreeError::NotDir);
    }
    node.xattrs.insert(DEFAULT.to_vec(), list.compose());
    Ok(())
}

fn is_member(who: Who, gid: u32) -> bool {
    who.uid == 0 || who.gid == gid || sys::has_group(who.pid, gid)
}
