//! Where everything is while the steps are being done, for the paths people read.

use std::collections::HashMap;

use crate::model::RelPath;
use crate::reintegrate::drafts::Draft;
use crate::reintegrate::steps::{Action, Side};
use crate::reintegrate::universe::{Key, Place, Universe};

/// Paths while the steps are being done.
pub(super) struct Walk<'a> {
    u: &'a Universe,
    /// Places given by steps so far.
    moved: HashMap<(Side, Key), Place>,
}

impl<'a> Walk<'a> {
    /// Before the first step.
    pub fn new(u: &'a Universe) -> Walk<'a> {
        Walk {
            u,
            moved: HashMap::new(),
        }
    }

    fn place(&self, side: Side, key: Key) -> Option<&Place> {
        let moved = self.moved.get(&(side, key));
        moved.or_else(|| self.u.now(side, key)?.first())
    }

    fn join(&self, side: Side, last: &Place) -> RelPath {
        let mut names = vec![last.name.clone()];
        let mut at = last.parent;
        while at != Key::ROOT {
            let Some(place) = self.place(side, at) else {
                break;
            };
            names.push(place.name.clone());
            at = place.parent;
        }
        names.reverse();
        RelPath::from_names(names)
    }

    /// The path a step is known by.
    pub fn path_of(&self, draft: &Draft) -> RelPath {
        let side = match draft.side {
            Side::Base if self.u.get(draft.key).client.is_some() => Side::Client,
            side => side,
        };
        let place = match &draft.action {
            Action::Make(place) | Action::Link(place) => Some(place),
            _ if draft.side != side => self.place(side, draft.key),
            Action::Move { from, .. } | Action::Unlink(from) | Action::Remove(from) => Some(from),
            Action::Bytes | Action::Merge | Action::Attrs(_) => self.place(side, draft.key),
        };
        place
            .map(|place| self.join(side, place))
            .unwrap_or_default()
    }

    /// Base follows every step.
    pub fn done(&mut self, draft: &Draft) {
        let trees = [
            Some(draft.side),
            Some(Side::Base).filter(|base| *base != draft.side),
        ];
        for tree in trees.into_iter().flatten() {
            let lost = match &draft.action {
                Action::Unlink(place) => self.place(tree, draft.key) == Some(place),
                _ => false,
            };
            if let Some(to) = &draft.adds {
                self.moved.insert((tree, draft.key), to.clone());
            } else if lost {
                let now = self.u.now(tree, draft.key).into_iter().flatten();
                let mut rest = now.filter(|place| !draft.frees.contains(place));
                if let Some(place) = rest.next() {
                    self.moved.insert((tree, draft.key), place.clone());
                }
            }
        }
    }
}
