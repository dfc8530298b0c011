//! Between columns and words: everything read is checked, and every structured blob begins with a version byte.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::open::MetaError;
use crate::model::{Hash, Name, RelPath};

type Result<T> = std::result::Result<T, MetaError>;

/// The only version of blobs so far.
const BLOB: u8 = 1;

/// Says what was tried when SQLite says no.
pub(super) fn sql(what: &'static str) -> impl Fn(rusqlite::Error) -> MetaError {
    move |source| {
        let full = match source.sqlite_error() {
            Some(error) => {
                error.code == rusqlite::ErrorCode::DiskFull
                    || error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
            }
            None => false,
        };
        if full {
            MetaError::Full
        } else {
            MetaError::Sql { what, source }
        }
    }
}

/// A value as a versioned blob.
pub(super) fn blob<T: Serialize>(value: &T) -> Vec<u8> {
    // Serializing plain values to memory has no way to fail.
    postcard::to_extend(value, vec![BLOB]).expect("plain values always serialize")
}

/// One row being read, with the table it is from for messages.
pub(super) struct Cols<'r> {
    pub(super) row: &'r rusqlite::Row<'r>,
    pub(super) table: &'static str,
}

impl Cols<'_> {
    fn damaged(&self, why: impl ToString) -> MetaError {
        MetaError::Damaged {
            table: self.table,
            why: why.to_string(),
        }
    }

    /// Any type SQLite gives directly.
    pub(super) fn get<T: rusqlite::types::FromSql>(&self, at: usize) -> Result<T> {
        self.row.get(at).map_err(|e| self.damaged(e))
    }

    pub(super) fn number(&self, at: usize) -> Result<u64> {
        self.get::<i64>(at).map(|n| n as u64)
    }

    pub(super) fn maybe(&self, at: usize) -> Result<Option<u64>> {
        Ok(self.get::<Option<i64>>(at)?.map(|n| n as u64))
    }

    pub(super) fn small(&self, at: usize) -> Result<u32> {
        u32::try_from(self.get::<i64>(at)?).map_err(|e| self.damaged(e))
    }

    pub(super) fn name(&self, at: usize) -> Result<Name> {
        Name::new(&self.get::<Vec<u8>>(at)?).map_err(|e| self.damaged(e))
    }

    pub(super) fn path(&self, at: usize) -> Result<RelPath> {
        RelPath::parse(&self.get::<Vec<u8>>(at)?).map_err(|e| self.damaged(e))
    }

    pub(super) fn hash(&self, at: usize) -> Result<Option<Hash>> {
        match self.get::<Option<Vec<u8>>>(at)? {
            None => Ok(None),
            Some(bytes) => {
                let bytes = bytes
                    .try_into()
                    .map_err(|_| self.damaged("a hash has not 32 bytes"))?;
                Ok(Some(Hash(bytes)))
            }
        }
    }

    pub(super) fn blob<T: DeserializeOwned>(&self, at: usize) -> Result<T> {
        let value = self.maybe_blob(at)?;
        value.ok_or_else(|| self.damaged("a value is missing"))
    }

    pub(super) fn maybe_blob<T: DeserializeOwned>(&self, at: usize) -> Result<Option<T>> {
        match self.get::<Option<Vec<u8>>>(at)?.as_deref() {
            None => Ok(None),
            Some([BLOB, body @ ..]) => postcard::from_bytes(body)
                .map(Some)
                .map_err(|e| self.damaged(e)),
            Some([version, ..]) => {
                Err(self.damaged(format!("a value has the unknown version {version}")))
            }
            Some([]) => Err(self.damaged("a value is empty")),
        }
    }
}
