//! Names: create, link, unlink, rmdir.

use super::acl::{ACCESS, Acl, DEFAULT, Inherited};
use super::commit::Core;
use super::inherit::inherit_name;
use super::record::At;
use super::room::ROWS;
use super::seal::SGID;
use super::stat::{directory, listed_dir, named};
use super::{NewNode, Result, Seen, Tree, TreeError, io};
use crate::meta::{Node, WriteTxn};
use crate::model::{Attrs, Bytes, Dirty, Ino, Kind, LiveStat, Name, Time, Who, Xattrs};
use crate::sys;

/// Most names of one node.
const MOST_LINKS: u32 = i32::MAX as u32;
/// Marks of a node that base does not have.
const ALL_NEW: Dirty = Dirty(Dirty::BYTES.0 | Dirty::ATTRS.0 | Dirty::XATTRS.0 | Dirty::NAMES.0);

impl Tree {
    /// Makes a node with a name. Group and setgid follow a setgid parent directory, rights its default list.
    pub fn create(&self, parent: Ino, name: &Name, new: &NewNode, who: Who) -> Result<Seen> {
        self.create_masked(parent, name, new, 0, who)
    }

    /// As [`Tree::create`], for a caller with a umask: it counts only where the directory has no default list.
    pub fn create_masked(
        &self,
        parent: Ino,
        name: &Name,
        new: &NewNode,
        umask: u32,
        who: Who,
    ) -> Result<Seen> {
        let core = &self.core;
        core.spare(ROWS)?;
        let _names = core.names();
        let mut placed = None;
        let made = core.write_for(who, |txn| {
            core.create_in(txn, (parent, name), new, umask, who, &mut placed)
        });
        match made {
            Ok(node) => core.see(node),
            Err(error) => {
                if let Some(ino) = placed {
                    core.remove_stray(ino);
                }
                Err(error)
            }
        }
    }

    /// Gives a non-directory one more name.
    pub fn link(&self, ino: Ino, parent: Ino, name: &Name, who: Who) -> Result<Seen> {
        let core = &self.core;
        core.spare(ROWS)?;
        let _names = core.names();
        let node = core.write_for(who, |txn| {
            let mut dir = vacant(txn, parent, name)?;
            let mut node = txn.node(ino)?.ok_or(TreeError::NotFound)?;
            check_linkable(&node)?;
            let now = sys::now();
            node.nlink += 1;
            node.attrs.ctime = now;
            node.dirty = node.dirty.with(Dirty::NAMES);
            inherit_name(txn, &dir, name, &mut node)?;
            txn.put_node(&node)?;
            txn.put_entry(parent, name, ino)?;
            touch(&mut dir, now);
            txn.put_node(&dir)?;
            core.record(txn, "link", ino, At::Name(parent, name), who, String::new())?;
            Ok::<_, TreeError>(node)
        })?;
        core.see(node)
    }

    /// Removes a name of a non-directory.
    pub fn unlink(&self, parent: Ino, name: &Name, who: Who) -> Result<Ino> {
        let core = &self.core;
        let _names = core.names();
        let victim = core.meta.quick(|rows| named(rows, parent, name))?;
        if victim.attrs.kind == Kind::Dir {
            return Err(TreeError::IsDir);
        }
        let leaving = {
            let pin = core.table.pin(victim.ino);
            let _alone = pin.alone();
            let mut leaving = core.prepare_leaving(&pin)?;
            core.write_for(who, |txn| {
                let now = sys::now();
                let at = At::Name(parent, name);
                core.record(txn, "unlink", victim.ino, at, who, String::new())?;
                txn.drop_entry(parent, name)?;
                let mut dir = directory(txn, parent)?;
                touch(&mut dir, now);
                txn.put_node(&dir)?;
                core.take_name(txn, &mut leaving, now)
            })?;
            leaving
        };
        core.left(&leaving);
        Ok(victim.ino)
    }

    /// Removes an empty directory.
    pub fn rmdir(&self, parent: Ino, name: &Name, who: Who) -> Result<Ino> {
        let core = &self.core;
        let _names = core.names();
        let victim = core.meta.quick(|rows| named(rows, parent, name))?;
        if victim.attrs.kind != Kind::Dir {
            return Err(TreeError::NotDir);
        }
        let mut leaving = core.prepare_leaving(&core.table.pin(victim.ino))?;
        core.write_for(who, |txn| {
            check_empty(txn, victim.ino)?;
            let now = sys::now();
            let at = At::Name(parent, name);
            core.record(txn, "rmdir", victim.ino, at, who, String::new())?;
            txn.drop_entry(parent, name)?;
            let mut dir = directory(txn, parent)?;
            touch(&mut dir, now);
            dir.nlink -= 1;
            txn.put_node(&dir)?;
            core.remove_dir(txn, &mut leaving, now)
        })?;
        core.left(&leaving);
        Ok(victim.ino)
    }
}

