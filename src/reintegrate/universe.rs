//! The three trees side by side, by identity: what the planner is given. Plain values.

use crate::model::{Attrs, Bid, ConflictId, Few, Ino, Name, Stamp, Xattrs};

/// Index of an object in a [`Universe`]; the root is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub usize);

impl Key {
    /// The root directory, the same object on every side.
    pub const ROOT: Key = Key(0);
}

/// One name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The directory.
    pub parent: Key,
    /// The name in it.
    pub name: Name,
}

/// Bytes by equality: equal tokens are equal bytes, over the whole universe. Different tokens are different bytes, or
/// bytes nobody could compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// One version of an object, on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its names there; more than one for hard links. Empty only for the root.
    pub places: Few<Place>,
    /// Attributes (`size`, `ctime` and `atime` do not count in comparisons).
    pub attrs: Attrs,
    /// Target of a symlink.
    pub target: Option<Vec<u8>>,
    /// Extended attributes. `None`: not known, the same as base.
    pub xattrs: Option<Xattrs>,
    /// Bytes of a regular file; `None` for other kinds.
    pub bytes: Option<Token>,
    /// True when the bytes can be read here (base, client) or could be fetched (server).
    pub readable: bool,
}

impl Version {
    /// True when everything a look does not always show is as in `base`: bytes, target, device number, and extended
    /// attributes where they are known.
    pub(super) fn is_all_of(&self, base: &Version) -> bool {
        self.bytes == base.bytes
            && self.target == base.target
            && self.attrs.rdev == base.attrs.rdev
            && (self.xattrs.is_none() || self.travelling().eq(base.travelling()))
    }

    fn travelling(&self) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        let known = self.xattrs.iter().flatten();
        known.filter(|(name, _)| !super::decide::stays_local(name))
    }
}

/// What the server has of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// This.
    Present(Version),
    /// Surely nothing.
    Absent,
    /// Nobody could tell, for this reason: nothing is decided about it.
    Unknown(String),
}

/// One identity across the three trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The base object.
    pub bid: Option<Bid>,
    /// The live node.
    pub ino: Option<Ino>,
    /// What both last agreed on.
    pub base: Option<Version>,
    /// What the live tree has.
    pub client: Option<Version>,
    /// What the lower has.
    pub server: Server,
    /// More names there, in directories that are not listed here and were met by searching for something else. Nothing
    /// is planned for them, as nothing would be without that search; a replacement on the lower takes them along.
    pub further: Few<Place>,
    /// Fingerprint of what the lower has now.
    pub stamp: Option<Stamp>,
    /// A rule keeps it on this host: nothing is decided about it.
    pub stays: bool,
    /// A writer has the live file open: bytes are pulled later.
    pub busy: bool,
    /// A conflict already stored for it, when neither side changed since: planned again as the same conflict.
    pub standing: Option<ConflictId>,
    /// Live revision the client version was read at.
    pub rev: u64,
    /// For directories: every name below is known on the server side (listed completely in this scan).
    pub listed: bool,
}

/// Everything the planner is given.
#[derive(Clone, Debug, Default)]
pub struct Universe {
    /// Objects by [`Key`].
    pub objects: Vec<Object>,
    /// True when the server is known to tell names by case.
    pub case_sensitive: bool,
    /// What is not among the objects because all three sides have it alike.
    pub left_out: LeftOut,
}

/// Objects that all three sides have alike, and under the same names: nothing can be decided about them, and nothing decided about the
/// others reaches them. Only their number counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub known: usize,
    /// How many of them have a name in the root.
    pub in_root: usize,
}

impl Universe {
    /// The object of a key.
    pub fn get(&self, key: Key) -> &Object {
        &self.objects[key.0]
    }
}
