//! Replacing an object that must be the one expected, on servers that have no such call.
//!
//! Three ways, best first. *Exchange*: both change places in one step, and what came out is compared; nothing can be lost.
//! *Link first*: the old object gets a second name in slot `old`, one last look, then a rename over it; a version that
//! somebody renames in within that last round trip is lost, and the ctimes afterwards tell. *Moves*: the old object is
//! moved out, then the new one in; nothing is lost, and for a moment the name is free.

use super::attempt::{self, Tx};
use super::root::{Family, Opened};
use super::{Place, expect, moves, publish, take};
use crate::lower::error::{is, is_unsupported, meaning, no};
use crate::lower::{Answer, Expect, LowerError, Slot};
use crate::model::{Kind, Observed, Time};
use crate::sys::{self, dir::Onto};

/// Replaces what is at `place` by slot `new`, keeping it in slot `old`. True: a version was perhaps lost.
pub(super) fn replace(
    opened: &Opened,
    tx: &Tx,
    place: &Place,
    staged: &Observed,
    wanted: &Expect,
    plain: bool,
) -> Answer<bool> {
    let found = checked(opened, tx, place, wanted)?;
    let job = Job {
        opened,
        tx,
        place,
        staged,
        wanted,
        found: &found,
    };
    if !plain && moves::can_exchange(opened, tx) {
        return job.exchange().map(|()| false);
    }
    let dirs = found.stamp.kind == Kind::Dir || staged.stamp.kind == Kind::Dir;
    if dirs {
        job.moves().map(|()| false)
    } else {
        job.link_first()
    }
}

/// The object to be replaced. Slot `old` may hold a link to it from a try that was interrupted: then our own link has moved
/// its ctime, which does not count, and the link is taken away for a new beginning.
fn checked(opened: &Opened, tx: &Tx, place: &Place, wanted: &Expect) -> Answer<Observed> {
    let Some(old) = tx.look(opened, Slot::Old)? else {
        return expect::present(opened, place, wanted);
    };
    let now = expect::find(opened, place)?;
    let linked = now
        .as_ref()
        .is_some_and(|now| now.stamp.ino == old.stamp.ino && now.nlink > 1 && old.nlink > 1);
    if !linked || old.stamp.kind == Kind::Dir {
        return Err(LowerError::Refused {
            what: format!("replacing {}", place.path),
            errno: no::EEXIST,
            why: "this attempt keeps a replaced object already".into(),
        });
    }
    let found = expect::present_but_for_ctime(opened, place, wanted)?;
    sys::dir::unlink_in(&tx.dir, attempt::name(Slot::Old))
        .map_err(|e| meaning("clear", &tx.path, e))?;
    Ok(expect::find(opened, place)?.unwrap_or(found))
}

struct Job<'a> {
    opened: &'a Opened,
    tx: &'a Tx,
    place: &'a Place,
    staged: &'a Observed,
    wanted: &'a Expect,
    found: &'a Observed,
}

