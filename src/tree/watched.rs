//! Looking at files that are written without asking: what changed is told, and who could write is asked again until
//! nobody can.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::commit::{Core, locked};
use super::live::OpenNode;
use super::silent::Silent;
use super::{Result, Tree};
use crate::model::{Ino, LiveStat};

/// A file that is held open for writing is told of when it was left alone for so long …
const QUIET: Duration = Duration::from_secs(60);
/// … or was written on for so long.
const LATEST: Duration = Duration::from_secs(5 * 60);

/// How the watch goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    /// Not looked at yet. The kernel lets go of a file a moment after it says so.
    New,
    /// Somebody could write when it was looked at.
    Refused,
}

/// A change that the row does not have yet.
#[derive(Clone, Copy)]
pub(super) struct Moved {
    seen: LiveStat,
    first: Instant,
    last: Instant,
    told: Option<LiveStat>,
}

impl Moved {
    fn new(seen: LiveStat, now: Instant) -> Moved {
        Moved {
            seen,
            first: now,
            last: now,
            told: None,
        }
    }

    /// Takes one more look; true when it is time to tell.
    fn look(&mut self, stat: LiveStat, now: Instant) -> bool {
        if self.seen != stat {
            (self.seen, self.last) = (stat, now);
        }
        let rested = now.duration_since(self.last) >= QUIET;
        let due = rested || now.duration_since(self.first) >= LATEST;
        let due = due && self.told != Some(stat);
        if due {
            (self.told, self.first) = (Some(stat), now);
        }
        due
    }
}

impl Tree {
    /// Looks at the files that are written without asking; gives those whose change nobody was told of: a mapping that
    /// goes on after the last close at once, a file held open for writing when it was left alone for a minute, or was
    /// written on for five.
    pub fn written_silently(&self) -> Vec<Ino> {
        let core = &self.core;
        let mut found = Vec::new();
        for ino in core.table.which(OpenNode::has_silent_writer) {
            found.extend(core.look_at_writer(ino).then_some(ino));
        }
        for ino in core.silence.watched() {
            match core.look_at_watched(ino) {
                Ok(true) => found.push(ino),
                Ok(false) => {}
                Err(error) => tracing::warn!(%ino, %error, "a mapped file could not be looked at"),
            }
        }
        found
    }

    /// Waits until there is something new for [`Tree::written_silently`], at most for `limit`.
    pub fn wait_written(&self, limit: Duration) {
        let silence = &self.core.silence;
        let nodes = locked(&silence.nodes);
        let is_new = |node: &Silent| node.watched == Some(Watched::New);
        let none = |nodes: &mut HashMap<Ino, Silent>| !nodes.values().any(is_new);
        // A wait that a panic elsewhere broke off is over, and nothing more.
        drop(silence.left.wait_timeout_while(nodes, limit, none));
    }
}

impl Core {
    /// True when some mapping may outlive this process.
    pub(super) fn has_mappings(&self) -> bool {
        for ino in self.silence.watched() {
            if let Err(error) = self.look_at_watched(ino) {
                tracing::warn!(%ino, %error, "a mapped file could not be looked at");
            }
        }
        !self.silence.watched().is_empty()
    }

    fn look_at_writer(&self, ino: Ino) -> bool {
        let (Ok(Some((stat, _))), Ok(Some(node))) = (
            self.objects.live_stat(ino),
            self.meta.quick(|rows| rows.node(ino)),
        ) else {
            return false;
        };
        if node.live_stat == Some(stat) || node.nlink == 0 {
            return false;
        }
        let now = Instant::now();
        self.silence.with(ino, |silent| {
            let moved = silent.moved.get_or_insert_with(|| Moved::new(stat, now));
            moved.look(stat, now)
        })
    }

    /// True when a mapping wrote, or when it ended: then the comparison can say something at last.
    fn look_at_watched(&self, ino: Ino) -> Result<bool> {
        let pin = self.table.pin(ino);
        let _alone = pin.alone();
        if self.meta.quick(|rows| rows.node(ino))?.is_none() {
            self.silence.forget(ino);
            return Ok(false);
        }
        let mut moved = self.settle_alone(&pin)?;
        if pin.has_writer() {
            // Looked at again when that one leaves.
            self.silence
                .with(ino, |silent| silent.watched = Some(Watched::Refused));
            return Ok(moved);
        }
        let refused = self.silence.with(ino, |silent| {
            silent.watched.replace(Watched::Refused) == Some(Watched::Refused)
        });
        if self.is_unwritten(&pin)? {
            // What it wrote between the look and its end.
            moved |= self.settle_alone(&pin)?;
            // Sent meanwhile, it was not called clean: now it can be.
            moved |= refused;
            self.try_unmark(&pin)?;
        }
        Ok(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    fn at(sec: i64, nsec: u32) -> Time {
        Time { sec, nsec }
    }

    #[test]
    fn a_file_held_open_is_told_of_when_it_rests_or_after_long_writing() {
        let stat = |size| LiveStat {
            size,
            mtime: at(1, 0),
            ctime: at(1, 0),
        };
        let start = Instant::now();
        let after = |secs| start + Duration::from_secs(secs);
        let mut moved = Moved::new(stat(1), start);
        assert!(!moved.look(stat(1), after(59)));
        assert!(moved.look(stat(1), after(60)));
        assert!(!moved.look(stat(1), after(400)), "told already");
        let mut moved = Moved::new(stat(0), start);
        let told = (1..=400)
            .filter(|n| moved.look(stat(*n), after(*n)))
            .count();
        assert_eq!(told, 1);
    }
}
