//! Writers nobody sees: the kernel writes a live file without asking (passthrough), and a writable mapping goes on after
//! the last close, even when the daemon was killed.
//!
//! **The invariant.** A node that is not marked [`Dirty::BYTES`] has no writable passthrough handle and no writable
//! mapping of its live file. So the mark is set, with what base and snapshots need kept, before such an open is answered;
//! and it is taken away only when a lease on the live file is granted, which the kernel refuses while any writer or
//! writable mapping exists. What is refused is *watched* until it is granted.
//!
//! **Stats that tell.** Where clocks tick coarsely a write right after a stat may leave the stat as it was. A stat
//! recorded while such a writer may exist is therefore made *quiet*: the live file's time is set back by one nanosecond,
//! so that every later write moves it. The row keeps the time as it was.

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::commit::{Core, locked};
use super::live::{Handle, Held, OpenNode, live_stat};
use super::{Result, Tree, TreeError, io};
use crate::meta::{Node, Rows};
use crate::model::{Bid, Bytes, Dirty, Ino, Kind, LiveStat, ObjectId, Time, Who};
use crate::objects::Draft;
use crate::sys;

/// A time younger than this may be given to a write that comes now: ticks are at most 10 ms.
const TICK: Duration = Duration::from_millis(20);
/// The same where only whole seconds (or pairs of them) are kept.
const WHOLE: Duration = Duration::from_secs(2);
/// A file that is held open for writing is told of when it was left alone for so long …
const QUIET: Duration = Duration::from_secs(60);
/// … or was written on for so long.
const LATEST: Duration = Duration::from_secs(5 * 60);

/// Every node that may be written without asking, or was a moment ago.
#[derive(Default)]
pub(super) struct Silence {
    nodes: Mutex<HashMap<Ino, Silent>>,
    /// Rung when a node is left by its last such writer.
    left: Condvar,
}

/// What is remembered of one of them.
#[derive(Default)]
struct Silent {
    /// The bytes that are base's although the node is marked.
    agreed: Option<Agreed>,
    /// Who opened it, while the journal does not tell of the change yet.
    unsaid: Option<Who>,
    /// A change through a handle that stays open.
    moved: Option<Moved>,
    /// No such handle is open any more, and it was not compared since.
    watched: Option<Watched>,
}

/// How the watch goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watched {
    /// Not looked at yet. The kernel lets go of a file a moment after it says so.
    New,
    /// Somebody could write when it was looked at.
    Refused,
}

/// Bytes that equal base, by the stat of the live file. Void as soon as the row or base say something else.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Agreed {
    stat: LiveStat,
    rev: u64,
    base: (Bid, ObjectId),
}

/// A change that the row does not have yet.
#[derive(Clone, Copy)]
struct Moved {
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

/// A stat of a live file.
#[derive(Clone, Copy)]
pub(super) struct Looked {
    /// As the last write left it: the times people see.
    pub(super) written: LiveStat,
    /// What the row remembers: every later write makes the live file differ from it.
    pub(super) kept: LiveStat,
}

impl Looked {
    /// For live files that only the daemon writes.
    pub(super) fn plain(stat: LiveStat) -> Looked {
        Looked {
            written: stat,
            kept: stat,
        }
    }
}

/// Looks at a live file that somebody may write at this moment.
pub(super) fn look_quietly(file: &File) -> Result<Looked> {
    let mut stat = live_stat(file)?;
    for _ in 0..3 {
        if !is_recent(stat.mtime, sys::now()) {
            return Ok(Looked::plain(stat));
        }
        let back = just_before(stat.mtime);
        sys::set_mtime(file, back).map_err(io("setting the time of a file"))?;
        let after = live_stat(file)?;
        if after.mtime < stat.mtime {
            let written = LiveStat {
                size: after.size,
                ..stat
            };
            return Ok(Looked {
                written,
                kept: after,
            });
        }
        // A write came in between.
        stat = after;
    }
    // Written all the time: a stat that no file has, so that the next look finds it changed.
    let kept = LiveStat {
        ctime: Time::default(),
        ..stat
    };
    Ok(Looked {
        written: stat,
        kept,
    })
}

fn is_recent(mtime: Time, now: Time) -> bool {
    let window = if mtime.nsec == 0 { WHOLE } else { TICK };
    let nanos = |time: Time| i128::from(time.sec) * 1_000_000_000 + i128::from(time.nsec);
    (nanos(now) - nanos(mtime)).unsigned_abs() <= window.as_nanos()
}

fn just_before(time: Time) -> Time {
    match time.nsec.checked_sub(1) {
        Some(nsec) => Time { nsec, ..time },
        None => Time {
            sec: time.sec - 1,
            nsec: 999_999_999,
        },
    }
}

impl Silence {
    fn with<T>(&self, ino: Ino, work: impl FnOnce(&mut Silent) -> T) -> T {
        work(locked(&self.nodes).entry(ino).or_default())
    }

    fn is_watched(&self, ino: Ino) -> bool {
        let nodes = locked(&self.nodes);
        nodes.get(&ino).is_some_and(|node| node.watched.is_some())
    }

