//! Is this the share we know? An empty or foreign directory must never look like removals.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::lower::{Identity, Probe};
use crate::meta::{Meta, MetaError};
use crate::model::Bid;

/// Setting: what the share is known by, as JSON.
const IDENTITY: &str = "identity";
/// Setting: a person accepted the share while it was empty.
const EMPTY_ACCEPTED: &str = "empty-accepted";

/// What is known of the share, and why the last answer was refused.
pub(super) struct Gate {
    meta: Arc<Meta>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    known: Option<Identity>,
    empty_accepted: bool,
    refused: Option<String>,
    /// A person is accepting whatever is there: answers pass, and [`Gate::accept`] follows.
    accepting: bool,
    /// A person went offline: nothing more is asked of the lower, by nobody.
    shut: bool,
}

/// What a probe's answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the share; `true`: something new about it should be stored.
    Ours(bool),
    /// It is not, for this reason.
    Foreign(String),
}

impl Gate {
    /// What the state directory knows of its share.
    pub(super) fn open(meta: Arc<Meta>) -> Result<Gate, MetaError> {
        let inner = meta.read(|rows| {
            let stored = rows.setting(IDENTITY)?;
            Ok::<_, MetaError>(Inner {
                known: stored.and_then(|text| serde_json::from_str(&text).ok()),
                empty_accepted: rows.setting(EMPTY_ACCEPTED)?.is_some(),
                ..Inner::default()
            })
        })?;
        Ok(Gate {
            meta,
            inner: Mutex::new(inner),
        })
    }

    /// True when a share was mounted with this state directory before.
    pub(super) fn knows_a_share(&self) -> bool {
        self.lock().known.is_some()
    }

    /// Lets an answer pass or not: called for every probe an agent answers. Asks the database, never the lower.
    pub(super) fn accepts(&self, probe: &Probe) -> bool {
        {
            let inner = self.lock();
            if inner.accepting || inner.shut {
                return inner.accepting;
            }
        }
        let verdict = self.judge(probe);
        let mut inner = self.lock();
        inner.refused = match &verdict {
            Ok(Verdict::Ours(_)) => None,
            Ok(Verdict::Foreign(why)) => Some(why.clone()),
            Err(error) => Some(format!("the state directory could not be read: {error}")),
        };
        inner.refused.is_none()
    }

    fn judge(&self, probe: &Probe) -> Result<Verdict, MetaError> {
        let has_entries = self.has_entries()?;
        Ok(self.lock().judge(probe, has_entries))
    }

    /// Base has entries in its root: an empty answer would mean that all of them are gone.
    fn has_entries(&self) -> Result<bool, MetaError> {
        self.meta
            .read(|rows| Ok(!rows.base_entries(Bid::ROOT)?.is_empty()))
    }

    /// Why the last answer was refused, if it was.
    pub(super) fn refused(&self) -> Option<String> {
        self.lock().refused.clone()
    }

    /// Judges an answer and stores what is new about the share.
    pub(super) fn learn(&self, probe: &Probe) -> Result<Verdict, MetaError> {
        let verdict = self.judge(probe)?;
        if verdict == Verdict::Ours(true) {
            self.store(probe, probe.empty && self.has_entries()?)?;
        }
        Ok(verdict)
    }

    /// Lets nothing pass until it is opened again. An agent that runs already is not touched by this.
    pub(super) fn shut(&self, shut: bool) {
        self.lock().shut = shut;
    }

    /// While the returned value lives, every answer passes: a person is accepting what is there.
    pub(super) fn hold_open(&self) -> Open<'_> {
        self.lock().accepting = true;
        Open(self)
    }

    /// Accepts what is there now as the share: a person said so.
    pub(super) fn accept(&self, probe: &Probe) -> Result<(), MetaError> {
        self.store(probe, probe.empty)
    }

    fn store(&self, probe: &Probe, empty: bool) -> Result<(), MetaError> {
        let text = serde_json::to_string(&probe.identity).unwrap_or_default();
        self.meta.write(|txn| {
            txn.set_setting(IDENTITY, Some(&text))?;
            txn.set_setting(EMPTY_ACCEPTED, empty.then_some("1"))
        })?;
        let mut inner = self.lock();
        inner.known = Some(probe.identity.clone());
        inner.empty_accepted = empty;
        inner.refused = None;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A gate held open; dropped, it judges again.
pub(super) struct Open<'a>(&'a Gate);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.lock().accepting = false;
    }
}

impl Inner {
    fn judge(&self, probe: &Probe, has_entries: bool) -> Verdict {
        let verdict = judge(self.known.as_ref(), probe);
        let by_id = probe.identity.id.is_some() && self.known_id() == probe.identity.id.as_ref();
        let unknown_empty = probe.empty && has_entries && !self.empty_accepted && !by_id;
        match verdict {
            Verdict::Ours(_) if unknown_empty => Verdict::Foreign(
                "the server's directory is empty, and it was not before: perhaps the share is not mounted there. \
                 Nothing is taken as deleted\n  next: mount the share; or, if it is really empty: driftfs approve --identity"
                    .into(),
            ),
            // The acceptance of an empty share ends with the first answer that is not empty.
            Verdict::Ours(false) if self.empty_accepted && !probe.empty => Verdict::Ours(true),
            other => other,
        }
    }

