//! Giving the kernel a piece of a listing.

use std::ffi::OsStr;
use std::sync::Arc;

use fuser::{INodeNo, ReplyDirectory, ReplyDirectoryPlus};

use super::convert::{file_attr, file_type};
use super::errno::errno;
use super::listings::Listings;
use super::parked::guarded;
use super::replies;
use crate::model::Ino;
use crate::overlay::{Call, DirItem, Overlay, OverlayError, given_up};

/// A reply that entries are put into.
pub(super) trait Entries: Send + 'static {
    /// The kernel holds a reference to each entry it takes.
    const COUNTED: bool;
    /// Puts one in; true when there was no room for it.
    fn put(&mut self, overlay: &Overlay, dir: Ino, item: &DirItem) -> bool;
    /// What was put in is the answer.
    fn give(self);
    /// There is none.
    fn refuse(self, error: &OverlayError);
}

impl Entries for ReplyDirectory {
    const COUNTED: bool = false;

    fn put(&mut self, _: &Overlay, _: Ino, item: &DirItem) -> bool {
        let kind = file_type(item.stat.attrs.kind);
        self.add(INodeNo(item.stat.ino.0), item.cookie, kind, name_of(item))
    }

    fn give(self) {
        self.ok();
    }

    fn refuse(self, error: &OverlayError) {
        self.error(errno(error));
    }
}

impl Entries for ReplyDirectoryPlus {
    const COUNTED: bool = true;

    fn put(&mut self, overlay: &Overlay, dir: Ino, item: &DirItem) -> bool {
        let attr = file_attr(&item.stat);
        let time = overlay.keep_at(dir, &item.stat);
        let time = replies::keep(&item.stat, time.attributes);
        let ino = INodeNo(item.stat.ino.0);
        self.add(
            ino,
            item.cookie,
            name_of(item),
            &time,
            &attr,
            replies::GENERATION,
        )
    }

    fn give(self) {
        self.ok();
    }

    fn refuse(self, error: &OverlayError) {
        self.error(errno(error));
    }
}

/// What gives listings.
#[derive(Clone)]
pub(super) struct Listing {
    overlay: Arc<Overlay>,
    listings: Arc<Listings>,
}

impl Listing {
    pub(super) fn new(overlay: &Arc<Overlay>, listings: &Arc<Listings>) -> Listing {
        Listing {
            overlay: Arc::clone(overlay),
            listings: Arc::clone(listings),
        }
    }

    /// Answers with the entries of `dir` after `after`, without waiting for the server.
    pub(super) fn answer<R: Entries>(&self, call: Call, dir: Ino, after: u64, mut reply: R) {
        let _answering = self.overlay.answering();
        let mut take = |item: &DirItem| !reply.put(&self.overlay, dir, item);
        let call = given_up(call);
        let overlay = &self.overlay;
        match guarded(|| overlay.readdir(&call, dir, after, R::COUNTED, &mut take)) {
            Ok(()) => {
                self.listings.given(dir, overlay.fresh_for(dir));
                reply.give();
            }
            Err(error) => reply.refuse(&error),
        }
    }
}

fn name_of(item: &DirItem) -> &OsStr {
    match (&item.name, item.cookie) {
        (Some(name), _) => name.os(),
        (None, 1) => OsStr::new("."),
        (None, _) => OsStr::new(".."),
    }
}
