//! Stored conflicts.

use rusqlite::params;

use super::codec::Cols;
use super::open::MetaError;
use super::rows::{Conflict, Rows};
use super::txn::WriteTxn;
use crate::model::{Bid, ConflictId, ConflictKind, Ino, ObjectId, Time};

type Result<T> = std::result::Result<T, MetaError>;

/// Counts changes of conflicts.
const MOVED: &str = "conflicts-moved";

const KINDS: [ConflictKind; 7] = [
    ConflictKind::Content,
    ConflictKind::Created,
    ConflictKind::Deleted,
    ConflictKind::Name,
    ConflictKind::Occupied,
    ConflictKind::Attribute,
    ConflictKind::DirCycle,
];

fn kind(cols: &Cols<'_>, at: usize) -> Result<ConflictKind> {
    let word: String = cols.get(at)?;
    let known = KINDS.into_iter().find(|kind| kind.word() == word);
    known.ok_or_else(|| MetaError::Damaged {
        table: "conflict",
        why: format!("unknown kind {word:?}"),
    })
}

impl Rows<'_> {
    /// Open conflicts, oldest first.
    pub fn conflicts(&self) -> Result<Vec<Conflict>> {
        self.conflicts_where("1", 0)
    }

    /// Conflicts of one node.
    pub fn conflicts_of(&self, ino: Ino) -> Result<Vec<Conflict>> {
        self.conflicts_where("ino = ?1", ino.0)
    }

    /// The conflict of that number.
    pub fn conflict(&self, id: ConflictId) -> Result<Option<Conflict>> {
        Ok(self.conflicts_where("id = ?1", id.0)?.pop())
    }

    /// The live node a conflict is about now: the one it names, else the one that descends from its base object, else
    /// (both created it) what an editor's save put at its path.
    pub fn node_in_conflict(&self, conflict: &Conflict) -> Result<Option<Ino>> {
        if let Some(ino) = conflict.ino
            && self.node(ino)?.is_some_and(|node| node.nlink > 0)
        {
            return Ok(Some(ino));
        }
        if let Some(bid) = conflict.bid {
            for ino in self.nodes_of(bid)? {
                if self.node(ino)?.is_some_and(|node| node.nlink > 0) {
                    return Ok(Some(ino));
                }
            }
            return Ok(None);
        }
        let at = self.resolve(&conflict.path)?;
        let fresh = at.filter(|node| conflict.kind == ConflictKind::Created && node.bid.is_none());
        Ok(fresh.map(|node| node.ino))
    }

    /// A number that moves with every change of any conflict: what was read from them is true while it stands.
    pub fn conflicts_moved(&self) -> Result<u64> {
        Ok(self.counter(MOVED)?.unwrap_or(0))
    }

    /// Conflicts of one base object.
    pub fn conflicts_of_base(&self, bid: Bid) -> Result<Vec<Conflict>> {
        self.conflicts_where("bid = ?1", bid.0)
    }

    fn conflicts_where(&self, condition: &str, number: u64) -> Result<Vec<Conflict>> {
        // `?1` is named once more so that every condition takes the one number.
        let query = format!(
            "SELECT id, kind, ino, bid, path, sec, nsec, terms FROM conflict WHERE {condition} AND ?1 IS NOT NULL
             ORDER BY id"
        );
        self.many("conflict", &query, [number as i64], |c| {
            let id = ConflictId(c.number(0)?);
            Ok(Conflict {
                id,
                kind: kind(c, 1)?,
                ino: c.maybe(2)?.map(Ino),
                bid: c.maybe(3)?.map(Bid),
                path: c.path(4)?,
                since: Time {
                    sec: c.get(5)?,
                    nsec: c.small(6)?,
                },
                terms: c.get(7)?,
                objects: self.conflict_objects(id)?,
            })
        })
    }

    fn conflict_objects(&self, id: ConflictId) -> Result<Vec<ObjectId>> {
        let query = "SELECT object FROM conflict_object WHERE conflict = ?1 ORDER BY object";
        self.many("conflict_object", query, [id.0 as i64], |c| {
            Ok(ObjectId(c.number(0)?))
        })
    }
}

impl WriteTxn<'_> {
    /// Adds a conflict (its `id` is ignored) and gives its number.
    pub fn add_conflict(&self, conflict: &Conflict) -> Result<ConflictId> {
        let id = ConflictId(self.new_row("conflict")?);
        let mut conflict = conflict.clone();
        conflict.id = id;
        self.set_conflict(&conflict)?;
        Ok(id)
    }

    /// Replaces a conflict's row.
    pub fn set_conflict(&self, conflict: &Conflict) -> Result<()> {
        let what = "store a conflict";
        self.moved()?;
        let command = "INSERT OR REPLACE INTO conflict(id, kind, ino, bid, path, sec, nsec, terms)
            VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let with = params![
            conflict.id.0 as i64,
            conflict.kind.word(),
            conflict.ino.map(|ino| ino.0 as i64),
            conflict.bid.map(|bid| bid.0 as i64),
            conflict.path.bytes(),
            conflict.since.sec,
            conflict.since.nsec,
            conflict.terms
        ];
        self.run(what, command, with)?;
        self.drop_conflict_objects(conflict.id)?;
        for object in &conflict.objects {
            let command = "INSERT OR IGNORE INTO conflict_object(conflict, object) VALUES(?1, ?2)";
            self.run(what, command, [conflict.id.0 as i64, object.0 as i64])?;
        }
        Ok(())
    }

    /// Ends a conflict.
    pub fn drop_conflict(&self, id: ConflictId) -> Result<()> {
        self.moved()?;
        self.drop_conflict_objects(id)?;
        self.run(
            "end a conflict",
            "DELETE FROM conflict WHERE id = ?1",
            [id.0 as i64],
        )
        .map(|_| ())
    }

    fn moved(&self) -> Result<()> {
        let command = "INSERT INTO counter(name, next) VALUES(?1, 1)
            ON CONFLICT(name) DO UPDATE SET next = next + 1";
        self.run("store a conflict", command, [MOVED]).map(|_| ())
    }

    fn drop_conflict_objects(&self, id: ConflictId) -> Result<()> {
        let command = "DELETE FROM conflict_object WHERE conflict = ?1";
        self.run("store a conflict", command, [id.0 as i64])
            .map(|_| ())
    }
}
