//! Snapshots.

use std::sync::PoisonError;

use super::live::{OpenNode, live_stat};
use super::seal::settle_written;
use super::{Result, Tree, TreeError};
use crate::meta::View;
use crate::sys;

impl Tree {
    /// Freezes the live tree under a name: one instant for names and bytes. Nothing is copied now: the first change of
    /// each row and file afterwards keeps what it replaces. A name that is taken gets a number: see the view's.
    pub fn snapshot(&self, name: &str, reason: &str) -> Result<View> {
        let core = &self.core;
        let _names = core.names();
        // No change of bytes is on its way while this is held, so rows and live files are of one instant.
        let _alone = core.gate.write().unwrap_or_else(PoisonError::into_inner);
        let pins: Vec<_> = core
            .table
            .which(OpenNode::has_writer)
            .into_iter()
            .map(|ino| core.table.pin(ino))
            .collect();
        let mut written = Vec::new();
        for pin in &pins {
            if let Some(file) = pin.open_file() {
                written.push((pin, live_stat(&file)?));
            }
        }
        let taken = core.meta.write(|txn| {
            for (pin, stat) in &written {
                if let Some(mut node) = txn.node(pin.ino)?
                    && node.live_stat != Some(*stat)
                {
                    settle_written(pin, &mut node, *stat);
                    txn.put_node(&node)?;
                }
            }
            let taken = txn.views()?.into_iter().map(|view| view.name);
            let name = free_name(name, &taken.collect::<Vec<_>>());
            let view = txn.put_view(&name, reason, sys::now());
            view.map_err(TreeError::from)
        });
        core.next_generation();
        taken
    }
}

/// The name, or the first of `NAME.2`, `NAME.3`, … that is free: an older snapshot is never replaced.
fn free_name(wanted: &str, taken: &[String]) -> String {
    let free = |name: &String| !taken.contains(name);
    let numbered = (2..).map(|n: u64| format!("{wanted}.{n}"));
    let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
    names.find(free).unwrap_or_else(|| wanted.to_owned())
}
