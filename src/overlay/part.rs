//! Large files of which only parts are here: opened at once, read from what came. What needs the whole file waits for it
//! when it is first needed, and from then on the handle is one of a live file.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use super::handles::{Body, LiveFile, Open};
use super::{Call, Need, Opened, Overlay, OverlayError, Result, TreeError};
use crate::fetch::{FetchError, Part, PartRead};
use crate::model::{Ino, Who};
use crate::tree::InParts;

/// A file that was opened while only parts of it were here.
pub(super) struct PartFile {
    /// The kernel takes a node's openings in one mode only.
    _served: InParts,
    part: Part,
    write: bool,
    who: Who,
    /// The live file, once the whole is here and somebody needed it.
    live: OnceLock<LiveFile>,
}

impl PartFile {
    /// The live file, if this handle has come to it.
    pub(super) fn live(&self) -> Option<&LiveFile> {
        self.live.get()
    }

    /// The size that reading ends at.
    pub(super) fn size(&self) -> u64 {
        self.part.size()
    }
}

impl Overlay {
    /// Opens a file of which parts are here; `None` when there are none.
    pub(super) fn open_in_parts(&self, call: &Call, ino: Ino, write: bool) -> Option<Opened> {
        let file = PartFile {
            _served: self.tree.open_in_parts(ino)?,
            part: self.fetch.open_part(ino)?,
            write,
            who: call.who,
            live: OnceLock::new(),
        };
        Some(Opened {
            handle: self.open.add(ino, Body::Part(file)),
            keep_cache: false,
            passthrough: false,
        })
    }

    /// What an open misses: enough to begin with, where reading needs all that it reads.
    pub(super) fn missing_to_open(&self, call: &Call, error: TreeError) -> OverlayError {
        match self.missing(call, error) {
            OverlayError::Wait(Need::Bytes(ino)) => OverlayError::Wait(Need::Begin(ino)),
            other => other,
        }
    }

    /// The live file behind a handle. One of a partial file waits until the whole is here.
    pub(super) fn live_of<'a>(&self, call: &Call, open: &'a Open) -> Result<&'a LiveFile> {
        let Body::Part(file) = &open.body else {
            return open.live();
        };
        self.come_to_live(open, file)
            .map_err(|error| self.missing(call, error))
    }

    /// The live file of a file opened in parts, if all of its bytes are here by now.
    fn come_to_live<'a>(
        &self,
        open: &Open,
        file: &'a PartFile,
    ) -> std::result::Result<&'a LiveFile, TreeError> {
        if let Some(live) = file.live() {
            return Ok(live);
        }
        let handle = self.tree.open_file(open.ino, file.write, false, file.who)?;
        // Somebody else may have come first; then this opening ends here.
        Ok(file.live.get_or_init(|| LiveFile {
            silent: false,
            handle,
            wrote: AtomicBool::new(false),
            has_caps: AtomicBool::new(file.write),
        }))
    }

    /// Reads from a file that was opened in parts.
    pub(super) fn read_in_parts(
        &self,
        call: &Call,
        open: &Open,
        file: &PartFile,
        (offset, len): (u64, usize),
    ) -> Result<Vec<u8>> {
        // The tree first: the file may have got other bytes here, by being emptied for one.
        match self.come_to_live(open, file) {
            Ok(live) => {
                let read = self.tree.read(&live.handle, offset, len);
                return read.map_err(|error| self.missing(call, error));
            }
            Err(TreeError::NoBytes(_)) => {}
            Err(error) => return Err(error.into()),
        }
        match file.part.read(offset, len) {
            Ok(PartRead::Bytes(bytes)) => Ok(bytes),
            Ok(PartRead::Missing) => {
                let need = Need::Piece(open.ino, offset, len as u64);
                Err(self.missing_piece(call, need))
            }
            // Whole since the look at the tree; or its parts are gone, and all of it has to come.
            Ok(PartRead::Whole) => {
                let live = self.live_of(call, open)?;
                let read = self.tree.read(&live.handle, offset, len);
                read.map_err(|error| self.missing(call, error))
            }
            Err(FetchError::Tree(error)) => Err(error.into()),
            Err(error) => Err(OverlayError::Refused(error.to_string())),
        }
    }

    fn missing_piece(&self, call: &Call, need: Need) -> OverlayError {
        match self.missing(call, TreeError::NoBytes(need.ino())) {
            OverlayError::Wait(_) => OverlayError::Wait(need),
            other => other,
        }
    }
}