impl Core {
    fn create_in(
        &self,
        txn: &WriteTxn<'_>,
        (parent, name): (Ino, &Name),
        new: &NewNode,
        umask: u32,
        who: Who,
        placed: &mut Option<Ino>,
    ) -> Result<Node> {
        let mut dir = vacant(txn, parent, name)?;
        let ino = txn.new_ino(None)?;
        let live = if new.kind == Kind::File {
            Some(self.empty_live(ino, placed)?)
        } else {
            None
        };
        let mut node = self.new_row(txn, ino, &dir, new, live, who)?;
        take_rights(&mut node, &dir, umask);
        inherit_name(txn, &dir, name, &mut node)?;
        txn.put_node(&node)?;
        txn.put_entry(parent, name, ino)?;
        touch(&mut dir, node.attrs.mtime);
        if new.kind == Kind::Dir {
            if dir.nlink >= MOST_LINKS {
                return Err(TreeError::TooManyLinks);
            }
            dir.nlink += 1;
        }
        txn.put_node(&dir)?;
        let verb = if new.kind == Kind::Dir {
            "mkdir"
        } else {
            "create"
        };
        self.record(txn, verb, ino, At::Name(parent, name), who, String::new())?;
        Ok(node)
    }

    /// An empty live file for a new node, whatever a failed transaction left under its number.
    fn empty_live(&self, ino: Ino, placed: &mut Option<Ino>) -> Result<LiveStat> {
        let failed = io("making a file");
        let file = match self.objects.create_live(ino) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                self.objects.remove_live(ino).map_err(&failed)?;
                self.objects.create_live(ino)
            }
            other => other,
        };
        *placed = Some(ino);
        super::live::live_stat(&file.map_err(&failed)?)
    }

    fn new_row(
        &self,
        txn: &WriteTxn<'_>,
        ino: Ino,
        dir: &Node,
        new: &NewNode,
        live: Option<LiveStat>,
        who: Who,
    ) -> Result<Node> {
        let epoch = txn.epoch()?;
        let now = sys::now();
        let inherits = dir.attrs.mode & SGID != 0;
        let is_dir = new.kind == Kind::Dir;
        let target = new.target.as_ref().filter(|_| new.kind == Kind::Symlink);
        Ok(Node {
            ino,
            bid: None,
            attrs: Attrs {
                kind: new.kind,
                mode: (new.mode & 0o7777) | if inherits && is_dir { SGID } else { 0 },
                uid: who.uid,
                gid: if inherits { dir.attrs.gid } else { who.gid },
                rdev: new.rdev,
                size: target.map_or(0, |target| target.len() as u64),
                mtime: now,
                ctime: now,
                atime: now,
            },
            nlink: if is_dir { 2 } else { 1 },
            target: target.cloned(),
            xattrs: Default::default(),
            since: epoch,
            bytes_since: epoch,
            rev: 1,
            dirty: ALL_NEW,
            writer: who.uid,
            live_stat: live,
            durable: false,
            listed: is_dir.then_some(epoch),
            fetched: live.map(|_| epoch),
            bytes: if live.is_some() {
                Bytes::Here
            } else {
                Bytes::Absent
            },
        })
    }

    /// Stores the row of a directory that lost its name.
    pub(super) fn remove_dir(
        &self,
        txn: &WriteTxn<'_>,
        leaving: &mut super::nameless::Leaving,
        now: Time,
    ) -> Result<()> {
        let mut node = txn.node(leaving.ino)?.ok_or(TreeError::NotFound)?;
        node.attrs.ctime = now;
        self.become_nameless(txn, node, leaving)
    }
}

/// Gives a new node the rights its directory hands down, or takes those of the umask away.
fn take_rights(node: &mut Node, dir: &Node, umask: u32) {
    if node.attrs.kind == Kind::Symlink {
        return;
    }
    let default = dir.xattrs.get(DEFAULT);
    let Some((value, list)) = default.and_then(|value| Some((value, Acl::parse(value)?))) else {
        node.attrs.mode &= !(umask & 0o777);
        return;
    };
    let Inherited { mode, access } = list.inherited(node.attrs.mode);
    node.attrs.mode = mode;
    let mut lists = Xattrs::new();
    if let Some(access) = access {
        lists.insert(ACCESS.to_vec(), access.compose());
    }
    if node.attrs.kind == Kind::Dir {
        lists.insert(DEFAULT.to_vec(), value.clone());
    }
    node.xattrs.extend(lists);
}

/// A listed directory with a name, where `name` is free.
pub(super) fn vacant(txn: &WriteTxn<'_>, parent: Ino, name: &Name) -> Result<Node> {
    let dir = open_dir(txn, parent)?;
    if txn.entry(parent, name)?.is_some() {
        return Err(TreeError::Exists);
    }
    Ok(dir)
}

/// A listed directory that is not removed.
pub(super) fn open_dir(txn: &WriteTxn<'_>, parent: Ino) -> Result<Node> {
    let dir = listed_dir(txn, parent)?;
    if dir.nlink == 0 {
        return Err(TreeError::NotFound);
    }
    Ok(dir)
}

/// Fails unless a directory surely has no entry.
pub(super) fn check_empty(txn: &WriteTxn<'_>, dir: Ino) -> Result<()> {
    if !txn.is_empty(dir)? {
        return Err(TreeError::NotEmpty);
    }
    listed_dir(txn, dir).map(drop)
}

/// Marks that names of a directory changed.
pub(super) fn touch(dir: &mut Node, now: Time) {
    dir.attrs.mtime = now;
    dir.attrs.ctime = now;
    dir.dirty = dir.dirty.with(Dirty::ENTRIES);
}

fn check_linkable(node: &Node) -> Result<()> {
    if node.attrs.kind == Kind::Dir {
        return Err(TreeError::IsDir);
    }
    if node.nlink == 0 {
        return Err(TreeError::NotFound);
    }
    if node.nlink >= MOST_LINKS {
        return Err(TreeError::TooManyLinks);
    }
    Ok(())
}
