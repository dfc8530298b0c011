//! The names of an object both sides have: a set, merged name by name; a single name is renamed or not.

use crate::model::{Few, Three};
use crate::reintegrate::universe::Place;

/// A set of names.
type Places = Few<Place>;

/// The names both sides shall have; `None` when both gave the only name a different new one, or took away each other's.
pub(super) fn merge(base: &Places, client: &Places, server: &Places) -> Option<Places> {
    let three = Three {
        base,
        client,
        server,
    };
    if let Some(answer) = three.trivial() {
        return Some((*answer).clone());
    }
    if [base, client, server].iter().all(|set| set.len() <= 1) && !base.is_empty() {
        return None;
    }
    let in_both = client & server;
    let added = &(&(client - server) | &(server - client)) - base;
    let merged = &in_both | &added;
    (!merged.is_empty()).then_some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;
    use crate::reintegrate::universe::Key;

    fn set(names: &str) -> Places {
        let place = |name: &str| Place {
            parent: Key::ROOT,
            name: Name::try_from(name).unwrap(),
        };
        names.split_whitespace().map(place).collect()
    }

    #[test]
    fn names_merge_as_sets() {
        let merged = |b, c, s| merge(&set(b), &set(c), &set(s));
        assert_eq!(merged("a", "a", "b"), Some(set("b")), "one renamed");
        assert_eq!(merged("a", "b", "b"), Some(set("b")), "both alike");
        assert_eq!(merged("a", "b", "c"), None, "both, differently");
        assert_eq!(merged("a", "a b", "c"), Some(set("b c")), "link and rename");
        assert_eq!(merged("a b", "a", "b c"), Some(set("c")), "unlink each");
        assert_eq!(merged("a b", "a", "b"), None, "nothing would be left");
        assert_eq!(merged("", "a b", "a c"), Some(set("a b c")), "both made");
    }
}
