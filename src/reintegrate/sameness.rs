//! Whether what the server shows of one object is what base has of it.

use super::decide::stays_local;
use super::sifting::Sift;
use crate::fetch::same_identity;
use crate::meta::{BaseNode, MetaError, Rows};
use crate::model::{Bid, Kind, Observed, Sameness, Xattrs};

/// What base has at the name of an entry.
pub(super) struct Match {
    pub(super) bid: Bid,
    /// It is the same object.
    pub(super) sure: bool,
    /// It is as base says.
    pub(super) quiet: bool,
    /// Its extended attributes need not be asked for.
    pub(super) calm: bool,
}

impl Sift<'_> {
    /// What the object at a name of base is.
    pub(super) fn compare_one(&self, base: &BaseNode, seen: &Observed) -> Match {
        let sure = if self.mask.ino {
            same_identity(&base.stamp, &seen.stamp, &self.mask, true)
        } else {
            base.stamp.kind == seen.stamp.kind
        };
        let disputed = self.disputed.contains(&base.bid);
        let alone = seen.attrs.kind == Kind::Dir || seen.nlink == 1;
        let alone = alone && !self.linked.contains(&base.bid);
        Match {
            bid: base.bid,
            sure,
            quiet: sure && alone && !disputed && self.is_as_base(base, seen),
            calm: self.is_calm_beside(base, seen),
        }
    }

    /// True when its extended attributes need not be asked for: it is the object base has, as it was.
    pub(super) fn is_calm_beside(&self, base: &BaseNode, seen: &Observed) -> bool {
        base.stamp.ino == seen.stamp.ino
            && !self.disputed.contains(&base.bid)
            && self.same_stamp(base, seen)
    }

    fn same_stamp(&self, base: &BaseNode, seen: &Observed) -> bool {
        let sameness = base.stamp.compare(&seen.stamp, &self.mask);
        matches!(sameness, Sameness::Same | Sameness::Unverified)
    }

    /// True when nothing at all would be decided about it as far as the server goes.
    pub(super) fn is_as_base(&self, base: &BaseNode, seen: &Observed) -> bool {
        let (a, b) = (&base.attrs, &seen.attrs);
        let kind = b.kind;
        let certain = !base.stamp.racy && !seen.stamp.racy;
        let moded = kind == Kind::Symlink || a.mode == b.mode;
        let timed = kind != Kind::File || a.mtime == b.mtime;
        let numbered = !matches!(kind, Kind::Char | Kind::Block) || a.rdev == b.rdev;
        certain
            && a.kind == kind
            && self.same_stamp(base, seen)
            && (moded && timed && numbered)
            && (a.uid, a.gid) == (b.uid, b.gid)
            && base.target == seen.target
            && same_xattrs(base.xattrs.as_ref(), seen.xattrs.as_ref())
    }

    /// True when base knows it, at whatever place, as it is.
    pub(super) fn is_as_known(&self, rows: &Rows<'_>, seen: &Observed) -> Result<bool, MetaError> {
        for bid in rows.base_of_lower(seen.stamp.ino)? {
            // Its fingerprint may be base's by now, while its attributes are not.
            if self.disputed.contains(&bid) {
                continue;
            }
            let base = rows.base(bid)?;
            if base.is_some_and(|base| self.same_stamp(&base, seen)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// True when what travels of the server's extended attributes, where they are known, is what base has.
fn same_xattrs(base: Option<&Xattrs>, seen: Option<&Xattrs>) -> bool {
    fn travelling(all: Option<&Xattrs>) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        let all = all.into_iter().flatten();
        all.filter(|(name, _)| !stays_local(name))
    }
    seen.is_none() || travelling(base).eq(travelling(seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_extended_attributes_that_travel_are_compared() {
        let set = |name: &str| Xattrs::from([(name.as_bytes().to_vec(), b"x".to_vec())]);
        let (user, label) = (set("user.a"), set("security.a"));
        assert!(same_xattrs(Some(&user), None));
        assert!(same_xattrs(None, Some(&label)));
        assert!(!same_xattrs(None, Some(&user)));
        assert!(!same_xattrs(Some(&user), Some(&label)));
        assert!(same_xattrs(Some(&user), Some(&user)));
    }
}
