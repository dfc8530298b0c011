//! What is open now: handles, the lock of a node, the kernel's references.
//!
//! A node is open in one of two modes, from its first open to its last close. *Served*: reads and writes come to the
//! daemon and reach the live file through the [`OpenNode`], so replacing the bytes of a file that readers have open is a
//! new live file and an exchange of one pointer. *Passthrough*: the kernel reads and writes the live file without asking
//! (see `silent.rs`); no descriptor is kept, and what needs one opens it for this once.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::commit::{Core, locked};
use super::{Result, Tree, io};
use crate::model::{Ino, LiveStat};
use crate::sys;

/// A node that is open or being worked on.
pub(super) struct OpenNode {
    pub(super) ino: Ino,
    /// Shared by plain writes; alone for sealing, truncating, appending and exchanging the live file.
    lock: RwLock<()>,
    /// The live file, while any served handle is open. Open for writing only while a handle is: a descriptor of our
    /// own that can write would hide other writers (see `silent.rs`).
    file: Mutex<Option<Held>>,
    /// The mode. Changes only while no handle is open, or none is known to the kernel yet.
    passthrough: AtomicBool,
    /// Openings from before the whole file was here: the kernel has them as served, and takes no other mode beside.
    in_parts: AtomicUsize,
    /// Some passthrough writer could make a mapping that writes, and may have left it behind.
    pub(super) maps: AtomicBool,
    pub(super) handles: AtomicUsize,
    pub(super) writers: AtomicUsize,
    /// Generation under which a write needs no look at the rows; 0: never.
    pub(super) ready: AtomicU64,
    /// Generation under which the row surely has no set-id bits and no capabilities.
    pub(super) plain: AtomicU64,
    /// True while nothing was written since the row was brought up to date.
    pub(super) settled: AtomicBool,
    /// The stat that the row holds, when `settled`.
    pub(super) known: Mutex<Option<LiveStat>>,
    pub(super) last_writer: AtomicU32,
}

/// A live file that handles share.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) file: Arc<File>,
    pub(super) write: bool,
}

impl OpenNode {
    fn new(ino: Ino) -> OpenNode {
        OpenNode {
            ino,
            lock: RwLock::default(),
            file: Mutex::default(),
            passthrough: AtomicBool::new(false),
            in_parts: AtomicUsize::new(0),
            maps: AtomicBool::new(false),
            handles: AtomicUsize::new(0),
            writers: AtomicUsize::new(0),
            ready: AtomicU64::new(0),
            plain: AtomicU64::new(0),
            settled: AtomicBool::new(true),
            known: Mutex::default(),
            last_writer: AtomicU32::new(0),
        }
    }

    pub(super) fn shared(&self) -> RwLockReadGuard<'_, ()> {
        self.lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.lock.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_open(&self) -> bool {
        self.handles.load(Ordering::SeqCst) > 0
    }

    pub(super) fn has_writer(&self) -> bool {
        self.writers.load(Ordering::SeqCst) > 0
    }

    /// True while the kernel reads and writes the live file without asking.
    pub(super) fn is_passthrough(&self) -> bool {
        self.is_open() && self.passthrough.load(Ordering::SeqCst)
    }

    /// The mode that was chosen for a node whose first opening is under way.
    pub(super) fn will_pass(&self) -> bool {
        self.passthrough.load(Ordering::SeqCst)
    }

    pub(super) fn set_passthrough(&self, yes: bool) {
        self.passthrough.store(yes, Ordering::SeqCst);
    }

    /// True while an opening from before the whole file was here keeps it served.
    pub(super) fn is_open_in_parts(&self) -> bool {
        self.in_parts.load(Ordering::SeqCst) > 0
    }

    /// True while the kernel may write the live file without asking.
    pub(super) fn has_silent_writer(&self) -> bool {
        self.is_passthrough() && self.has_writer()
    }

    /// The live file that handles share, if it can do what is asked.
    pub(super) fn held_file(&self, write: bool) -> Option<Arc<File>> {
        let slot = locked(&self.file);
        let held = slot.as_ref().filter(|held| held.write || !write);
        held.map(|held| held.file.clone())
    }

    /// What handles share from now on; nothing changes while none does.
    pub(super) fn hold_instead(&self, held: Held) {
        let mut slot = locked(&self.file);
        if slot.is_some() {
            *slot = Some(held);
        }
    }

