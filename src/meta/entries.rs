//! Names in live directories, and as snapshots show them.

use rusqlite::params;

use super::cache::Known;
use super::change::Change;
use super::codec::Cols;
use super::open::MetaError;
use super::rows::{Entry, Rows};
use super::txn::WriteTxn;
use crate::model::{Cookie, Epoch, Ino, Name};

type Result<T> = std::result::Result<T, MetaError>;

pub(super) fn word(cols: &Cols<'_>) -> Result<Entry> {
    Ok(Entry {
        parent: Ino(cols.number(0)?),
        name: cols.name(1)?,
        ino: Ino(cols.number(2)?),
        cookie: Cookie(cols.number(3)?),
        since: Epoch(cols.number(4)?),
    })
}

impl Rows<'_> {
    /// The entry of that name.
    pub fn entry(&self, parent: Ino, name: &Name) -> Result<Option<Entry>> {
        if let Known::Is(entry) = self.known_entry(parent, name)? {
            self.check(|| Ok((entry.clone(), self.stored_entry(parent, name)?)))?;
            return Ok(entry);
        }
        self.stored_entry(parent, name)
    }

    fn stored_entry(&self, parent: Ino, name: &Name) -> Result<Option<Entry>> {
        let query =
            "SELECT parent, name, ino, cookie, since FROM entry WHERE parent = ?1 AND name = ?2";
        self.one("entry", query, params![parent.0 as i64, name.bytes()], word)
    }

    /// Up to `limit` entries with a cookie greater than `after`, in cookie order.
    pub fn entries(&self, parent: Ino, after: Cookie, limit: usize) -> Result<Vec<Entry>> {
        if let Known::Is(entries) = self.known_entries(parent, after, limit)? {
            self.check(|| Ok((entries.clone(), self.stored_entries(parent, after, limit)?)))?;
            return Ok(entries);
        }
        self.stored_entries(parent, after, limit)
    }

    fn stored_entries(&self, parent: Ino, after: Cookie, limit: usize) -> Result<Vec<Entry>> {
        let query = "SELECT parent, name, ino, cookie, since FROM entry
            WHERE parent = ?1 AND cookie > ?2 ORDER BY cookie LIMIT ?3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.many(
            "entry",
            query,
            params![parent.0 as i64, after.0 as i64, limit],
            word,
        )
    }

    /// True when the directory has no entry.
    pub fn is_empty(&self, parent: Ino) -> Result<bool> {
        if let Known::Is(empty) = self.known_empty(parent) {
            self.check(|| Ok((empty, self.stored_empty(parent)?)))?;
            return Ok(empty);
        }
        self.stored_empty(parent)
    }

    fn stored_empty(&self, parent: Ino) -> Result<bool> {
        let query = "SELECT 1 FROM entry WHERE parent = ?1 LIMIT 1";
        let found = self.one("entry", query, [parent.0 as i64], |_| Ok(()))?;
        Ok(found.is_none())
    }

    /// Every name of a node, oldest first.
    pub fn names(&self, ino: Ino) -> Result<Vec<(Ino, Name)>> {
        if let Known::Is(only) = self.known_name(ino) {
            let names = vec![only];
            self.check(|| Ok((names.clone(), self.stored_names(ino, usize::MAX)?)))?;
            return Ok(names);
        }
        self.stored_names(ino, usize::MAX)
    }

    /// The oldest name of a node.
    pub fn first_name(&self, ino: Ino) -> Result<Option<(Ino, Name)>> {
        let first = |mut names: Vec<_>| (!names.is_empty()).then(|| names.swap_remove(0));
        if let Known::Is(only) = self.known_name(ino) {
            self.check(|| Ok((Some(only.clone()), first(self.stored_names(ino, 1)?))))?;
            return Ok(Some(only));
        }
        Ok(first(self.stored_names(ino, 1)?))
    }

    /// The directory in which a node has its oldest name.
    pub fn home(&self, ino: Ino) -> Result<Option<Ino>> {
        if let Known::Is(dir) = self.known_home(ino) {
            let stored = || Ok(self.stored_names(ino, 1)?.first().map(|(dir, _)| *dir));
            self.check(|| Ok((Some(dir), stored()?)))?;
            return Ok(Some(dir));
        }
        Ok(self.first_name(ino)?.map(|(dir, _)| dir))
    }

    fn stored_names(&self, ino: Ino, limit: usize) -> Result<Vec<(Ino, Name)>> {
        let query =
            "SELECT parent, name, cookie FROM entry WHERE ino = ?1 ORDER BY cookie LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut first = None;
        let names = self.many("entry", query, params![ino.0 as i64, limit], |c| {
            let parent = Ino(c.number(0)?);
            first.get_or_insert((parent, Cookie(c.number(2)?)));
            Ok((parent, c.name(1)?))
        })?;
        if let Some((parent, cookie)) = first {
            self.keep_name(ino, parent, cookie);
        }
        Ok(names)
    }

    /// The entries of a directory as they were in `epoch`, in cookie order.
    pub fn entries_at(&self, epoch: Epoch, parent: Ino) -> Result<Vec<Entry>> {
        let query = "
            SELECT parent, name, ino, cookie, from_epoch AS since FROM past_entry
                WHERE parent = ?1 AND from_epoch <= ?2 AND to_epoch > ?2
            UNION ALL
            SELECT parent, name, ino, cookie, since FROM entry WHERE parent = ?1 AND since <= ?2
            ORDER BY cookie";
        self.many(
            "past_entry",
            query,
            params![parent.0 as i64, epoch.0 as i64],
            word,
        )
    }
}

impl WriteTxn<'_> {
    /// Adds an entry, or points an existing one elsewhere (which gives it a new cookie); keeps the pre-image.
    pub fn put_entry(&self, parent: Ino, name: &Name, ino: Ino) -> Result<Cookie> {
        let old = self.entry(parent, name)?;
        if let Some(old) = &old {
            if old.ino == ino {
                return Ok(old.cookie);
            }
            self.keep_entry(old)?;
        }
        let (cookie, since) = (self.new_cookie()?, self.epoch()?);
        let new = Entry {
            parent,
            name: name.clone(),
            ino,
            cookie,
            since,
        };
        self.change(Change::PutEntry(new.clone()))?;
        self.note(|pending| pending.put_entry(old.as_ref(), new));
        Ok(cookie)
    }

    /// Removes an entry; keeps the pre-image.
    pub fn drop_entry(&self, parent: Ino, name: &Name) -> Result<()> {
        let Some(old) = self.entry(parent, name)? else {
            return Ok(());
        };
        self.keep_entry(&old)?;
        self.change(Change::DropEntry(parent, name.clone()))?;
        self.note(|pending| pending.drop_entry(&old));
        Ok(())
    }

    fn keep_entry(&self, old: &Entry) -> Result<()> {
        let now = self.epoch()?;
        if old.since >= now || !self.shown(old.since, now)? {
            return Ok(());
        }
        self.change(Change::KeepEntry(old.clone(), now))
    }
}
