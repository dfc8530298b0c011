//! What is written down before the server is touched, so that a run that ended anywhere can be finished or taken back.
//!
//! One row per change of the server: committed before the first call, changed before each further one, replaced by an
//! [`End`] in the transaction that moves base. The bodies are JSON with a version (docs/formats.md).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::trouble::{Failure, Stop};
use crate::lower::{Attempt, SetAttrs};
use crate::meta::{Intent, WriteTxn};
use crate::model::{Bid, Hash, Ino, IntentId, Name, ObjectId, Observed, RelPath, Stamp};

/// Version of every body in this file.
const VERSION: u32 = 1;

/// A place in the base tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    /// The directory.
    pub parent: Bid,
    /// The name in it.
    pub name: Name,
}

/// What was, or is being, sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The bytes, for files.
    pub object: Option<ObjectId>,
    /// The revision of the node they are of.
    pub rev: u64,
    /// Their hash.
    pub hash: Option<Hash>,
    /// The object in the attempt directory, once it is complete there: by this we know our own work again.
    pub staged: Option<Stamp>,
}

/// One change of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A new object.
    Make {
        /// Its place in base.
        at: At,
        /// What.
        sent: Sent,
    },
    /// New bytes (or target, or device number) under the name of an old object.
    Replace {
        /// What was there.
        expect: Stamp,
        /// What.
        sent: Sent,
        /// Other names of it there that must follow, and the attempt in which they do.
        following: Option<(Attempt, Vec<RelPath>)>,
    },
    /// Another name instead of one.
    Move {
        /// Where it was on the server.
        from: RelPath,
        /// The object.
        expect: Stamp,
        /// Its old place in base.
        off: At,
        /// Its new one.
        at: At,
    },
    /// One more name.
    Link {
        /// Another name of it on the server.
        from: RelPath,
        /// The object.
        expect: Stamp,
        /// Its place in base.
        at: At,
    },
    /// One name less; others stay.
    Unlink {
        /// The object.
        expect: Stamp,
        /// Its place in base.
        off: At,
    },
    /// The last name.
    Remove {
        /// The object.
        expect: Stamp,
    },
    /// Other attributes.
    Set {
        /// The object.
        expect: Stamp,
        /// Which.
        change: SetAttrs,
    },
}

/// A change of the server that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// Where its hidden half lies.
    pub attempt: Attempt,
    /// The name on the server that changes (of a move: the new one).
    pub path: RelPath,
    /// The live node, if there is one.
    pub ino: Option<Ino>,
    /// The base object, if there is one already.
    pub bid: Option<Bid>,
    /// True when base and server had the same bytes before, so that the new stamp stands for the base's bytes too.
    pub agreed: bool,
    /// What.
    pub what: What,
}

impl Push {
    /// The other names that must follow once `seen` has the first one.
    pub fn relink(&self, seen: Option<&Observed>) -> Option<Relink> {
        let What::Replace {
            expect, following, ..
        } = &self.what
        else {
            return None;
        };
        let (attempt, others) = following.clone()?;
        Some(Relink {
            attempt,
            bid: self.bid?,
            main: self.path.clone(),
            new: seen?.stamp,
            old: *expect,
            others,
            refused: false,
        })
    }

    /// The sealed objects that must stay until it ended.
    pub fn objects(&self) -> Vec<ObjectId> {
        match &self.what {
            What::Make { sent, .. } | What::Replace { sent, .. } => {
                sent.object.into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

/// A change that is done and agreed; its attempt directory has yet to be cleared away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Which.
    pub attempt: Attempt,
    /// Where the replaced or removed object is kept.
    pub retain: Option<String>,
}

/// The other names of a replaced object with several names, which have yet to follow to the new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relink {
    /// The attempt of the name under way.
    pub attempt: Attempt,
    /// The base object.
    pub bid: Bid,
    /// A name the new object has.
    pub main: RelPath,
    /// The new object.
    pub new: Stamp,
    /// The old one.
    pub old: Stamp,
    /// Names that still lead to the old one.
    pub others: Vec<RelPath>,
    /// True when the server refused once: the next refusal is final.
    pub refused: bool,
}

/// A body of one of the kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// See [`Push`].
    Push(Box<Push>),
    /// See [`End`].
    End(End),
    /// See [`Relink`].
    Relink(Relink),
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    body: T,
}

impl Body {
    const PUSH: &'static str = "push";
    const END: &'static str = "push-end";
    const RELINK: &'static str = "push-relink";

