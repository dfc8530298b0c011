//! Rename.

use super::commit::Core;
use super::inherit::inherit_name;
use super::nameless::Leaving;
use super::names::{check_empty, open_dir, touch, vacant};
use super::record::{At, path_of};
use super::stat::named;
use super::{RenameMode, Result, Tree, TreeError};
use crate::meta::{Node, Rows, WriteTxn};
use crate::model::{Bytes, Dirty, Ino, Kind, Name, Time, Who};
use crate::sys;

/// A name in a directory.
type Spot<'a> = (Ino, &'a Name);

impl Tree {
    /// Renames; gives the node that lost its name, if one.
    pub fn rename(
        &self,
        from: (Ino, &Name),
        to: (Ino, &Name),
        mode: RenameMode,
        who: Who,
    ) -> Result<Option<Ino>> {
        let core = &self.core;
        let _names = core.names();
        let (node, target) = core.meta.quick(|rows| look(rows, from, to, mode))?;
        match (mode, target) {
            // Two names of one node: POSIX says that nothing happens.
            (_, Some(target)) if target.ino == node.ino => Ok(None),
            (RenameMode::Exchange, Some(target)) => {
                let swap = |txn: &WriteTxn<'_>| core.exchange(txn, from, to, (&node, &target), who);
                core.write_for(who, swap)?;
                Ok(None)
            }
            (_, None) => {
                core.write_for(who, |txn| {
                    vacant(txn, to.0, to.1)?;
                    core.move_to(txn, from, to, who)
                })?;
                Ok(None)
            }
            (_, Some(target)) => core.replace(from, to, &node, &target, who).map(Some),
        }
    }
}

/// What is at both names. In the order of the kernel: first whether the target may be there, then loops.
fn look(
    rows: &Rows<'_>,
    from: Spot<'_>,
    to: Spot<'_>,
    mode: RenameMode,
) -> Result<(Node, Option<Node>)> {
    let node = named(rows, from.0, from.1)?;
    let target = match named(rows, to.0, to.1) {
        Ok(target) => Some(target),
        Err(TreeError::NotFound) => None,
        Err(other) => return Err(other),
    };
    match (mode, &target) {
        (RenameMode::NoReplace, Some(_)) => return Err(TreeError::Exists),
        (RenameMode::Exchange, None) => return Err(TreeError::NotFound),
        _ => {}
    }
    if node.attrs.kind == Kind::Dir {
        check_no_loop(rows, node.ino, to.0)?;
    }
    Ok((node, target))
}

/// A directory must not go into itself.
fn check_no_loop(rows: &Rows<'_>, moved: Ino, into: Ino) -> Result<()> {
    let mut at = into;
    loop {
        if at == moved {
            return Err(TreeError::Loop);
        }
        match rows.home(at)? {
            Some(parent) if at != Ino::ROOT => at = parent,
            _ => return Ok(()),
        }
    }
}

impl Core {
    /// Rename onto a name that another node has.
    fn replace(
        &self,
        from: Spot<'_>,
        to: Spot<'_>,
        node: &Node,
        target: &Node,
        who: Who,
    ) -> Result<Ino> {
        match (node.attrs.kind == Kind::Dir, target.attrs.kind == Kind::Dir) {
            (true, false) => return Err(TreeError::NotDir),
            (false, true) => return Err(TreeError::IsDir),
            _ => {}
        }
        let leaving = {
            let pin = self.table.pin(target.ino);
            let _alone = pin.alone();
            let mut leaving = self.prepare_leaving(&pin)?;
            self.write_for(who, |txn| {
                self.replace_in(txn, from, to, target, &mut leaving, who)
            })?;
            leaving
        };
        if node.attrs.kind == Kind::File && node.bytes == Bytes::Here && !node.durable {
            // The old contents must not be gone from disk before the new ones are there.
            self.barrier.renamed(node.ino);
        }
        self.left(&leaving);
        Ok(target.ino)
    }

