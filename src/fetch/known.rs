//! Is a lower object one we know? Numbers are used again at once on some servers, so a number alone proves nothing.

use crate::meta::{MetaError, Rows};
use crate::model::{Bid, Kind, Mask, Stamp};

/// True when what the server has now (`seen`) is surely the object we remember (`base`), perhaps changed since: the same
/// number and kind, and the same time of birth; where births are not given, `same_place`, a directory, or equal size and
/// mtime must do.
pub fn same_identity(base: &Stamp, seen: &Stamp, mask: &Mask, same_place: bool) -> bool {
    if !mask.ino || base.ino != seen.ino || base.kind != seen.kind {
        return false;
    }
    if let (true, Some(before), Some(now)) = (mask.btime, base.btime, seen.btime) {
        return before == now;
    }
    let step = mask.granularity.max(1);
    let calm = base.size == seen.size
        && base.mtime.sec == seen.mtime.sec
        && base.mtime.nsec / step == seen.mtime.nsec / step;
    same_place || base.kind == Kind::Dir || calm
}

/// The base object that `seen`, met at a place base does not know, is.
pub fn is_known(rows: &Rows<'_>, seen: &Stamp, mask: &Mask) -> Result<Option<Bid>, MetaError> {
    for bid in rows.base_of_lower(seen.ino)? {
        let base = rows.base(bid)?;
        if base.is_some_and(|base| same_identity(&base.stamp, seen, mask, false)) {
            return Ok(Some(bid));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    fn stamp(kind: Kind, ino: u64, size: u64, born: Option<i64>) -> Stamp {
        Stamp {
            kind,
            size,
            mtime: Time { sec: 5, nsec: 0 },
            ctime: Time { sec: 5, nsec: 0 },
            ino,
            btime: born.map(|sec| Time { sec, nsec: 0 }),
            hash: None,
            racy: false,
        }
    }

    #[test]
    fn a_number_used_again_is_another_object() {
        let old = stamp(Kind::File, 9, 3, Some(1));
        let reborn = stamp(Kind::File, 9, 3, Some(2));
        assert!(!same_identity(&old, &reborn, &Mask::ALL, true));
        let unborn = stamp(Kind::File, 9, 4, None);
        assert!(!same_identity(&old, &unborn, &Mask::ALL, false));
        assert!(same_identity(&old, &unborn, &Mask::ALL, true));
    }

    #[test]
    fn without_stable_numbers_nothing_is_known_by_number() {
        let mask = Mask {
            ino: false,
            ..Mask::ALL
        };
        let old = stamp(Kind::Dir, 9, 0, Some(1));
        assert!(!same_identity(&old, &old, &mask, true));
    }

    #[test]
    fn a_file_written_in_place_keeps_its_identity_by_birth() {
        let old = stamp(Kind::File, 9, 3, Some(1));
        let grown = stamp(Kind::File, 9, 300, Some(1));
        assert!(same_identity(&old, &grown, &Mask::ALL, false));
    }
}
