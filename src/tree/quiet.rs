//! Looking at a live file that somebody may write at this moment.
//!
//! Where clocks tick coarsely a write right after a stat may leave the stat as it was. A stat recorded while such a writer
//! may exist is therefore made *quiet*: the live file's time is set back by one nanosecond, so that every later write moves
//! it. The row keeps the time as it was.

use std::fs::File;
use std::time::Duration;

use super::live::live_stat;
use super::{Result, io};
use crate::model::{LiveStat, Time};
use crate::sys;

/// A time younger than this may be given to a write that comes now: ticks are at most 10 ms.
const TICK: Duration = Duration::from_millis(20);
/// The same where only whole seconds (or pairs of them) are kept.
const WHOLE: Duration = Duration::from_secs(2);

/// A stat of a live file.
#[derive(Clone, Copy)]
pub(super) struct Looked {
    /// As the last write left it: the times people see.
    pub(super) written: LiveStat,
    /// What the row remembers: every later write makes the live file differ from it.
    pub(super) kept: LiveStat,
}

impl Looked {
    /// For live files that only the daemon writes.
    pub(super) fn plain(stat: LiveStat) -> Looked {
        Looked {
            written: stat,
            kept: stat,
        }
    }
}

/// Looks at a live file that somebody may write at this moment.
pub(super) fn look_quietly(file: &File) -> Result<Looked> {
    let mut stat = live_stat(file)?;
    for _ in 0..3 {
        if !is_recent(stat.mtime, sys::now()) {
            return Ok(Looked::plain(stat));
        }
        let back = just_before(stat.mtime);
        sys::set_mtime(file, back).map_err(io("setting the time of a file"))?;
        let after = live_stat(file)?;
        if after.mtime < stat.mtime {
            let written = LiveStat {
                size: after.size,
                ..stat
            };
            return Ok(Looked {
                written,
                kept: after,
            });
        }
        // A write came in between.
        stat = after;
    }
    // Written all the time: a stat that no file has, so that the next look finds it changed.
    let kept = LiveStat {
        ctime: Time::default(),
        ..stat
    };
    Ok(Looked {
        written: stat,
        kept,
    })
}

fn is_recent(mtime: Time, now: Time) -> bool {
    let window = if mtime.nsec == 0 { WHOLE } else { TICK };
    let nanos = |time: Time| i128::from(time.sec) * 1_000_000_000 + i128::from(time.nsec);
    (nanos(now) - nanos(mtime)).unsigned_abs() <= window.as_nanos()
}

fn just_before(time: Time) -> Time {
    match time.nsec.checked_sub(1) {
        Some(nsec) => Time { nsec, ..time },
        None => Time {
            sec: time.sec - 1,
            nsec: 999_999_999,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn at(sec: i64, nsec: u32) -> Time {
        Time { sec, nsec }
    }

    #[test]
    fn one_nanosecond_before() {
        assert_eq!(just_before(at(5, 7)), at(5, 6));
        assert_eq!(just_before(at(5, 0)), at(4, 999_999_999));
    }

    #[test]
    fn recent_is_what_a_write_now_could_be_given() {
        let now = at(100, 500_000_000);
        assert!(is_recent(at(100, 495_000_000), now));
        assert!(is_recent(at(100, 505_000_000), now));
        assert!(!is_recent(at(100, 400_000_000), now));
        // A disk that keeps whole seconds.
        assert!(is_recent(at(99, 0), now));
        assert!(!is_recent(at(97, 0), now));
    }

    #[test]
    fn every_write_after_a_quiet_look_is_seen() {
        let file = tempfile::tempfile().unwrap();
        for n in 0..200 {
            file.write_all_at(&[n], 0).unwrap();
            let looked = look_quietly(&file).unwrap();
            file.write_all_at(&[n + 1], 0).unwrap();
            assert_ne!(live_stat(&file).unwrap(), looked.kept);
        }
    }
}
