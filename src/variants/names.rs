//! The grammar of hidden paths and of virtual attributes. Pure.

use crate::model::Name;

/// The name that leads to the versions of a directory: found in every directory, listed in none.
pub const HIDDEN: &str = ".drift";

/// The file in `.drift` that lists the conflicts beneath its directory.
pub const CONFLICTS: &str = "conflicts";

/// A version of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// What the server had when we last looked.
    Server,
    /// What the live tree has.
    Client,
    /// What both last agreed on.
    Base,
    /// What a merge driver proposes.
    Merged,
    /// What a resolve left.
    Resolved,
}

impl Word {
    /// All of them, in the order in which people read them.
    pub const ALL: [Word; 5] = [
        Word::Server,
        Word::Client,
        Word::Base,
        Word::Merged,
        Word::Resolved,
    ];

    /// The name in `.drift/` and in messages.
    pub fn text(self) -> &'static str {
        match self {
            Word::Server => "server",
            Word::Client => "client",
            Word::Base => "base",
            Word::Merged => "merged",
            Word::Resolved => "resolved",
        }
    }

    /// The version of that name; `ours` and `theirs` are aliases.
    pub fn parse(text: &[u8]) -> Option<Word> {
        match text {
            b"ours" => Some(Word::Client),
            b"theirs" => Some(Word::Server),
            _ => Word::ALL
                .into_iter()
                .find(|word| word.text().as_bytes() == text),
        }
    }
}

/// What a name in `.drift/` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InHidden {
    /// The directory as that version has it.
    Version(Word),
    /// The list of conflicts.
    Conflicts,
}

/// What `name` means in `.drift/`. Aliases are for commands, not for paths.
pub fn in_hidden(name: &Name) -> Option<InHidden> {
    if name.bytes() == CONFLICTS.as_bytes() {
        return Some(InHidden::Conflicts);
    }
    let word = Word::ALL
        .into_iter()
        .find(|word| word.text().as_bytes() == name.bytes())?;
    Some(InHidden::Version(word))
}

/// A virtual attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The state word.
    State,
    /// Which versions there are.
    Variants,
    /// Why something was refused last.
    Why,
    /// Decides a conflict (for writing).
    Resolve,
}

/// The virtual attribute of a name (`user.drift.x`, or bare `drift.x` for what can have no `user.` attributes).
/// `None`: not one of ours. `Some(None)`: in our room, but nothing.
pub fn key(name: &[u8]) -> Option<Option<Key>> {
    let word = name
        .strip_prefix(b"user.drift.")
        .or_else(|| name.strip_prefix(b"drift."))?;
    Some(match word {
        b"state" => Some(Key::State),
        b"variants" => Some(Key::Variants),
        b"why" => Some(Key::Why),
        b"resolve" => Some(Key::Resolve),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_aliases() {
        for word in Word::ALL {
            assert_eq!(Word::parse(word.text().as_bytes()), Some(word));
        }
        assert_eq!(Word::parse(b"ours"), Some(Word::Client));
        assert_eq!(Word::parse(b"theirs"), Some(Word::Server));
        assert_eq!(Word::parse(b"Server"), None);
    }

    #[test]
    fn names_in_the_hidden_directory_have_no_aliases() {
        let name = |text: &str| Name::try_from(text).unwrap();
        assert_eq!(
            in_hidden(&name("base")),
            Some(InHidden::Version(Word::Base))
        );
        assert_eq!(in_hidden(&name("conflicts")), Some(InHidden::Conflicts));
        assert_eq!(in_hidden(&name("ours")), None);
    }

    #[test]
    fn attributes_of_others_are_not_ours() {
        assert_eq!(key(b"user.drift.state"), Some(Some(Key::State)));
        assert_eq!(key(b"drift.why"), Some(Some(Key::Why)));
        assert_eq!(key(b"user.drift.nothing"), Some(None));
        assert_eq!(key(b"user.drifter"), None);
        assert_eq!(key(b"security.drift.state"), None);
    }
}
