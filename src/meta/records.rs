//! The journal: what was done, when, by whom. In the same transaction as the rows it changed.

use rusqlite::params;

use super::change::Change;
use super::codec::Cols;
use super::open::MetaError;
use super::rows::{Record, Rows};
use super::txn::WriteTxn;
use crate::model::{Ino, Time, Who};

type Result<T> = std::result::Result<T, MetaError>;

fn word(cols: &Cols<'_>) -> Result<Record> {
    Ok(Record {
        seq: cols.number(0)?,
        when: Time {
            sec: cols.get(1)?,
            nsec: cols.small(2)?,
        },
        who: Who {
            uid: cols.small(3)?,
            gid: cols.small(4)?,
            pid: cols.small(5)?,
        },
        program: cols.get(6)?,
        ino: cols.maybe(7)?.map(Ino),
        path: cols.path(8)?,
        verb: cols.get(9)?,
        detail: cols.get(10)?,
    })
}

impl Rows<'_> {
    /// Journal rows with `seq` below `before`, newest first, only of `ino` if given.
    pub fn records(&self, ino: Option<Ino>, before: u64, limit: usize) -> Result<Vec<Record>> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let what =
            "SELECT seq, sec, nsec, uid, gid, pid, program, ino, path, verb, detail FROM record";
        match ino {
            Some(ino) => {
                let query =
                    format!("{what} WHERE ino = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3");
                self.many("record", &query, params![ino.0 as i64, before, limit], word)
            }
            None => {
                let query = format!("{what} WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2");
                self.many("record", &query, params![before, limit], word)
            }
        }
    }
}

impl Rows<'_> {
    /// True when the journal has a row of that verb about a node.
    pub fn recorded(&self, ino: Ino, verb: &str) -> Result<bool> {
        let query = "SELECT 1 FROM record WHERE ino = ?1 AND verb = ?2 LIMIT 1";
        let found = self.one("record", query, params![ino.0 as i64, verb], |_| Ok(()))?;
        Ok(found.is_some())
    }
}

impl WriteTxn<'_> {
    /// Appends a journal row; `seq` is given here.
    pub fn record(&self, record: &Record) -> Result<()> {
        self.change(Change::Record(Box::new(record.clone())))
    }
}