    /// The word in the row.
    pub fn kind(&self) -> &'static str {
        match self {
            Body::Push(_) => Body::PUSH,
            Body::End(_) => Body::END,
            Body::Relink(_) => Body::RELINK,
        }
    }

    fn json(&self) -> Result<String, Stop> {
        match self {
            Body::Push(body) => encode(body),
            Body::End(body) => encode(body),
            Body::Relink(body) => encode(body),
        }
    }

    fn objects(&self) -> Vec<ObjectId> {
        match self {
            Body::Push(body) => body.objects(),
            _ => Vec::new(),
        }
    }

    /// The body of a row; `None` when another room wrote it.
    pub fn read(intent: &Intent) -> Result<Option<Body>, Failure> {
        Ok(match intent.kind.as_str() {
            Body::PUSH => Some(Body::Push(decode(intent)?)),
            Body::END => Some(Body::End(decode(intent)?)),
            Body::RELINK => Some(Body::Relink(decode(intent)?)),
            _ => None,
        })
    }

    /// Adds the row.
    pub fn add(&self, txn: &WriteTxn<'_>) -> Result<IntentId, Stop> {
        Ok(txn.add_intent(self.kind(), &self.json()?, &self.objects())?)
    }

    /// Changes the row; its kind stays.
    pub fn set(&self, txn: &WriteTxn<'_>, id: IntentId) -> Result<(), Stop> {
        Ok(txn.set_intent(id, &self.json()?, &self.objects())?)
    }
}

fn encode<T: Serialize>(body: &T) -> Result<String, Stop> {
    let versioned = Versioned {
        version: VERSION,
        body,
    };
    serde_json::to_string(&versioned)
        .map_err(|error| Stop::Fatal(Failure::Intent(error.to_string())))
}

fn decode<T: DeserializeOwned>(intent: &Intent) -> Result<T, Failure> {
    let wrong = |why: String| Failure::Intent(format!("intent {}: {why}", intent.id));
    let read: Versioned<T> =
        serde_json::from_str(&intent.body).map_err(|error| wrong(error.to_string()))?;
    if read.version != VERSION {
        return Err(wrong(format!(
            "version {} is not known here; install a newer driftfs",
            read.version
        )));
    }
    Ok(read.body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TxnId;

    fn intent(kind: &str, body: String) -> Intent {
        Intent {
            id: IntentId(1),
            kind: kind.into(),
            body,
            objects: Vec::new(),
        }
    }

    #[test]
    fn a_body_comes_back_as_it_was_written() {
        let name = Name::new(b"\xff odd").unwrap();
        let push = Push {
            attempt: Attempt {
                txn: TxnId(3),
                n: 1,
            },
            path: RelPath::root().join(&name),
            ino: Some(Ino(7)),
            bid: None,
            agreed: true,
            what: What::Make {
                at: At {
                    parent: Bid::ROOT,
                    name,
                },
                sent: Sent {
                    object: Some(ObjectId(5)),
                    rev: 2,
                    hash: Some(Hash([7; 32])),
                    staged: None,
                },
            },
        };
        let body = Body::Push(Box::new(push));
        let row = intent(body.kind(), body.json().unwrap());
        assert_eq!(Body::read(&row).unwrap(), Some(body.clone()));
        assert_eq!(body.objects(), vec![ObjectId(5)]);
    }

    #[test]
    fn a_newer_version_is_refused_and_a_foreign_kind_is_left_alone() {
        let newer = intent(
            Body::END,
            r#"{"version":2,"body":{"attempt":{"txn":1,"n":1},"retain":null}}"#.into(),
        );
        assert!(Body::read(&newer).is_err());
        let foreign = intent("resolve", "{}".into());
        assert_eq!(Body::read(&foreign).unwrap(), None);
    }
}
