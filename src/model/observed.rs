//! What one look at the lower told.

use serde::{Deserialize, Serialize};

use super::name::Name;
use super::node::{Attrs, Xattrs};
use super::stamp::Stamp;

/// One lower object as seen at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Its fingerprint.
    pub stamp: Stamp,
    /// Its attributes.
    pub attrs: Attrs,
    /// Number of names.
    pub nlink: u32,
    /// True when it is on the root's device, so that its number may be taken over.
    pub same_device: bool,
    /// Target of a symlink.
    pub target: Option<Vec<u8>>,
    /// Extended attributes, when they were asked for and the lower has any notion of them.
    pub xattrs: Option<Xattrs>,
}

/// One entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub seen: Observed,
}

/// A whole directory as seen at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The directory itself, looked at before its entries were read.
    pub dir: Observed,
    /// Its entries, less `.driftfs` and the silly files of network clients (`.nfs…`, `.smb…`, `.fuse_hidden…`).
    pub entries: Vec<Listed>,
    /// Entries that could not be looked at, with the reason: they are *unknown*, never absent.
    pub unknown: Vec<(Name, String)>,
}
