//! The fingerprint by which we know a lower object again.

use serde::{Deserialize, Serialize};

use super::node::{Kind, Time};

/// BLAKE3 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hash(pub [u8; 32]);

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What we saw of a lower object at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Type.
    pub kind: Kind,
    /// Bytes; 0 for directories.
    pub size: u64,
    /// Last change of the bytes, by the server's clock.
    pub mtime: Time,
    /// Last change of anything, by the server's clock.
    pub ctime: Time,
    /// The lower's inode number.
    pub ino: u64,
    /// Time of birth, where the lower gives one.
    pub btime: Option<Time>,
    /// Hash of the bytes, if they were read.
    pub hash: Option<Hash>,
    /// True when `mtime` was younger than 2 s of server time at reading: an equal stamp may hide a later write.
    pub racy: bool,
}

/// Which fields of a stamp this lower gives stably. Fields outside do not count when comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mask {
    /// Inode numbers stay over remounts and renames.
    pub ino: bool,
    /// ctime moves with every change and only then.
    pub ctime: bool,
    /// Times of birth are given.
    pub btime: bool,
    /// Steps of times in nanoseconds: 1, or 100 on SMB.
    pub granularity: u32,
}

impl Mask {
    /// A local file system: every field counts.
    pub const ALL: Mask = Mask {
        ino: true,
        ctime: true,
        btime: true,
        granularity: 1,
    };
}

/// Outcome of comparing two stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sameness {
    /// The same object with the same bytes and attributes.
    Same,
    /// Nothing tells them apart, but too few fields count (or one is racy) to be sure.
    Unverified,
    /// Bytes surely the same (equal hash, or all that changes with bytes is equal), attributes changed.
    Attributes,
    /// Different, or the same object written since.
    Different,
}

impl Stamp {
    /// True when both may be one object: same kind, and number and birth agree where they count.
    pub fn same_object(&self, other: &Stamp, mask: &Mask) -> bool {
        let born = match (self.btime, other.btime) {
            (Some(a), Some(b)) if mask.btime => a == b,
            _ => true,
        };
        self.kind == other.kind && born && (!mask.ino || self.ino == other.ino)
    }

    /// Compares what we remember (`self`) with what is there `now`, by the fields of `mask`.
    /// A moved ctime with equal size and mtime is [`Sameness::Different`] for files unless both hashes are known
    /// (a program may write and put mtime back), and [`Sameness::Attributes`] for everything else.
    pub fn compare(&self, now: &Stamp, mask: &Mask) -> Sameness {
        if !self.same_object(now, mask) {
            return Sameness::Different;
        }
        if let (Some(a), Some(b)) = (self.hash, now.hash) {
            let calm = times_equal(self.mtime, now.mtime, mask)
                && (!mask.ctime || times_equal(self.ctime, now.ctime, mask));
            return match (a == b, calm) {
                (false, _) => Sameness::Different,
                (true, true) => Sameness::Same,
                (true, false) => Sameness::Attributes,
            };
        }
        let bytes_calm = self.size == now.size && times_equal(self.mtime, now.mtime, mask);
        if self.kind == Kind::File && !bytes_calm {
            return Sameness::Different;
        }
        if mask.ctime && !times_equal(self.ctime, now.ctime, mask) {
            return if self.kind == Kind::File {
                Sameness::Different
            } else {
                Sameness::Attributes
            };
        }
        if !bytes_calm {
            return Sameness::Attributes;
        }
        if self.racy || !mask.ctime {
            Sameness::Unverified
        } else {
            Sameness::Same
        }
    }
}

fn times_equal(a: Time, b: Time, mask: &Mask) -> bool {
    let step = mask.granularity.max(1);
    a.sec == b.sec && a.nsec / step == b.nsec / step
}
