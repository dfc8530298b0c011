//! copy_file_range within the store.

use super::live::{Handle, live_stat};
use super::{Result, Tree, io};
use crate::model::Who;
use crate::sys;

impl Tree {
    /// copy_file_range between two files of the store, as a clone where possible. Gives bytes copied.
    pub fn copy(
        &self,
        from: &Handle,
        from_offset: u64,
        to: &Handle,
        to_offset: u64,
        len: u64,
        who: Who,
    ) -> Result<u64> {
        let source = from.inner.file(false)?;
        // Programs ask for more than there is.
        let there = live_stat(&source)?.size.saturating_sub(from_offset);
        self.core.spare(len.min(there))?;
        self.changing(to, false, who.uid != 0, who, &|file| {
            sys::copy_at(&source, from_offset, file, to_offset, len).map_err(io("copying"))
        })
    }
}
