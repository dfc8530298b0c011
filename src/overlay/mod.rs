//! What one file operation does.
//!
//! Every operation answers at once from what is here. One that needs the server first gives
//! [`OverlayError::Wait`] with the [`Need`]; whoever can wait (a pool thread of the `fuse` room, or
//! [`Overlay::patiently`]) calls [`Overlay::satisfy`] and then the operation again. So nothing here waits for the
//! server while it is half way through a change, and a wait can be given up at any moment.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::fetch::Fetch;
use crate::link::{Link, State};
use crate::model::{Attrs, Ino, Name, Who};
use crate::tree::{Seen, Tree};
use crate::variants::{HIDDEN, Variants};

mod attr;
mod create;
mod dir;
mod error;
mod file;
mod fresh;
mod handles;
mod hidden;
mod hooks;
mod lookup;
mod need;
mod part;
mod remove;
mod rename;
mod statfs;
mod told;
mod views;
mod why;
mod xattr;

pub use crate::meta::MetaError;
pub use crate::tree::{NewNode, RenameMode, Seek, SetAttrs, SetTime, SetXattr, TreeError};
pub use dir::DirItem;
pub use error::{OverlayError, Result};
pub use file::{HowToOpen, Opened};
pub use hooks::Hooks;
pub use need::{Need, given_up};
pub use told::{Asked, Keep, News};

/// Where driftfs keeps its own files in the lower's root; never shown.
pub const OWN: &[u8] = b".driftfs";

/// One call of one program.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// On whose behalf.
    pub who: Who,
    /// What it takes from the mode of what it makes (where no default list says more).
    pub umask: u32,
    /// It asked not to be kept waiting (`O_NONBLOCK`).
    pub nonblock: bool,
    /// The server was looked at on behalf of this call, or that was given up.
    pub looked: bool,
    /// What this call wrote was sent to the server, or that was given up.
    pub pushed: bool,
    /// No more waiting: what is not here counts as out of reach.
    pub gave_up: bool,
}

impl Call {
    /// A call of `who` that may wait.
    pub fn of(who: Who) -> Call {
        Call {
            who,
            umask: 0,
            nonblock: false,
            looked: false,
            pushed: false,
            gave_up: false,
        }
    }
}

/// A node as `stat` shows it.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// Its number.
    pub ino: Ino,
    /// Its attributes.
    pub attrs: Attrs,
    /// Names.
    pub nlink: u32,
    /// 512-byte blocks.
    pub blocks: u64,
}

impl From<&Seen> for Stat {
    fn from(seen: &Seen) -> Stat {
        Stat {
            ino: seen.node.ino,
            attrs: seen.node.attrs,
            nlink: seen.node.nlink,
            blocks: seen.blocks,
        }
    }
}

/// What the mount needs to know about itself.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where it is mounted.
    pub mountpoint: std::path::PathBuf,
    /// The state directory, as the root's `user.drift.state-dir` tells it.
    pub state_dir: std::path::PathBuf,
    /// Serve no extended attributes besides our own (`-o noxattr`).
    pub noxattr: bool,
}

/// The operations.
pub struct Overlay {
    tree: Arc<Tree>,
    fetch: Arc<Fetch>,
    link: Arc<Link>,
    variants: Variants,
    hooks: Hooks,
    settings: Settings,
    views: views::Views<hidden::Shown>,
    fresh: fresh::Fresh,
    told: Arc<told::Told>,
    whys: why::Whys,
    open: handles::Handles,
    /// Listings of what `.drift` shows that somebody began to read.
    listed: Mutex<HashMap<Ino, Arc<hidden::Listing>>>,
    /// Files may be opened in passthrough: set once the kernel agreed.
    passthrough: AtomicBool,
}

impl Overlay {
    /// Joins the parts.
    pub fn new(
        tree: Arc<Tree>,
        fetch: Arc<Fetch>,
        link: Arc<Link>,
        hooks: Hooks,
        settings: Settings,
    ) -> Overlay {
        let told = Arc::new(told::Told::default());
        let (news, of, to) = (
            Arc::clone(&told),
            Arc::downgrade(&tree),
            Arc::downgrade(&fetch),
        );
        tree.tell(move |changed| {
            if let (Some(tree), Some(fetch)) = (of.upgrade(), to.upgrade()) {
                fetch.push_stale(told::stale(&tree, &news, changed));
            }
        });
        Overlay {
            variants: Variants::new(Arc::clone(&tree)),
            tree,
            fetch,
            link,
            hooks,
            settings,
            views: views::Views::default(),
            fresh: fresh::Fresh::default(),
            told,
            whys: why::Whys::default(),
            open: handles::Handles::default(),
            listed: Mutex::default(),
            passthrough: AtomicBool::new(false),
        }
    }

    /// How long an answer about `dir`, its names and what they name counts: before the server is looked at again, and
    /// before the kernel asks again.
    ///
    /// In a directory that was made here somebody else changes something only by making one of that name too: it counts as
    /// long as the nearest one around it that the server has.
    pub fn fresh_for(&self, dir: Ino) -> Duration {
        let mut at = dir;
        while self.link.state() == State::Connected {
            if let Some(told) = self.fetch.watched_for(at) {
                return told;
            }
            match self.around_if_made_here(at) {
                Some(around) => at = around,
                None => break,
            }
        }
        self.usual_time()
    }

    fn around_if_made_here(&self, dir: Ino) -> Option<Ino> {
        let around = self.tree.meta().quick(|rows| {
            let made_here = rows.node(dir)?.is_some_and(|node| node.bid.is_none());
            if made_here { rows.home(dir) } else { Ok(None) }
        });
        around.ok()?
    }

    /// How long the kernel may keep the attributes of a node: as long as an answer about its directory counts.
    pub fn keep_for(&self, ino: Ino) -> Duration {
        match self.directory_of(ino) {
            Ok(Some(dir)) => self.fresh_for(dir),
            // Without a name nobody else can change it.
            Ok(None) => self.usual_time(),
            Err(_) => Duration::ZERO,
        }
    }

    /// The kernel dropped `count` references to a node; true when it has none left.
    pub fn forget(&self, ino: Ino, count: u64) -> bool {
        if hidden::is_shown(ino) {
            self.views.forget(ino, count)
        } else {
            self.tree.forget(ino, count)
        }
    }

    /// Refuses names that are ours, and names in what `.drift` shows.
    fn check_name(&self, parent: Ino, name: &Name) -> Result<()> {
        self.check_live(parent)?;
        if name.bytes() == HIDDEN.as_bytes() || (parent == Ino::ROOT && name.bytes() == OWN) {
            return Err(OverlayError::Reserved(name.clone()));
        }
        Ok(())
    }

    /// Hands a node to the kernel, which then holds a reference.
    fn hand_over(&self, seen: &Seen) -> Stat {
        self.tree.remember(seen.node.ino);
        Stat::from(seen)
    }
}
