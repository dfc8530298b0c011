//! Setting attributes.

use super::acl::{ACCESS, Acl};
use super::commit::Core;
use super::live::{OpenNode, live_stat};
use super::quiet::Looked;
use super::record::At;
use super::seal::{CAPABILITY, kill_set_ids};
use super::{Result, Seen, SetAttrs, SetTime, Tree, TreeError};
use crate::meta::Node;
use crate::model::{Bytes, Dirty, Ino, Kind, LiveStat, Time, Who};
use crate::sys;

impl Tree {
    /// Sets attributes; `kill_suid` clears set-id bits as a change of size by a user without privilege does.
    pub fn set_attrs(&self, ino: Ino, set: &SetAttrs, kill_suid: bool, who: Who) -> Result<Seen> {
        let core = &self.core;
        let _gate = core.gate();
        let pin = core.table.pin(ino);
        let _alone = pin.alone();
        let node = core.row(ino)?;
        core.keep_promise(&pin, &node)?;
        if let Some(size) = set.size {
            core.truncate_alone(&pin, &node, size, kill_suid, who)?;
        }
        let only_size = set.mode.is_none()
            && set.uid.is_none()
            && set.gid.is_none()
            && set.atime.is_none()
            && set.mtime.is_none();
        let node = if set.size.is_some() && only_size {
            core.row(ino)?
        } else {
            core.set_row(&pin, set, who)?
        };
        core.see(node)
    }
}

impl Core {
    /// Everything but the size. The caller holds the node's lock alone.
    fn set_row(&self, open: &OpenNode, set: &SetAttrs, who: Who) -> Result<Node> {
        let looked = self.look_alone(open)?;
        let stored = self.write_for(who, |txn| {
            let mut node = txn.node(open.ino)?.ok_or(TreeError::NotFound)?;
            if let Some((before, looked)) = looked
                && node.bytes == Bytes::Here
            {
                self.settle_looked(txn, open, &mut node, before, looked)?;
            }
            apply(&mut node, set);
            txn.put_node(&node)?;
            self.record(txn, "setattr", node.ino, At::Node(node.ino), who, said(set))?;
            Ok::<_, TreeError>(node)
        })?;
        if let Some(stat) = stored.live_stat {
            open.is_settled_at(stat);
        }
        open.plain.store(0, std::sync::atomic::Ordering::SeqCst);
        Ok(stored)
    }

    /// The stat of the live file, if there is one, and the look that a row may remember.
    fn look_alone(&self, open: &OpenNode) -> Result<Option<(LiveStat, Looked)>> {
        let Some(before) = self.stat_alone(open)? else {
            return Ok(None);
        };
        if !self.may_be_written(open) {
            return Ok(Some((before, Looked::plain(before))));
        }
        let looked = self.look(open, &*self.live_file(open, false)?)?;
        Ok(Some((before, looked)))
    }

    /// The stat of the live file, if there is one. Its times are left alone: while the row is settled, the row's hold.
    pub(super) fn stat_alone(&self, open: &OpenNode) -> Result<Option<LiveStat>> {
        match open.held_file(false) {
            Some(file) => Ok(Some(live_stat(&file)?)),
            None => {
                let found = self.objects.live_stat(open.ino);
                let found = found.map_err(super::io("looking at a file"))?;
                Ok(found.map(|(stat, _)| stat))
            }
        }
    }
}

/// What chmod, chown and utimensat do to a row. ctime moves even when nothing else does.
fn apply(node: &mut Node, set: &SetAttrs) {
    let now = sys::now();
    let before = node.attrs;
    if set.uid.is_some() || set.gid.is_some() {
        // A new owner must not inherit rights that the old one gave away.
        if node.attrs.kind != Kind::Dir {
            node.attrs.mode = kill_set_ids(node.attrs.mode);
        }
        if node.xattrs.remove(CAPABILITY).is_some() {
            node.dirty = node.dirty.with(Dirty::XATTRS);
        }
        node.attrs.uid = set.uid.unwrap_or(node.attrs.uid);
        node.attrs.gid = set.gid.unwrap_or(node.attrs.gid);
    }
    if let Some(mode) = set.mode {
        set_mode(node, mode & 0o7777);
    }
    let at = |time: SetTime| -> Time {
        match time {
            SetTime::Now => now,
            SetTime::To(time) => time,
        }
    };
    node.attrs.atime = set.atime.map_or(node.attrs.atime, at);
    node.attrs.mtime = set.mtime.map_or(node.attrs.mtime, at);
    node.attrs.ctime = now;
    let told = |a: &crate::model::Attrs| (a.mode, a.uid, a.gid, a.mtime);
    if told(&before) != told(&node.attrs) && node.nlink > 0 {
        node.dirty = node.dirty.with(Dirty::ATTRS);
        node.rev += 1;
    }
}

/// Sets the mode, and what stands for it in the access list.
fn set_mode(node: &mut Node, mode: u32) {
    node.attrs.mode = mode;
    let list = node.xattrs.get(ACCESS).and_then(|value| Acl::parse(value));
    if let Some(mut list) = list
        && list.bits() != mode & 0o777
    {
        list.chmod(mode);
        node.xattrs.insert(ACCESS.to_vec(), list.compose());
        node.dirty = node.dirty.with(Dirty::XATTRS);
    }
}

fn said(set: &SetAttrs) -> String {
    let mut words = Vec::new();
    if let Some(mode) = set.mode {
        words.push(format!("mode {mode:04o}"));
    }
    if let Some(uid) = set.uid {
        words.push(format!("owner {uid}"));
    }
    if let Some(gid) = set.gid {
        words.push(format!("group {gid}"));
    }
    if set.mtime.is_some() || set.atime.is_some() {
        words.push("times".to_owned());
    }
    words.join(", ")
}
