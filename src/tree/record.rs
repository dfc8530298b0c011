//! The journal row that goes with a change.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Result;
use super::commit::{Core, locked};
use crate::meta::{Record, WriteTxn};
use crate::model::{Ino, Name, RelPath, Who};
use crate::sys;

/// Names of programs, remembered for a moment: one program makes many changes, and asking costs more than the change.
#[derive(Default)]
pub(super) struct Programs(Mutex<HashMap<u32, (Instant, String)>>);

const FRESH: Duration = Duration::from_secs(2);
const MOST: usize = 256;

impl Programs {
    fn name(&self, pid: u32) -> String {
        if pid == 0 {
            return "driftfs".to_owned();
        }
        let mut known = locked(&self.0);
        if let Some((when, name)) = known.get(&pid)
            && when.elapsed() < FRESH
        {
            return name.clone();
        }
        if known.len() >= MOST {
            known.clear();
        }
        let name = sys::program_of(pid);
        known.insert(pid, (Instant::now(), name.clone()));
        name
    }
}

/// What a record says of its object.
pub(super) enum At<'a> {
    /// The first name of the node.
    Node(Ino),
    /// This name.
    Name(Ino, &'a Name),
}

impl Core {
    /// Appends a journal row to the transaction.
    pub(super) fn record(
        &self,
        txn: &WriteTxn<'_>,
        verb: &str,
        ino: Ino,
        at: At<'_>,
        who: Who,
        detail: String,
    ) -> Result<()> {
        let path = match at {
            At::Node(ino) => txn.path(ino)?.unwrap_or_default(),
            At::Name(parent, name) => path_of(txn, parent, name)?,
        };
        txn.record(&Record {
            seq: 0,
            when: sys::now(),
            who,
            program: self.programs.name(who.pid),
            ino: Some(ino),
            path,
            verb: verb.to_owned(),
            detail,
        })?;
        Ok(())
    }
}

/// The path of a name in a directory.
pub(super) fn path_of(txn: &WriteTxn<'_>, parent: Ino, name: &Name) -> Result<RelPath> {
    let dir = txn.path(parent)?.unwrap_or_default();
    Ok(dir.join(name))
}