impl Job<'_> {
    fn swap(&self) -> std::io::Result<()> {
        sys::dir::rename_between(
            &self.tx.dir,
            attempt::name(Slot::New),
            &self.place.dir,
            &self.place.name,
            Onto::Exchange,
        )
    }

    fn new_to_old(&self) -> Answer<()> {
        let (new, old) = (attempt::name(Slot::New), attempt::name(Slot::Old));
        sys::dir::rename_between(&self.tx.dir, new, &self.tx.dir, old, Onto::Replace)
            .map_err(|e| meaning("keep", &self.tx.path, e))
    }

    fn changed(&self) -> LowerError {
        match expect::find(self.opened, self.place) {
            Ok(found) => expect::changed(&self.place.path, found),
            Err(e) => e,
        }
    }

    fn exchange(&self) -> Answer<()> {
        match self.swap() {
            Ok(()) => {}
            Err(e) if is(&e, no::ENOENT) => return Err(self.changed()),
            // This pair cannot be exchanged here after all.
            Err(e) if is_unsupported(&e) => return self.moves(),
            Err(e) => return Err(meaning("replace", &self.place.path, e)),
        }
        let out = self.tx.must(self.opened, Slot::New)?;
        if expect::survived(self.opened, self.wanted, self.found, &out) {
            return self.new_to_old();
        }
        self.swap_back()
    }

    /// What came out is not what was to be replaced. It goes back; if somebody took the name once more meanwhile, theirs
    /// stays, and the other is kept in slot `old`, never in `new`, which is removed at the end.
    fn swap_back(&self) -> Answer<()> {
        if self.swap().is_err() {
            let back = moves::onto_nothing(
                &self.tx.dir,
                attempt::name(Slot::New),
                &self.place.dir,
                &self.place.name,
            );
            if back.is_err() {
                self.new_to_old()?;
            }
            return Err(self.changed());
        }
        let back = self.tx.must(self.opened, Slot::New)?;
        if !publish::is_staged(self.staged, &back) {
            let _ = self.swap();
            self.new_to_old()?;
        }
        Err(self.changed())
    }

    fn link_first(&self) -> Answer<bool> {
        let (new, old) = (attempt::name(Slot::New), attempt::name(Slot::Old));
        let (tx, place) = (self.tx, self.place);
        match sys::dir::link_between(&place.dir, &place.name, &tx.dir, old) {
            Ok(()) => {}
            // Also when the name never vanished: the object under it was replaced between finding and linking it.
            Err(e) if is(&e, no::ENOENT) => return Err(self.changed()),
            Err(e) if moves::no_links(&e) => return self.moves().map(|()| false),
            Err(e) => return Err(meaning("keep", &place.path, e)),
        }
        let kept = tx.must(self.opened, Slot::Old)?;
        let last = expect::find(self.opened, place)?;
        let calm = last.as_ref().is_some_and(|last| {
            last.stamp.ino == kept.stamp.ino
                && expect::survived(self.opened, self.wanted, self.found, last)
        });
        if !calm {
            self.drop_link()?;
            return Err(self.changed());
        }
        let renamed =
            sys::dir::rename_between(&tx.dir, new, &place.dir, &place.name, Onto::Replace);
        if let Err(e) = renamed
            && let Err(e) = publish::settle(self.opened, place, self.staged, e)
        {
            if !matches!(e, LowerError::Link { .. }) {
                self.drop_link()?;
            }
            return Err(e);
        }
        self.after_rename(&kept)
    }

    fn drop_link(&self) -> Answer<()> {
        attempt::remove(&self.tx.dir, attempt::name(Slot::Old), Kind::File)
            .map_err(|e| meaning("clear", &self.tx.path, e))
    }

    fn after_rename(&self, kept: &Observed) -> Answer<bool> {
        // Two names of one object: the kernel's rename does nothing then.
        if kept.stamp.ino == self.staged.stamp.ino {
            self.tx.clear_new(self.opened)?;
            return Ok(false);
        }
        let kept = self.tx.must(self.opened, Slot::Old)?;
        let now = expect::find(self.opened, self.place)?;
        Ok(now.is_some_and(|now| self.somebody_between(&kept, &now)))
    }

    /// A rename over an object stamps both with the same moment (the replaced one a tick later at most). A kept object
    /// with an earlier ctime lost its name to somebody else before us, and that one's version is what our rename removed.
    fn somebody_between(&self, kept: &Observed, now: &Observed) -> bool {
        let knows = matches!(self.opened.family, Family::Local | Family::Nfs);
        knows && self.opened.mask.ctime && later_by(now.stamp.ctime, kept.stamp.ctime) > 100_000
    }

    fn moves(&self) -> Answer<()> {
        take::out(
            self.opened,
            self.tx,
            self.place,
            self.wanted,
            self.found,
            Slot::Old,
        )?;
        let named = publish::fresh_name(self.opened, self.tx, self.place, self.staged);
        match named {
            // Outcome unknown, or somebody took the name: what was taken out is kept in the slot.
            Ok(()) | Err(LowerError::Link { .. } | LowerError::Changed { .. }) => named,
            Err(e) => {
                take::put_back(self.tx, self.place, Slot::Old)?;
                Err(e)
            }
        }
    }
}

/// Nanoseconds by which `a` is later than `b`.
fn later_by(a: Time, b: Time) -> i64 {
    let sec = (a.sec - b.sec).clamp(-3600, 3600);
    sec * 1_000_000_000 + i64::from(a.nsec) - i64::from(b.nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_apart_are_counted_over_the_second() {
        let at = |sec, nsec| Time { sec, nsec };
        assert_eq!(later_by(at(10, 1), at(9, 999_999_999)), 2);
        assert_eq!(later_by(at(9, 999_999_999), at(10, 1)), -2);
        assert_eq!(later_by(at(5, 7), at(5, 7)), 0);
    }
}
