//! The root of the lower, kept open between calls and opened anew at each probe; and what kind of file system it is.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::lower::error::meaning;
use crate::lower::{Answer, LowerError};
use crate::model::{Mask, RelPath, Time};
use crate::sys;

/// Where the root comes from.
enum From {
    /// By path, each time anew.
    Path(PathBuf),
    /// From a handle that was there before something covered the path.
    Handle(File),
}

/// The root, opened when needed.
pub(super) struct Root {
    from: From,
    now: Mutex<Option<Arc<Opened>>>,
}

/// How a file system behaves, by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// A disk of this host: a look is always fresh.
    Local,
    /// NFS.
    Nfs,
    /// SMB: mtime moves at close, times in 100 ns, one read after a change may be torn.
    Smb,
    /// Everything else, FUSE above all.
    Other,
}

/// An open root with what does not change while it is open.
pub(super) struct Opened {
    pub root: File,
    pub dev: u64,
    pub family: Family,
    pub mask: Mask,
    /// True when every change goes through this kernel, which then can tell of it.
    pub told: bool,
    /// Server's clock less ours, in nanoseconds, learnt from a file just written.
    skew: Mutex<Option<i64>>,
    /// Can two names be exchanged in one step? Tried once.
    pub exchange: OnceLock<bool>,
}

impl Root {
    pub fn at(path: PathBuf) -> Root {
        Root {
            from: From::Path(path),
            now: Mutex::new(None),
        }
    }

    pub fn kept(handle: File) -> Root {
        Root {
            from: From::Handle(handle),
            now: Mutex::new(None),
        }
    }

    /// The root as opened last; opened if it never was.
    pub fn opened(&self) -> Answer<Arc<Opened>> {
        let kept = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*kept {
            return Ok(opened.clone());
        }
        drop(kept);
        self.reopen()
    }

    /// Opens the root again. What is under way goes on with the one it has.
    pub fn reopen(&self) -> Answer<Arc<Opened>> {
        let root = match &self.from {
            From::Path(path) => sys::open_dir(path),
            From::Handle(handle) => sys::dir::reopen_dir(handle),
        };
        let opened = root.and_then(Opened::of).map_err(|e| {
            // A share that is not mounted is not a share without files.
            match meaning("open the share at", &RelPath::root(), e) {
                LowerError::NotFound(_) | LowerError::Outside(_) => LowerError::Link {
                    what: "open the share".into(),
                    why: "its directory is not there; is it mounted?".into(),
                },
                other => other,
            }
        })?;
        let mut kept = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.as_ref().filter(|old| old.dev == opened.dev);
        if let Some(skew) = before.and_then(|old| old.skew()) {
            opened.set_skew(skew);
        }
        let opened = Arc::new(opened);
        *kept = Some(opened.clone());
        Ok(opened)
    }
}

impl Opened {
    fn of(root: File) -> std::io::Result<Opened> {
        let stat = sys::statx_of(&root)?;
        let fs_type = sys::statfs_of(&root)?.fs_type;
        let mounted = sys::mounted(stat.mount);
        let word = mounted.as_ref().map_or("", |m| m.fs.as_str());
        let options = mounted.as_ref().map_or("", |m| m.options.as_str());
        let family = family(fs_type, word);
        Ok(Opened {
            dev: stat.dev,
            family,
            mask: mask(family, word, options, stat.btime.is_some()),
            told: family == Family::Local && word != "overlay",
            skew: Mutex::new(None),
            exchange: OnceLock::new(),
            root,
        })
    }

    /// Opens a directory beneath the root.
    pub fn dir(&self, path: &RelPath) -> Answer<File> {
        sys::dir::open_beneath(&self.root, path).map_err(|e| meaning("open", path, e))
    }

    fn skew(&self) -> Option<i64> {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_skew(&self, skew: i64) {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = Some(skew);
    }

    /// Learns the server's clock from the mtime of a file written a moment ago.
    pub fn learn_clock(&self, fresh: Time) {
        self.set_skew(nanos(fresh).saturating_sub(nanos(sys::now())));
    }

    /// True when `mtime` is younger than two seconds by the server's clock (or lies ahead of it): an equal stamp may hide a
    /// later write.
    pub fn is_racy(&self, mtime: Time) -> bool {
        let now = nanos(sys::now()).saturating_add(self.skew().unwrap_or(0));
        now.saturating_sub(nanos(mtime)) < 2_000_000_000
    }
}

fn nanos(time: Time) -> i64 {
    time.sec
        .saturating_mul(1_000_000_000)
        .saturating_add(i64::from(time.nsec))
}

fn family(fs_type: i64, word: &str) -> Family {
    match fs_type {
        0x6969 => Family::Nfs,
        0xfe53_4d42 | 0xff53_4d42 | 0x517b => Family::Smb,
        // ext, XFS, btrfs, tmpfs, f2fs, bcachefs, ZFS, overlayfs
        0xef53 | 0x5846_5342 | 0x9123_683e | 0x0102_1994 | 0xf2f5_2010 | 0xca45_1a4e
        | 0x2fc1_2fc1 | 0x794c_7630 => Family::Local,
        _ => match word {
            "nfs" | "nfs4" => Family::Nfs,
            "cifs" | "smb3" => Family::Smb,
            _ => Family::Other,
        },
    }
}

/// Which fields count. Numbers of unknown FUSE file systems may be made up anew at each mount; sshfs and rclone have no
/// ctime of their own, and sshfs times in seconds.
fn mask(family: Family, word: &str, options: &str, btime: bool) -> Mask {
    let coarse = matches!(word, "fuse.sshfs" | "fuse.rclone");
    let stable_fuse = matches!(
        word,
        "fuse.juicefs" | "fuse.ceph-fuse" | "fuse.glusterfs" | "fuse.mfs"
    );
    let option = |name: &str| options.split(',').any(|o| o == name);
    Mask {
        ino: match family {
            Family::Local | Family::Nfs => true,
            Family::Smb => !option("noserverino"),
            Family::Other => stable_fuse || !word.starts_with("fuse"),
        },
        ctime: !coarse,
        btime: btime && matches!(family, Family::Local | Family::Smb),
        granularity: match family {
            Family::Smb => 100,
            _ if word == "fuse.sshfs" => 1_000_000_000,
            _ => 1,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_made_up_do_not_count() {
        let sshfs = mask(Family::Other, "fuse.sshfs", "rw", false);
        assert!(!sshfs.ino && !sshfs.ctime);
        let smb = mask(Family::Smb, "cifs", "rw,noserverino", true);
        assert!(!smb.ino && smb.btime && smb.granularity == 100);
        assert_eq!(mask(Family::Local, "ext4", "rw", true), Mask::ALL);
    }

    #[test]
    fn a_clock_once_learnt_decides_what_is_young() {
        let tmp = tempfile::tempdir().unwrap();
        let opened = Root::at(tmp.path().into()).opened().unwrap();
        let now = sys::now();
        let ago = |sec| Time {
            sec: now.sec - sec,
            nsec: 0,
        };
        assert!(opened.is_racy(now) && !opened.is_racy(ago(60)));
        opened.learn_clock(ago(60));
        assert!(opened.is_racy(ago(60)) && !opened.is_racy(ago(63)));
    }
}
