//! The steps of each object, from what it is to what is wanted, in no order yet.

use super::decide::{Content, Fate, Verdict};
use super::places::Wanted;
use super::steps::{Action, Side};
use super::universe::{Key, Place};
use crate::lower::SetAttrs;
use crate::model::{Few, Kind};

/// One step without order.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// The object.
    pub key: Key,
    /// Where.
    pub side: Side,
    /// What.
    pub action: Action,
    /// Why.
    pub rule: &'static str,
    /// The place it takes.
    pub adds: Option<Place>,
    /// The places it frees, on its side or in base.
    pub frees: Vec<Place>,
}

impl Draft {
    /// A step with what its action takes and frees.
    pub fn new(key: Key, side: Side, action: Action, rule: &'static str) -> Draft {
        let (adds, frees) = match &action {
            Action::Make(place) | Action::Link(place) => (Some(place.clone()), Vec::new()),
            Action::Move { from, to } => (Some(to.clone()), vec![from.clone()]),
            Action::Unlink(place) | Action::Remove(place) => (None, vec![place.clone()]),
            Action::Bytes | Action::Merge | Action::Attrs(_) => (None, Vec::new()),
        };
        Draft {
            key,
            side,
            action,
            rule,
            adds,
            frees,
        }
    }
}

/// The steps of all objects.
pub(super) fn draft(wanted: &Wanted<'_>) -> Vec<Draft> {
    let mut all = Vec::new();
    for key in wanted.u.keys() {
        let mut object = One {
            wanted,
            key,
            rule: wanted.of(key).rule,
            out: &mut all,
        };
        match &wanted.of(key).fate {
            Fate::Both(places) => object.both(places),
            Fate::Gone => object.gone(),
            Fate::Apart(_) => {}
        }
        object.fields(wanted.of(key));
    }
    all
}

/// Drafting for one object.
struct One<'a, 'u> {
    wanted: &'a Wanted<'u>,
    key: Key,
    rule: &'static str,
    out: &'a mut Vec<Draft>,
}

impl One<'_, '_> {
    fn push(&mut self, side: Side, action: Action) {
        self.out.push(Draft::new(self.key, side, action, self.rule));
    }

    fn now(&self, tree: Side) -> Option<Few<Place>> {
        self.wanted.u.now(tree, self.key).cloned()
    }

    /// It shall be on both sides, at `places`.
    fn both(&mut self, places: &Few<Place>) {
        match (self.now(Side::Client), self.now(Side::Server)) {
            (Some(client), Some(server)) => {
                self.agreed(places, &client, &server);
                self.rename(Side::Client, &client, places);
                self.rename(Side::Server, &server, places);
            }
            (None, Some(_)) => self.make(Side::Client, places),
            (Some(_), None) => self.make(Side::Server, places),
            (None, None) => {}
        }
    }

    /// What both sides did alike goes to base alone.
    fn agreed(&mut self, places: &Few<Place>, client: &Few<Place>, server: &Few<Place>) {
        let same: Few<Place> = client & server;
        match self.now(Side::Base) {
            Some(base) => {
                let kept: Few<Place> = &base & &(client | server);
                let same = &kept | &(&same & places);
                self.rename(Side::Base, &base, &same);
            }
            None => {
                let mut same = same.into_iter();
                if let Some(first) = same.next() {
                    self.push(Side::Base, Action::Make(first));
                }
                for more in same {
                    self.push(Side::Base, Action::Link(more));
                }
            }
        }
    }

    /// From some names to others: as renames as far as they go.
    fn rename(&mut self, side: Side, now: &Few<Place>, then: &Few<Place>) {
        let mut old: Vec<Place> = (now - then).into_iter().collect();
        for to in then - now {
            match old.pop() {
                Some(from) => self.push(side, Action::Move { from, to }),
                None => self.push(side, Action::Link(to)),
            }
        }
        for place in old {
            self.push(side, Action::Unlink(place));
        }
    }

    /// One side gets what the other has. Base forgets the names it had for it.
    fn make(&mut self, side: Side, places: &Few<Place>) {
        let mut places = places.iter();
        let Some(first) = places.next() else { return };
        self.push(side, Action::Make(first.clone()));
        let base = self.now(Side::Base).unwrap_or_default();
        if let Some(make) = self.out.last_mut() {
            make.frees = base.into_iter().filter(|old| old != first).collect();
        }
        for more in places {
            self.push(side, Action::Link(more.clone()));
        }
        self.close(side);
    }

    /// A directory its owner may not write in is made writable first, to be filled.
    fn close(&mut self, side: Side) {
        let from = match side {
            Side::Client => Side::Server,
            Side::Server | Side::Base => Side::Client,
        };
        let Some(version) = self.wanted.u.version(from, self.key) else {
            return;
        };
        let mode = version.attrs.mode;
        if version.attrs.kind == Kind::Dir && mode & 0o700 != 0o700 {
            let set = SetAttrs {
                mode: Some(mode),
                ..SetAttrs::default()
            };
            self.push(side, Action::Attrs(set));
        }
    }

    /// It shall be nowhere.
    fn gone(&mut self) {
        let living = [Side::Client, Side::Server, Side::Base]
            .into_iter()
            .find_map(|side| Some((side, self.now(side)?)));
        let Some((side, places)) = living else {
            return;
        };
        let mut places = places.into_iter();
        let Some(last) = places.next() else {
            return;
        };
        for place in places {
            self.push(side, Action::Unlink(place));
        }
        self.push(side, Action::Remove(last));
    }

    /// Bytes and attributes.
    fn fields(&mut self, verdict: &Verdict) {
        let fields = &verdict.fields;
        let created = self.wanted.u.get(self.key).base.is_none();
        let content: &[(Side, Action, &'static str)] = match fields.content {
            Content::Push => &[(Side::Server, Action::Bytes, "stored")],
            Content::Pull => &[(Side::Client, Action::Bytes, "stored")],
            Content::Agreed => &[(Side::Base, Action::Bytes, "both-alike")],
            Content::Merge => &[
                (Side::Client, Action::Merge, "merged"),
                (Side::Server, Action::Bytes, "merged"),
            ],
            Content::Same | Content::Clash | Content::Waits(_) => &[],
        };
        for (side, action, rule) in content {
            self.rule = rule;
            self.push(*side, action.clone());
        }
        let rule = match (created, fields.later) {
            (true, _) => "both-created-same",
            (false, true) => "later-mtime",
            (false, false) => "attributes",
        };
        let sets = [
            (Side::Client, &fields.client, rule),
            (Side::Server, &fields.server, rule),
            (Side::Base, &fields.agreed, "both-alike"),
        ];
        for (side, set, rule) in sets {
            if *set != SetAttrs::default() {
                self.rule = rule;
                self.push(side, Action::Attrs(set.clone()));
            }
        }
    }
}