    /// Nobody can write it any more.
    fn forget(&self, ino: Ino) -> Option<Silent> {
        locked(&self.nodes).remove(&ino)
    }

    fn watch(&self, ino: Ino, how: Watched) {
        self.with(ino, |node| node.watched = Some(how));
        self.left.notify_all();
    }

    fn watched(&self) -> Vec<Ino> {
        let nodes = locked(&self.nodes);
        let watched = nodes.iter().filter(|(_, node)| node.watched.is_some());
        watched.map(|(ino, _)| *ino).collect()
    }
}

impl Core {
    /// True when somebody may write the live file without asking.
    pub(super) fn may_be_written(&self, open: &OpenNode) -> bool {
        open.has_silent_writer() || self.silence.is_watched(open.ino)
    }

    /// True when some mapping may outlive this process.
    pub(super) fn has_mappings(&self) -> bool {
        for ino in self.silence.watched() {
            if let Err(error) = self.look_at_watched(ino) {
                tracing::warn!(%ino, %error, "a mapped file could not be looked at");
            }
        }
        !self.silence.watched().is_empty()
    }

    /// Every node that may be written without asking, in order of the locks.
    pub(super) fn written_unasked(&self) -> Vec<Ino> {
        let mut all = self.table.which(OpenNode::has_silent_writer);
        all.extend(self.silence.watched());
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Looks at a live file. The caller holds the node's lock alone.
    pub(super) fn look(&self, open: &OpenNode, file: &File) -> Result<Looked> {
        if self.may_be_written(open) {
            return look_quietly(file);
        }
        Ok(Looked::plain(live_stat(file)?))
    }

    /// A copy of a live file that somebody may write at this moment, after a look. Once a page of a mapping is writable
    /// its stores leave no trace, until the page is written out: sharing bytes does that by itself, copying does not.
    pub(super) fn copy_unasked(&self, open: &OpenNode, file: &File) -> Result<Draft> {
        if self.may_be_written(open) && !self.objects.can().reflink {
            sys::sync_data(file).map_err(io("writing out a file"))?;
        }
        self.copy_of(file)
    }

    /// True when nobody can write the live file: no handle, no mapping, of whatever process. The caller holds the node's
    /// lock alone, so none comes.
    pub(super) fn is_unwritten(&self, open: &OpenNode) -> Result<bool> {
        if open.has_writer() {
            return Ok(false);
        }
        if !self.objects.can().lease {
            // Passthrough is not used on such a file system.
            return Ok(true);
        }
        let file = match self.objects.open_live(open.ino, false) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
            other => other.map_err(io("opening a live file"))?,
        };
        let granted = sys::read_lease(&file).map_err(io("asking who writes a file"))?;
        if !granted && !self.silence.is_watched(open.ino) {
            self.silence.watch(open.ino, Watched::New);
        }
        Ok(granted)
    }

    /// True when no write can come that we would not see. The caller holds the node's lock alone.
    pub(super) fn sees_writes(&self, open: &OpenNode) -> Result<bool> {
        if open.has_silent_writer() {
            return Ok(false);
        }
        if open.has_writer() {
            // Our own descriptor writes too, and a lease would say nothing.
            return Ok(!self.silence.is_watched(open.ino));
        }
        self.is_unwritten(open)
    }

    /// Notes that a node whose bytes are base's is marked only because somebody may write it.
    pub(super) fn note_agreed(&self, rows: &Rows<'_>, node: &Node) -> Result<()> {
        let agreed = match (node.live_stat, base_object(rows, node)?) {
            (Some(stat), Some(base)) => Some(Agreed {
                stat,
                rev: node.rev,
                base,
            }),
            _ => None,
        };
        self.silence.with(node.ino, |silent| silent.agreed = agreed);
        Ok(())
    }

    /// True when the bytes of a marked node are those of base all the same.
    pub(super) fn is_agreed(&self, node: &Node, stat: LiveStat) -> Result<bool> {
        let agreed = locked(&self.silence.nodes)
            .get(&node.ino)
            .and_then(|one| one.agreed);
        let Some(agreed) = agreed else {
            return Ok(false);
        };
        let base = self.meta.read(|rows| base_object(rows, node))?;
        let same = agreed.rev == node.rev && agreed.stat == stat && Some(agreed.base) == base;
        Ok(same && node.bytes == Bytes::Here)
    }

    /// The open of `who` may write without asking; the journal tells of it once something is written.
    pub(super) fn note_unsaid(&self, ino: Ino, who: Who) {
        self.silence.with(ino, |silent| silent.unsaid = Some(who));
    }

    /// Who opened a file that turns out to be written, if the journal does not tell of it yet.
    pub(super) fn take_unsaid(&self, ino: Ino) -> Option<Who> {
        let mut nodes = locked(&self.silence.nodes);
        nodes.get_mut(&ino).and_then(|silent| silent.unsaid.take())
    }

