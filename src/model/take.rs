//! The words of `driftfs resolve --take`.

use serde::{Deserialize, Serialize};

/// Which version a person takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Take {
    /// What the live tree has.
    Client,
    /// What the server had when the conflict was found.
    Server,
    /// What both last agreed on.
    Base,
    /// Both, under two names.
    Both,
    /// The merge driver's proposal.
    Merged,
}

impl Take {
    /// The word a person types.
    pub fn word(self) -> &'static str {
        match self {
            Take::Client => "client",
            Take::Server => "server",
            Take::Base => "base",
            Take::Both => "both",
            Take::Merged => "merged",
        }
    }

    /// The meaning of a word; `ours` and `theirs` are aliases.
    pub fn parse(word: &str) -> Option<Take> {
        match word {
            "client" | "ours" => Some(Take::Client),
            "server" | "theirs" => Some(Take::Server),
            "base" => Some(Take::Base),
            "both" => Some(Take::Both),
            "merged" => Some(Take::Merged),
            _ => None,
        }
    }
}
