//! Conflicts of a plan are stored with every version they are about, before any step is done.

use std::collections::BTreeMap;

use super::conflicts::{Found, drop_settled};
use super::job::Job;
use super::report::Disagreement;
use super::steps::{Action, Clash, Plan};
use super::trouble::Stop;
use super::universe::{Key, Server, Version};
use crate::meta::Conflict;
use crate::model::{ConflictKind, Kind, ObjectId, RelPath, Stamp};
use crate::variants::{Proposal, Terms};

/// How a clash is stored already.
enum Stored {
    /// As it is now.
    Same,
    /// With other paths: a directory above was renamed. The driver's proposal still holds.
    Elsewhere(Option<Proposal>),
    /// The same, of what was deleted on one side: its terms say what that was and stay, only the paths in them change.
    Moved(Box<Conflict>),
    /// Not, or about other versions.
    Not,
}

impl Job<'_> {
    /// Stores the clashes of a plan, except those that stand unchanged.
    pub fn store_clashes(&mut self, plan: &Plan) -> Result<(), Stop> {
        for clash in &plan.clashes {
            match self.stored_as(clash)? {
                Stored::Same => {}
                Stored::Elsewhere(merged) => self.store_conflict(clash, merged)?,
                Stored::Moved(row) => self
                    .hand
                    .on
                    .commit("conflict", |txn| Ok(txn.set_conflict(&row)?))?,
                Stored::Not => self.store_conflict(clash, None)?,
            }
        }
        Ok(())
    }

    /// How a clash is stored already, if neither side changed since.
    fn stored_as(&self, clash: &Clash) -> Result<Stored, Stop> {
        let object = self.universe.get(clash.key);
        if object.standing.is_none() {
            return Ok(Stored::Not);
        }
        let stored = self.hand.on.read(|rows| Ok(rows.conflicts()?))?;
        let about = |row: &&Conflict| {
            let same = (row.bid.is_some() && row.bid == object.bid)
                || (row.ino.is_some() && row.ino == object.ino);
            let named = row.kind != ConflictKind::Occupied || row.path == clash.path;
            row.kind == clash.kind && same && named
        };
        let Some(row) = stored.iter().find(about) else {
            return Ok(Stored::Not);
        };
        let now = self.found(clash, None).terms();
        if row.kind == ConflictKind::Deleted {
            let moved = moved(row, &now, &clash.path);
            return Ok(moved.map_or(Stored::Same, |row| Stored::Moved(Box::new(row))));
        }
        Ok(match Terms::parse(&row.terms) {
            Ok(then) if same_places(&then, &now) => Stored::Same,
            Ok(then) => Stored::Elsewhere(then.merged),
            Err(_) => Stored::Not,
        })
    }

    fn found<'f>(&'f self, clash: &Clash, merged: Option<Proposal>) -> Found<'f> {
        Found {
            universe: self.universe,
            key: clash.key,
            other: clash.other,
            kind: clash.kind,
            path: clash.path.clone(),
            base: BTreeMap::new(),
            server: BTreeMap::new(),
            merged,
            when: crate::sys::now(),
        }
    }

    /// Stores one, with what of its versions is not kept by live, base or the server's own file.
    pub fn store_conflict(&mut self, clash: &Clash, merged: Option<Proposal>) -> Result<(), Stop> {
        let keys: Vec<Key> = [Some(clash.key), clash.other]
            .into_iter()
            .flatten()
            .collect();
        let mut base = BTreeMap::new();
        let mut server = BTreeMap::new();
        for key in keys {
            if let Some(object) = self.base_object(key)? {
                base.insert(key, object);
            }
            // What was removed on one side is given back there: the edited version is live and on the server.
            if clash.kind != ConflictKind::Deleted
                && let Some(kept) = self.server_object(key, base.get(&key).copied())?
            {
                server.insert(key, kept);
            }
        }
        let found = Found {
            base,
            server,
            ..self.found(clash, merged)
        };
        let ino = self.universe.get(clash.key).ino;
        self.hand.on.commit("conflict", |txn| {
            found.store(txn)?;
            super::run::record(txn, "conflict", ino, &clash.path, clash.kind.word())
        })
    }

    fn base_object(&mut self, key: Key) -> Result<Option<ObjectId>, Stop> {
        let object = self.universe.get(key);
        let (Some(bid), Some(base)) = (object.bid, &object.base) else {
            return Ok(None);
        };
        if base.attrs.kind != Kind::File {
            return Ok(None);
        }
        let found = self.hand.on.tree.base_bytes(bid)?;
        self.lent.extend(found);
        Ok(found)
    }

    /// The server's bytes with their fingerprint: base's where they are equal, else read. `None` when there are none, or
    /// they cannot be read now.
    fn server_object(
        &mut self,
        key: Key,
        base: Option<ObjectId>,
    ) -> Result<Option<(ObjectId, Stamp)>, Stop> {
        let object = self.universe.get(key);
        let Server::Present(version) = &object.server else {
            return Ok(None);
        };
        if version.attrs.kind != Kind::File {
            return Ok(None);
        }
        let as_base = |version: &Version| {
            let base = object.base.as_ref();
            base.is_some_and(|base| base.bytes == version.bytes)
        };
        if as_base(version) {
            return Ok(base.zip(object.stamp));
        }
        match self.server_bytes(key) {
            Ok((sealed, seen)) => Ok(Some((sealed, seen.stamp))),
            Err(Stop::Later(_) | Stop::Pending(_) | Stop::Conflict) => Ok(None),
            Err(stop) => Err(stop),
        }
    }

    /// Ends the conflicts that this round's whole look did not find again. A merge that was not done still disagrees.
    pub fn drop_settled(&mut self, plan: &Plan) -> Result<(), Stop> {
        let mut open = plan.clashes.clone();
        for (step, done) in plan.steps.iter().zip(&self.done) {
            if step.action == Action::Merge && !done {
                open.push(Clash {
                    key: step.key,
                    other: None,
                    kind: ConflictKind::Content,
                    path: step.path.clone(),
                    rule: step.rule,
                });
            }
        }
        let on = self.hand.on;
        let stored = on.read(|rows| Ok(rows.conflicts()?))?;
        if stored.is_empty() {
            return Ok(());
        }
        on.commit("settled", |txn| {
            for ended in drop_settled(txn, self.universe, &open)? {
                let word = ended.kind.word();
                super::run::record(txn, "settled", ended.ino, &ended.path, word)?;
            }
            Ok(())
        })
    }
}