    /// The last writer that nobody saw is gone. Nothing written: the mark goes too. A mapping may be left: it is watched.
    /// The caller holds the node's lock alone.
    pub(super) fn last_silent_writer_left(&self, open: &OpenNode) {
        let doubtful = self.silence.with(open.ino, |silent| {
            silent.moved = None;
            silent.agreed.is_some()
        });
        let over = doubtful && self.is_over(open);
        if !over {
            self.silence.watch(open.ino, Watched::New);
        }
    }

    fn is_over(&self, open: &OpenNode) -> bool {
        let over = self.try_unmark(open);
        over.unwrap_or_else(|error| {
            // It stays marked, which is always right.
            tracing::warn!(ino = %open.ino, %error, "a closed file could not be compared");
            false
        })
    }

    /// True when nobody can write the node any more; then a mark that was set for the writers' sake alone is gone.
    fn try_unmark(&self, open: &OpenNode) -> Result<bool> {
        if !self.is_unwritten(open)? {
            return Ok(false);
        }
        let Some(node) = self.meta.read(|rows| rows.node(open.ino))? else {
            self.silence.forget(open.ino);
            return Ok(true);
        };
        let same = match self.stat_alone(open)? {
            Some(stat) => self.is_agreed(&node, stat)?,
            None => false,
        };
        if same && node.dirty.has(Dirty::BYTES) {
            self.meta.write(|txn| {
                let now = txn.node(open.ino)?;
                if let Some(mut now) = now.filter(|now| (now.rev, now.bid) == (node.rev, node.bid))
                {
                    now.dirty = now.dirty.without(Dirty::BYTES);
                    txn.put_node(&now)?;
                }
                Ok::<_, TreeError>(())
            })?;
            open.not_ready();
        }
        self.silence.forget(open.ino);
        Ok(true)
    }

    /// After a start: marked files may still be written by mappings that outlived an earlier daemon.
    pub(super) fn watch_left_mappings(&self) -> Result<()> {
        for node in self.meta.read(|rows| rows.dirty())? {
            let written = node.dirty.has(Dirty::BYTES) && node.attrs.kind == Kind::File;
            if written && node.bytes == Bytes::Here {
                let pin = self.table.pin(node.ino);
                let _alone = pin.alone();
                self.is_unwritten(&pin)?;
            }
        }
        Ok(())
    }
}

/// The base object of a node with its sealed bytes.
fn base_object(rows: &Rows<'_>, node: &Node) -> Result<Option<(Bid, ObjectId)>> {
    let Some(bid) = node.bid else {
        return Ok(None);
    };
    let object = rows.base(bid)?.and_then(|base| base.object);
    Ok(object.map(|object| (bid, object)))
}

impl Handle {
    /// True when the kernel reads and writes the live file of this opening without asking.
    pub fn is_passthrough(&self) -> bool {
        self.inner.node().is_passthrough()
    }
}

impl Tree {
    /// The live file of an opening, open for reading only: what the kernel registers as backing.
    pub fn backing(&self, handle: &Handle) -> Result<File> {
        let opened = self.core.objects.open_live(self.handle_ino(handle), false);
        opened.map_err(io("opening a live file"))
    }

    /// The kernel would not take the live file: all openings of the node are served. Only while the kernel was told of
    /// none of them.
    pub fn serve_instead(&self, handle: &Handle) -> Result<()> {
        let core = &self.core;
        let open = handle.inner.node();
        let _alone = open.alone();
        if !open.is_passthrough() {
            return Ok(());
        }
        let write = open.has_writer();
        let file = core.live_file(open, write)?;
        // Writes come to us now: the first one makes it ready by itself, and settling goes by the flag.
        open.settled.store(false, Ordering::SeqCst);
        open.hold(Held { file, write });
        open.set_passthrough(false);
        Ok(())
    }

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
    fn look_at_writer(&self, ino: Ino) -> bool {
        let (Ok(Some((stat, _))), Ok(Some(node))) = (
            self.objects.live_stat(ino),
            self.meta.read(|rows| rows.node(ino)),
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
        if self.meta.read(|rows| rows.node(ino))?.is_none() {
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
    use std::os::unix::fs::FileExt;

    fn at(sec: i64, nsec: u32) -> Time {
        Time { sec, nsec }
    }

    #[test]
    fn one_nanosecond_before() {
        assert_eq!(just_before(at(5, 7)), at(5, 6));
        assert_eq!(just_before(at(5, 0)), at(4, 999_999_999));
    }

    #[test]
    fn recent_is_what_a_write_now_could_be_given() {
        let now = at(100, 500_000_000);
        assert!(is_recent(at(100, 495_000_000), now));
        assert!(is_recent(at(100, 505_000_000), now));
        assert!(!is_recent(at(100, 400_000_000), now));
        // A disk that keeps whole seconds.
        assert!(is_recent(at(99, 0), now));
        assert!(!is_recent(at(97, 0), now));
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

    #[test]
    fn every_write_after_a_quiet_look_is_seen() {
        let file = tempfile::tempfile().unwrap();
        for n in 0..200 {
            file.write_all_at(&[n], 0).unwrap();
            let looked = look_quietly(&file).unwrap();
            file.write_all_at(&[n + 1], 0).unwrap();
            assert_ne!(live_stat(&file).unwrap(), looked.kept);
        }
    }
}
