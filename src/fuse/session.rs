//! One mount: its options, its threads, its end.

use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};

use super::adaptor::Adaptor;
use super::listings::Listings;
use super::notify;
use super::teller;
use super::waits::Waits;
use crate::overlay::Overlay;
use crate::sys;

/// How a mount is made.
#[derive(Clone, Debug, Default)]
pub struct MountOptions {
    /// Where.
    pub mountpoint: PathBuf,
    /// What `mount` shows as the source: the lower.
    pub source: String,
    /// Other users may use it (always so for root).
    pub allow_other: bool,
    /// Nothing may be changed.
    pub read_only: bool,
    /// Device nodes work (root only).
    pub dev: bool,
    /// Set-id bits work (root only).
    pub suid: bool,
    /// Programs may not be started from it.
    pub noexec: bool,
    /// The kernel reads and writes complete local files itself, where it can.
    pub passthrough: bool,
    /// This program: a part of it tells the kernel what to forget.
    pub program: PathBuf,
    /// Further options, for `fusermount3` or the kernel as they are.
    pub more: Vec<String>,
}

/// A mount in use. Dropping it leaves the mount alone: [`Mounted::unmount`], then [`Mounted::join`].
pub struct Mounted {
    mountpoint: PathBuf,
    /// Never dropped: its drop would unmount whatever is at the mount point by then, perhaps the next daemon's mount.
    session: ManuallyDrop<BackgroundSession>,
    waits: Arc<Waits>,
    stop: Arc<AtomicBool>,
}

/// Mounts, and answers from now on.
pub fn mount(options: &MountOptions, overlay: Arc<Overlay>) -> io::Result<Mounted> {
    let waits = Arc::new(Waits::new(Arc::clone(&overlay)));
    let listings = Arc::new(Listings::default());
    let adaptor = Adaptor::new(
        Arc::clone(&overlay),
        Arc::clone(&waits),
        Arc::clone(&listings),
        options.passthrough,
    );
    let teller = teller::Started::new(&options.program)?;
    let session = Session::new(adaptor, &options.mountpoint, &config(options))?;
    let teller = teller.attach(&session)?;
    let session = ManuallyDrop::new(session.spawn()?);
    listings.tell_by(session.notifier());
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    std::thread::Builder::new()
        .name("driftfs-notify".into())
        .spawn(move || notify::run(&overlay, &listings, teller, &stopped))?;
    Ok(Mounted {
        mountpoint: options.mountpoint.clone(),
        session,
        waits,
        stop,
    })
}

impl Mounted {
    /// Where it is mounted.
    pub fn mountpoint(&self) -> &Path {
        &self.mountpoint
    }

    /// Takes the mount away; fails with EBUSY when it is in use, unless `lazy`.
    pub fn unmount(&self, lazy: bool) -> io::Result<()> {
        sys::unmount(&self.mountpoint, lazy)
    }

    /// True once the kernel has let go: unmounted, and the last file closed.
    pub fn is_ended(&self) -> bool {
        self.session.guard.is_finished()
    }

    /// Waits until the kernel has let go, at most `limit`; true when it has.
    pub fn join(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while !self.is_ended() {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.waits.stop();
        self.stop.store(true, Ordering::Release);
        true
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn config(options: &MountOptions) -> Config {
    let root = sys::is_root();
    let mut list = vec![
        MountOption::FSName(source(&options.source, root)),
        // Not the library's own option: without a helper it would not reach the kernel.
        MountOption::CUSTOM("subtype=driftfs".into()),
        MountOption::DefaultPermissions,
    ];
    let choose = |yes, on, off| if yes { on } else { off };
    list.push(choose(options.dev, MountOption::Dev, MountOption::NoDev));
    list.push(choose(options.suid, MountOption::Suid, MountOption::NoSuid));
    if options.read_only {
        list.push(MountOption::RO);
    }
    if options.noexec {
        list.push(MountOption::NoExec);
    }
    list.extend(options.more.iter().cloned().map(MountOption::CUSTOM));
    let mut config = Config::default();
    config.mount_options = list;
    config.acl = choose_acl(root || options.allow_other);
    config.n_threads = Some(sys::processors().clamp(2, 8));
    config.clone_fd = true;
    config
}

fn choose_acl(all: bool) -> SessionACL {
    if all {
        SessionACL::All
    } else {
        SessionACL::Owner
    }
}

/// The source as `fusermount3` takes it: commas and backslashes escaped. The kernel takes it as it is.
fn source(lower: &str, root: bool) -> String {
    if root {
        lower.to_string()
    } else {
        lower.replace('\\', "\\\\").replace(',', "\\,")
    }
}