/// A stored conflict with the paths its versions have now; `None` when it has these. A side that removed it has none.
fn moved(row: &Conflict, now: &Terms, path: &RelPath) -> Option<Conflict> {
    let mut terms = Terms::parse(&row.terms).ok()?;
    let mut differs = false;
    let sides = [
        (&mut terms.base, &now.base),
        (&mut terms.client, &now.client),
        (&mut terms.server, &now.server),
    ];
    for (then, now) in sides {
        if let (Some(then), Some(now)) = (then, now)
            && !now.places.is_empty()
            && then.places != now.places
        {
            then.places = now.places.clone();
            differs = true;
        }
    }
    differs.then(|| Conflict {
        path: path.clone(),
        terms: terms.json(),
        ..row.clone()
    })
}

/// True when everything in two terms has the same paths on every side.
fn same_places(then: &Terms, now: &Terms) -> bool {
    let places = |terms: &Terms| {
        let sides = [&terms.base, &terms.client, &terms.server];
        sides.map(|side| side.as_ref().map(|term| term.places.clone()))
    };
    let second = |terms: &Terms| terms.other.as_ref().map(|second| places(&second.terms));
    places(then) == places(now) && second(then) == second(now)
}

impl super::run::Reintegrate {
    /// Every conflict that is stored.
    pub(super) fn stored(&self) -> Result<Vec<Disagreement>, Stop> {
        let stored = self.read(|rows| Ok(rows.conflicts()?))?;
        let told = stored.into_iter().map(|conflict| Disagreement {
            path: conflict.path,
            kind: conflict.kind,
        });
        Ok(told.collect())
    }
}