    /// Handles share this from now on.
    pub(super) fn hold(&self, held: Held) {
        *locked(&self.file) = Some(held);
    }

    /// The next write looks at the rows again.
    pub(super) fn not_ready(&self) {
        self.ready.store(0, Ordering::SeqCst);
        self.plain.store(0, Ordering::SeqCst);
    }

    /// The row holds `stat`; the next write must make the live file differ from it.
    pub(super) fn is_settled_at(&self, stat: LiveStat) {
        *locked(&self.known) = Some(stat);
        self.settled.store(true, Ordering::SeqCst);
    }

    /// After a write. Where clocks tick coarsely a write right after a stat may leave the stat as it was, and the row
    /// would hide it: the first write after settling looks, and moves the time if it must.
    pub(super) fn wrote(&self, file: &File) -> Result<()> {
        if !self.settled.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let known = *locked(&self.known);
        if known == Some(live_stat(file)?) {
            sys::set_mtime(file, sys::now()).map_err(io("setting the time of a file"))?;
        }
        Ok(())
    }
}

/// The stat of an open live file.
pub(super) fn live_stat(file: &File) -> Result<LiveStat> {
    let stat = sys::stat_of(file).map_err(io("looking at a file"))?;
    Ok(LiveStat {
        size: stat.size,
        mtime: stat.mtime,
        ctime: stat.ctime,
    })
}

/// Every open node, and what the kernel knows.
#[derive(Default)]
pub(super) struct Table {
    nodes: Mutex<HashMap<Ino, Arc<OpenNode>>>,
    refs: Mutex<HashMap<Ino, u64>>,
}

impl Table {
    /// The open node of a number, kept as long as the pin lives.
    pub(super) fn pin(&self, ino: Ino) -> Pin<'_> {
        let mut nodes = locked(&self.nodes);
        let node = nodes
            .entry(ino)
            .or_insert_with(|| Arc::new(OpenNode::new(ino)));
        Pin {
            table: self,
            node: Some(node.clone()),
        }
    }

    /// The numbers of the open nodes that `wanted` accepts.
    pub(super) fn which(&self, wanted: impl Fn(&OpenNode) -> bool) -> Vec<Ino> {
        let nodes = locked(&self.nodes);
        let found = nodes.values().filter(|node| wanted(node));
        found.map(|node| node.ino).collect()
    }

    /// True when the node is open and `test` holds.
    pub(super) fn is(&self, ino: Ino, test: impl Fn(&OpenNode) -> bool) -> bool {
        locked(&self.nodes).get(&ino).is_some_and(|node| test(node))
    }

    pub(super) fn is_referenced(&self, ino: Ino) -> bool {
        locked(&self.refs).contains_key(&ino)
    }

    /// Every node the kernel was told of.
    pub(super) fn referenced(&self) -> Vec<Ino> {
        locked(&self.refs).keys().copied().collect()
    }

    /// Forgets a node nobody holds any more.
    fn release(&self, node: Arc<OpenNode>) {
        let mut nodes = locked(&self.nodes);
        // References are only made from the table under its lock, or from one that is counted here.
        if Arc::strong_count(&node) == 2 {
            nodes.remove(&node.ino);
        }
    }
}

/// Keeps an open node in the table.
pub(super) struct Pin<'a> {
    table: &'a Table,
    node: Option<Arc<OpenNode>>,
}

impl Pin<'_> {
    pub(super) fn arc(&self) -> Arc<OpenNode> {
        self.node
            .clone()
            .expect("a pin holds its node until dropped")
    }
}

impl Deref for Pin<'_> {
    type Target = OpenNode;
    fn deref(&self) -> &OpenNode {
        self.node
            .as_deref()
            .expect("a pin holds its node until dropped")
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            self.table.release(node);
        }
    }
}

/// An open file. Closing (dropping) the last one of a nameless node lets it be purged. Clones share the opening.
#[derive(Clone)]
pub struct Handle {
    pub(super) inner: Arc<Opening>,
}

/// One opening of a file.
pub(super) struct Opening {
    core: Arc<Core>,
    node: Option<Arc<OpenNode>>,
    pub(super) write: bool,
    /// The row was brought up to date when nothing could come through this opening any more.
    pub(super) is_last_settled: AtomicBool,
}

impl Opening {
    pub(super) fn node(&self) -> &OpenNode {
        self.node
            .as_deref()
            .expect("an opening holds its node until dropped")
    }

