//! Snapshots: the epoch, the views, and the bytes they need.

use rusqlite::params;

use super::cache::Known;
use super::open::MetaError;
use super::rows::{Rows, View};
use super::txn::WriteTxn;
use crate::model::{Epoch, Ino, ObjectId, Time};

type Result<T> = std::result::Result<T, MetaError>;

impl Rows<'_> {
    /// The current epoch.
    pub fn epoch(&self) -> Result<Epoch> {
        if let Known::Is(epoch) = self.known_epoch() {
            return Ok(epoch);
        }
        let epoch = Epoch(self.counter("epoch")?.unwrap_or(1));
        self.keep_epoch(epoch);
        Ok(epoch)
    }

    /// Snapshots, oldest first.
    pub fn views(&self) -> Result<Vec<View>> {
        let query = "SELECT name, epoch, sec, nsec, reason FROM view ORDER BY epoch";
        self.many("view", query, [], |c| {
            Ok(View {
                name: c.get(0)?,
                epoch: Epoch(c.number(1)?),
                created: Time {
                    sec: c.get(2)?,
                    nsec: c.small(3)?,
                },
                reason: c.get(4)?,
            })
        })
    }

    /// Where the bytes of `epoch` are: a sealed object, or `None` when the live file still has them.
    pub fn bytes_at(&self, epoch: Epoch, ino: Ino) -> Result<Option<ObjectId>> {
        let query =
            "SELECT object FROM past_bytes WHERE ino = ?1 AND from_epoch <= ?2 AND to_epoch > ?2";
        let with = params![ino.0 as i64, epoch.0 as i64];
        self.one("past_bytes", query, with, |c| Ok(ObjectId(c.number(0)?)))
    }
}

impl WriteTxn<'_> {
    /// Says that in every epoch before the current one from which no bytes of `ino` are kept yet, its bytes are `object`
    /// (`from`: the epoch since which the live file has had them). Nothing is kept that no snapshot shows.
    pub fn put_past_bytes(&self, ino: Ino, from: Epoch, object: ObjectId) -> Result<()> {
        let query = "SELECT max(to_epoch) FROM past_bytes WHERE ino = ?1";
        let kept = self.one("past_bytes", query, [ino.0 as i64], |c| c.maybe(0))?;
        let from = from.max(Epoch(kept.flatten().unwrap_or(0)));
        let now = self.epoch()?;
        if from >= now || !self.shown(from, now)? {
            return Ok(());
        }
        let command =
            "INSERT INTO past_bytes(ino, from_epoch, to_epoch, object) VALUES(?1, ?2, ?3, ?4)";
        let with = params![ino.0 as i64, from.0 as i64, now.0 as i64, object.0 as i64];
        self.run("keep bytes", command, with).map(|_| ())
    }

    /// True when a snapshot shows what was true from `since` on until now: its bytes must be kept before they change.
    pub fn past_needed(&self, since: Epoch) -> Result<bool> {
        self.shown(since, self.epoch()?)
    }

    /// Freezes the current epoch under a name and begins the next. A view of that name is replaced.
    pub fn put_view(&self, name: &str, reason: &str, when: Time) -> Result<View> {
        self.drop_view(name)?;
        let epoch = self.epoch()?;
        let what = "store a snapshot";
        let command = "INSERT INTO view(name, epoch, sec, nsec, reason) VALUES(?1, ?2, ?3, ?4, ?5)";
        let with = params![name, epoch.0 as i64, when.sec, when.nsec, reason];
        self.run(what, command, with)?;
        let command = "INSERT INTO counter(name, next) VALUES('epoch', ?1)
            ON CONFLICT(name) DO UPDATE SET next = excluded.next";
        self.run(what, command, [epoch.0 as i64 + 1])?;
        self.views_changed();
        Ok(View {
            name: name.to_owned(),
            epoch,
            created: when,
            reason: reason.to_owned(),
        })
    }

    /// Removes a snapshot with the past rows no other one shows; false when there is none of that name.
    pub fn drop_view(&self, name: &str) -> Result<bool> {
        let what = "remove a snapshot";
        if self.run(what, "DELETE FROM view WHERE name = ?1", [name])? == 0 {
            return Ok(false);
        }
        for table in ["past_node", "past_entry", "past_bytes"] {
            let command = format!(
                "DELETE FROM {table} WHERE NOT EXISTS
                    (SELECT 1 FROM view WHERE view.epoch >= from_epoch AND view.epoch < to_epoch)"
            );
            self.run(what, &command, [])?;
        }
        self.views_changed();
        Ok(true)
    }
}
