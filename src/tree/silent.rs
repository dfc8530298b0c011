//! Writers nobody sees: the kernel writes a live file without asking (passthrough), and a writable mapping goes on after
//! the last close, even when the daemon was killed.
//!
//! **The invariant.** A node that is not marked [`Dirty::BYTES`] has no writable passthrough handle and no writable
//! mapping of its live file. So the mark is set, with what base and snapshots need kept, before such an open is answered;
//! and it is taken away only when a lease on the live file is granted, which the kernel refuses while any writer or
//! writable mapping exists. What is refused is *watched* until it is granted.

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex};

use super::commit::{Core, locked};
use super::live::{Handle, Held, OpenNode, live_stat};
use super::quiet::{Looked, look_quietly};
use super::watched::{Moved, Watched};
use super::{Result, Tree, TreeError, io};
use crate::meta::{Node, Rows};
use crate::model::{Bid, Bytes, Dirty, Ino, Kind, LiveStat, ObjectId, Who};
use crate::objects::Draft;
use crate::sys;

/// Every node that may be written without asking, or was a moment ago.
#[derive(Default)]
pub(super) struct Silence {
    pub(super) nodes: Mutex<HashMap<Ino, Silent>>,
    /// Rung when a node is left by its last such writer.
    pub(super) left: Condvar,
}

/// What is remembered of one of them.
#[derive(Default)]
pub(super) struct Silent {
    /// The bytes that are base's although the node is marked.
    agreed: Option<Agreed>,
    /// Who opened it, while the journal does not tell of the change yet.
    unsaid: Option<Who>,
    /// A change through a handle that stays open.
    pub(super) moved: Option<Moved>,
    /// No such handle is open any more, and it was not compared since.
    pub(super) watched: Option<Watched>,
}

/// Bytes that equal base, by the stat of the live file. Void as soon as the row or base say something else.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Agreed {
    stat: LiveStat,
    rev: u64,
    base: (Bid, ObjectId),
}

impl Silence {
    pub(super) fn with<T>(&self, ino: Ino, work: impl FnOnce(&mut Silent) -> T) -> T {
        work(locked(&self.nodes).entry(ino).or_default())
    }

    pub(super) fn is_watched(&self, ino: Ino) -> bool {
        let nodes = locked(&self.nodes);
        nodes.get(&ino).is_some_and(|node| node.watched.is_some())
    }

    /// Nobody can write it any more.
    pub(super) fn forget(&self, ino: Ino) -> Option<Silent> {
        locked(&self.nodes).remove(&ino)
    }

    fn watch(&self, ino: Ino, how: Watched) {
        self.with(ino, |node| node.watched = Some(how));
        self.left.notify_all();
    }

    pub(super) fn watched(&self) -> Vec<Ino> {
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

    /// The same of a node that may not be open.
    pub(super) fn is_written_unasked(&self, ino: Ino) -> bool {
        self.table.is(ino, OpenNode::has_silent_writer) || self.silence.is_watched(ino)
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
        let base = self.meta.quick(|rows| base_object(rows, node))?;
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
        let (doubtful, watched) = self.silence.with(open.ino, |silent| {
            silent.moved = None;
            (silent.agreed.is_some(), silent.watched.is_some())
        });
        let mapped = open.maps.swap(false, Ordering::SeqCst);
        if doubtful && self.is_over(open) {
            return;
        }
        if doubtful || mapped || watched {
            self.silence.watch(open.ino, Watched::New);
        } else {
            // The kernel let go of the live file before it told us, and nobody could map it for writing.
            self.silence.forget(open.ino);
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
    pub(super) fn try_unmark(&self, open: &OpenNode) -> Result<bool> {
        if !self.is_unwritten(open)? {
            return Ok(false);
        }
        let Some(node) = self.meta.quick(|rows| rows.node(open.ino))? else {
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
}