    /// The live file now: held open as long as any served handle is, else opened for this once.
    pub(super) fn file(&self, write: bool) -> Result<Arc<File>> {
        self.core.live_file(self.node(), write)
    }
}

impl Core {
    /// Counts one more opening of a pinned node whose lock the caller holds alone.
    pub(super) fn opened(self: &Arc<Core>, pin: &Pin<'_>, write: bool) -> Handle {
        pin.handles.fetch_add(1, Ordering::SeqCst);
        pin.writers.fetch_add(usize::from(write), Ordering::SeqCst);
        let opening = Opening {
            core: self.clone(),
            node: Some(pin.arc()),
            write,
            is_last_settled: AtomicBool::new(false),
        };
        Handle {
            inner: Arc::new(opening),
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let Some(node) = self.node.take() else { return };
        let ino = node.ino;
        if self.write
            && !self.is_last_settled.load(Ordering::SeqCst)
            && let Err(error) = self.core.settle_open(&node)
        {
            // Nothing is lost: a row that differs from its live file is compared again at the next look or start.
            tracing::warn!(%ino, %error, "a closed file could not be recorded");
        }
        {
            let _alone = node.alone();
            let silent = node.has_silent_writer() && self.write;
            let writers = node.writers.load(Ordering::SeqCst) - usize::from(self.write);
            node.writers.store(writers, Ordering::SeqCst);
            let handles = node.handles.fetch_sub(1, Ordering::SeqCst) - 1;
            if handles == 0 {
                *locked(&node.file) = None;
            } else if writers == 0 && self.write {
                self.core.hold_for_reading(&node);
            }
            if silent && writers == 0 {
                self.core.last_silent_writer_left(&node);
            }
        }
        self.core.table.release(node);
        self.core.purge_if_nameless(ino);
    }
}

/// Keeps a node served that is open in parts.
pub struct InParts {
    core: Arc<Core>,
    node: Option<Arc<OpenNode>>,
}

impl Drop for InParts {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            node.in_parts.fetch_sub(1, Ordering::SeqCst);
            self.core.table.release(node);
        }
    }
}

impl Tree {
    /// From now until the answer is dropped, openings of a node are served. `None`: one that passes through is there
    /// already.
    pub fn open_in_parts(&self, ino: Ino) -> Option<InParts> {
        let pin = self.core.table.pin(ino);
        let _alone = pin.alone();
        if pin.is_passthrough() {
            return None;
        }
        pin.in_parts.fetch_add(1, Ordering::SeqCst);
        Some(InParts {
            core: self.core.clone(),
            node: Some(pin.arc()),
        })
    }
}

impl Core {
    /// The last writer of a served file left: the descriptor its readers share is no longer one that writes.
    fn hold_for_reading(&self, open: &OpenNode) {
        if open.held_file(true).is_none() {
            return;
        }
        match self.objects.open_live(open.ino, false) {
            Ok(file) => open.hold_instead(Held {
                file: Arc::new(file),
                write: false,
            }),
            // It goes on with the old one, and counts as written until its last close.
            Err(error) => {
                tracing::warn!(ino = %open.ino, %error, "a live file could not be opened again")
            }
        }
    }
}

impl Tree {
    /// Number of the node of a handle.
    pub fn handle_ino(&self, handle: &Handle) -> Ino {
        handle.inner.node().ino
    }

    /// The kernel was told of the node once more.
    pub fn remember(&self, ino: Ino) {
        *locked(&self.core.table.refs).entry(ino).or_default() += 1;
    }

    /// The kernel forgot `count` of them; true when it knows the node no more.
    pub fn forget(&self, ino: Ino, count: u64) -> bool {
        {
            let mut refs = locked(&self.core.table.refs);
            let Some(left) = refs.get_mut(&ino) else {
                return true;
            };
            *left = left.saturating_sub(count);
            if *left > 0 {
                return false;
            }
            refs.remove(&ino);
        }
        self.core.purge_if_nameless(ino);
        true
    }

    /// Nodes with an open writable handle.
    pub fn written_now(&self) -> Vec<Ino> {
        self.core.table.which(OpenNode::has_writer)
    }

    /// True when any handle of the node is open.
    pub fn is_open(&self, ino: Ino) -> bool {
        self.core.table.is(ino, OpenNode::is_open)
    }
}
