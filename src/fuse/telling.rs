//! Replies that the kernel may keep for a time.

use std::fs::File;
use std::sync::Arc;

use fuser::{ReplyAttr, ReplyCreate, ReplyEntry};

use super::backing::Backings;
use super::replies;
use crate::model::{Ino, Name};
use crate::overlay::{Asked, Opened, Overlay, OverlayError, Result, Stat, TreeError};

/// Gives one reply with the time it may be kept.
pub(super) struct Telling {
    overlay: Arc<Overlay>,
    asked: Asked,
}

impl Telling {
    /// To be made before anything is read for the reply.
    pub(super) fn new(overlay: &Arc<Overlay>) -> Telling {
        Telling {
            overlay: Arc::clone(overlay),
            asked: overlay.asked(),
        }
    }

    /// A node met in `dir`, or why not.
    pub(super) fn entry(self, reply: ReplyEntry, dir: Ino, result: Result<Stat>) {
        match result {
            Ok(stat) => self.overlay.answer(self.asked, (dir, &stat), |keep| {
                replies::entry(reply, keep, &stat);
            }),
            Err(error) => replies::refused_entry(reply, &error),
        }
    }

    /// A node looked up, a certain "there is none" that the kernel may keep too, or why not.
    pub(super) fn found(
        self,
        reply: ReplyEntry,
        (dir, name): (Ino, Option<Name>),
        result: Result<Stat>,
    ) {
        match (result, name) {
            (Err(OverlayError::Tree(TreeError::NotFound)), Some(name)) => {
                self.overlay
                    .answer_missing(self.asked, (dir, &name), |time| {
                        replies::missing(reply, time);
                    });
            }
            (result, _) => self.entry(reply, dir, result),
        }
    }

    /// Attributes, or why not.
    pub(super) fn attributes(self, reply: ReplyAttr, result: Result<Stat>) {
        match result {
            Ok(stat) => self.overlay.answer_attributes(self.asked, &stat, |time| {
                replies::attr(reply, time, &stat);
            }),
            Err(error) => replies::refused_attr(reply, &error),
        }
    }

    /// A file made in `dir` and opened, or why not.
    pub(super) fn created(
        self,
        reply: ReplyCreate,
        backings: &Backings,
        dir: Ino,
        result: Result<(Stat, Opened)>,
    ) {
        let open = |file: File| reply.open_backing(file);
        let passed = result.and_then(|(stat, opened)| {
            Ok((stat, opened, backings.find(stat.ino, &opened, &open)?))
        });
        match passed {
            Ok((stat, opened, backing)) => self.overlay.answer(self.asked, (dir, &stat), |keep| {
                // One time for both. Bytes in it: the file came up meanwhile, and somebody else made it.
                let made = stat.attrs.size == 0;
                let time = if made { keep.of_new() } else { keep.attributes };
                replies::created(reply, time, &stat, &opened, backing.as_deref());
            }),
            Err(error) => replies::refused_create(reply, &error),
        }
    }
}