    fn replace_in(
        &self,
        txn: &WriteTxn<'_>,
        from: Spot<'_>,
        to: Spot<'_>,
        target: &Node,
        leaving: &mut Leaving,
        who: Who,
    ) -> Result<()> {
        let is_dir = target.attrs.kind == Kind::Dir;
        if is_dir {
            check_empty(txn, target.ino)?;
        }
        // The name passes over first: whoever inherits from the node that leaves is looked up by name.
        let now = self.move_to(txn, from, to, who)?;
        if is_dir {
            let mut dir = open_dir(txn, to.0)?;
            dir.nlink -= 1;
            txn.put_node(&dir)?;
            self.remove_dir(txn, leaving, now)
        } else {
            self.take_name(txn, leaving, now)
        }
    }

    /// Moves the name `from` to `to`, with everything that goes with it on the moving side. Gives the time used.
    fn move_to(&self, txn: &WriteTxn<'_>, from: Spot<'_>, to: Spot<'_>, who: Who) -> Result<Time> {
        let now = sys::now();
        let mut node = named(txn, from.0, from.1)?;
        let detail = format!("to {}", path_of(txn, to.0, to.1)?);
        self.record(
            txn,
            "rename",
            node.ino,
            At::Name(from.0, from.1),
            who,
            detail,
        )?;
        txn.drop_entry(from.0, from.1)?;
        txn.put_entry(to.0, to.1, node.ino)?;
        let moves_dir = i64::from(node.attrs.kind == Kind::Dir && from.0 != to.0);
        mark_dir(txn, from.0, -moves_dir, now)?;
        mark_dir(txn, to.0, moves_dir, now)?;
        moved(&mut node, now);
        inherit_name(txn, &open_dir(txn, to.0)?, to.1, &mut node)?;
        txn.put_node(&node)?;
        Ok(now)
    }

    fn exchange(
        &self,
        txn: &WriteTxn<'_>,
        from: Spot<'_>,
        to: Spot<'_>,
        both: (&Node, &Node),
        who: Who,
    ) -> Result<()> {
        let (a, b) = (named(txn, from.0, from.1)?, named(txn, to.0, to.1)?);
        let is_dir = |node: &Node| node.attrs.kind == Kind::Dir;
        if is_dir(&b) {
            check_no_loop(txn, b.ino, from.0)?;
        }
        let now = sys::now();
        let detail = format!("exchanged with {}", path_of(txn, to.0, to.1)?);
        self.record(
            txn,
            "rename",
            both.0.ino,
            At::Name(from.0, from.1),
            who,
            detail,
        )?;
        txn.put_entry(from.0, from.1, b.ino)?;
        txn.put_entry(to.0, to.1, a.ino)?;
        let gain = if from.0 == to.0 {
            0
        } else {
            i64::from(is_dir(&b)) - i64::from(is_dir(&a))
        };
        mark_dir(txn, from.0, gain, now)?;
        mark_dir(txn, to.0, -gain, now)?;
        for mut node in [a, b] {
            // Read again: one of them may be the other's new directory, marked just now.
            node = txn.node(node.ino)?.ok_or(TreeError::NotFound)?;
            moved(&mut node, now);
            txn.put_node(&node)?;
        }
        Ok(())
    }
}

fn moved(node: &mut Node, now: Time) {
    node.attrs.ctime = now;
    node.dirty = node.dirty.with(Dirty::NAMES);
}

/// Marks that names of a directory changed, and `gain` subdirectories came or went.
fn mark_dir(txn: &WriteTxn<'_>, dir: Ino, gain: i64, now: Time) -> Result<()> {
    let mut dir = open_dir(txn, dir)?;
    touch(&mut dir, now);
    dir.nlink = dir
        .nlink
        .checked_add_signed(gain as i32)
        .ok_or(TreeError::TooManyLinks)?;
    txn.put_node(&dir)?;
    Ok(())
}