    fn known_id(&self) -> Option<&String> {
        self.known.as_ref().and_then(|known| known.id.as_ref())
    }
}

/// Compares an answer with what is known. The id on the share decides where both have one; else type, source and
/// root number of the file system, as far as the number is stable there.
fn judge(known: Option<&Identity>, probe: &Probe) -> Verdict {
    let now = &probe.identity;
    let Some(known) = known else {
        return Verdict::Ours(true);
    };
    if let (Some(before), Some(id)) = (&known.id, &now.id) {
        return if before == id {
            Verdict::Ours(known != now)
        } else {
            Verdict::Foreign(foreign("its .driftfs/id is another one"))
        };
    }
    if known.fs_type != now.fs_type {
        return Verdict::Foreign(foreign("it is a file system of another type"));
    }
    if known.source != now.source {
        return Verdict::Foreign(foreign("it is mounted from elsewhere"));
    }
    if probe.mask.ino && known.root_ino != now.root_ino {
        return Verdict::Foreign(foreign("its root is another directory"));
    }
    // An id that vanished is not forgotten: it may be unreadable for a moment.
    Verdict::Ours(known.id.is_none() && known != now)
}

fn foreign(why: &str) -> String {
    format!(
        "another share is there than the one we know: {why}. Nothing is taken from it\n  \
         next: mount the right share; or, if the server was restored: driftfs approve --identity"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::Space;
    use crate::model::{Attrs, Kind, Mask, Observed, Stamp, Time};

    fn probe(id: Option<&str>, source: &str, root_ino: u64, empty: bool) -> Probe {
        let time = Time::default();
        let attrs = Attrs {
            kind: Kind::Dir,
            mode: 0o755,
            uid: 0,
            gid: 0,
            rdev: 0,
            size: 0,
            mtime: time,
            ctime: time,
            atime: time,
        };
        let stamp = Stamp {
            kind: Kind::Dir,
            size: 0,
            mtime: time,
            ctime: time,
            ino: root_ino,
            btime: None,
            hash: None,
            racy: false,
        };
        Probe {
            identity: Identity {
                id: id.map(str::to_owned),
                fs_type: 1,
                source: Some(source.into()),
                root_ino,
            },
            root: Observed {
                stamp,
                attrs,
                nlink: 2,
                same_device: true,
                target: None,
                xattrs: None,
            },
            empty,
            space: Space::default(),
            mask: Mask::ALL,
        }
    }

    fn inner(known: &Probe) -> Inner {
        Inner {
            known: Some(known.identity.clone()),
            ..Inner::default()
        }
    }

    #[test]
    fn an_unmounted_share_shows_a_foreign_or_empty_directory_and_is_refused() {
        let nas = inner(&probe(None, "nas:/x", 2, false));
        let bare = probe(None, "/dev/sda1", 2, true);
        assert!(matches!(nas.judge(&bare, true), Verdict::Foreign(_)));
        let emptied = probe(None, "nas:/x", 2, true);
        assert!(matches!(nas.judge(&emptied, true), Verdict::Foreign(_)));
        let same = probe(None, "nas:/x", 2, false);
        assert_eq!(nas.judge(&same, true), Verdict::Ours(false));
    }

    #[test]
    fn the_id_on_the_share_outweighs_where_it_is_mounted_from() {
        let known = inner(&probe(Some("a"), "nas:/x", 2, false));
        let moved = probe(Some("a"), "nas2:/y", 9, false);
        assert_eq!(known.judge(&moved, true), Verdict::Ours(true));
        let other = probe(Some("b"), "nas:/x", 2, false);
        assert!(matches!(known.judge(&other, true), Verdict::Foreign(_)));
    }

    #[test]
    fn a_share_known_by_its_id_may_be_emptied_and_the_brake_decides() {
        let known = inner(&probe(Some("a"), "nas:/x", 2, false));
        let emptied = probe(Some("a"), "nas:/x", 2, true);
        assert_eq!(known.judge(&emptied, true), Verdict::Ours(false));
    }

    #[test]
    fn a_new_id_on_the_known_share_is_learnt() {
        let known = inner(&probe(None, "nas:/x", 2, false));
        let with_id = probe(Some("a"), "nas:/x", 2, false);
        assert_eq!(known.judge(&with_id, true), Verdict::Ours(true));
    }

    #[test]
    fn an_accepted_empty_share_is_no_longer_accepted_empty_once_it_was_filled() {
        let mut known = inner(&probe(None, "nas:/x", 2, false));
        known.empty_accepted = true;
        assert_eq!(
            known.judge(&probe(None, "nas:/x", 2, true), true),
            Verdict::Ours(false)
        );
        assert_eq!(
            known.judge(&probe(None, "nas:/x", 2, false), true),
            Verdict::Ours(true)
        );
    }
}
