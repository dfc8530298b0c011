//! The terms of a conflict: what base, client and server had when it was found. Stored as JSON with the conflict.
//!
//! A second disconnection replaces the terms (base stays, the sides are seen anew) instead of nesting them.

use serde::{Deserialize, Serialize};

use crate::model::{Attrs, Bid, Ino, ObjectId, RelPath, Stamp, Xattrs};

/// What the sides of a conflict had. `None`: that side had nothing (removed, or not yet created).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Format of this JSON; 1.
    pub version: u32,
    /// What both last agreed on.
    pub base: Option<Term>,
    /// What the live tree had. Its bytes are the live file's, now and later: a client may go on editing.
    pub client: Option<Term>,
    /// What the lower had.
    pub server: Option<Term>,
    /// The proposal of a merge driver.
    pub merged: Option<Proposal>,
    /// Revision of the live node when its version was read.
    pub rev: u64,
    /// The second object, where two are in each other's way.
    pub other: Option<Box<Second>>,
}

/// The version one side had of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Its attributes.
    pub attrs: Attrs,
    /// Target of a symlink.
    #[serde(default, with = "text::maybe", skip_serializing_if = "Option::is_none")]
    pub target: Option<Vec<u8>>,
    /// Extended attributes, if known.
    #[serde(
        default,
        with = "text::xattrs",
        skip_serializing_if = "Option::is_none"
    )]
    pub xattrs: Option<Xattrs>,
    /// Its bytes, sealed. `None` for what has no bytes, for the client's (they are in the live file), and for what
    /// could not be had.
    pub object: Option<ObjectId>,
    /// Fingerprint of the lower object (server; base: when it was agreed on).
    pub stamp: Option<Stamp>,
    /// Its names on that side; more than one for hard links.
    #[serde(with = "text::paths")]
    pub places: Vec<RelPath>,
}

/// What a merge driver proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The bytes, sealed.
    pub object: ObjectId,
    /// True when they have conflict markers in them.
    pub markers: bool,
}

/// The second object of a conflict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// The live node, if there is one.
    pub ino: Option<Ino>,
    /// The base object, if there is one.
    pub bid: Option<Bid>,
    /// What the sides had of it.
    pub terms: Terms,
}

impl Terms {
    /// Reads what [`Terms::json`] wrote.
    pub fn parse(json: &str) -> Result<Terms, String> {
        let terms: Terms = serde_json::from_str(json).map_err(|e| e.to_string())?;
        match terms.version {
            1 => Ok(terms),
            found => Err(format!(
                "terms of version {found} were written by a newer driftfs"
            )),
        }
    }

    /// The JSON that is stored.
    pub fn json(&self) -> String {
        let mut terms = self.clone();
        terms.version = 1;
        // Plain values with text keys have no way to fail.
        serde_json::to_string(&terms).expect("terms always serialize")
    }

    /// Every sealed object the terms name.
    pub fn objects(&self) -> Vec<ObjectId> {
        let sides = [&self.base, &self.client, &self.server];
        let own = sides.into_iter().flatten().filter_map(|term| term.object);
        let proposed = self.merged.map(|proposal| proposal.object);
        let second = self.other.iter().flat_map(|second| second.terms.objects());
        own.chain(proposed).chain(second).collect()
    }
}

/// Bytes as JSON text: as they are when they are UTF-8, else `b64:` and base64.
mod text {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    const CODED: &str = "b64:";

    fn write(bytes: &[u8]) -> String {
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.starts_with(CODED) => text.to_owned(),
            _ => format!("{CODED}{}", STANDARD.encode(bytes)),
        }
    }

    fn read<E: Error>(text: &str) -> Result<Vec<u8>, E> {
        match text.strip_prefix(CODED) {
            Some(coded) => STANDARD.decode(coded).map_err(E::custom),
            None => Ok(text.as_bytes().to_vec()),
        }
    }

    pub mod maybe {
        use super::*;

        pub fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
            bytes.as_deref().map(write).serialize(to)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Vec<u8>>, D::Error> {
            let text = Option::<String>::deserialize(from)?;
            text.as_deref().map(read).transpose()
        }
    }

    pub mod xattrs {
        use super::*;
        use crate::model::Xattrs;

        pub fn serialize<S: Serializer>(xattrs: &Option<Xattrs>, to: S) -> Result<S::Ok, S::Error> {
            let pairs = xattrs.as_ref().map(|all| {
                let pairs = all.iter().map(|(name, value)| (write(name), write(value)));
                pairs.collect::<Vec<_>>()
            });
            pairs.serialize(to)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Xattrs>, D::Error> {
            let Some(pairs) = Option::<Vec<(String, String)>>::deserialize(from)? else {
                return Ok(None);
            };
            let mut all = Xattrs::new();
            for (name, value) in pairs {
                all.insert(read(&name)?, read(&value)?);
            }
            Ok(Some(all))
        }
    }

    pub mod paths {
        use super::*;
        use crate::model::RelPath;

        pub fn serialize<S: Serializer>(paths: &[RelPath], to: S) -> Result<S::Ok, S::Error> {
            to.collect_seq(paths.iter().map(|path| write(&path.bytes())))
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<RelPath>, D::Error> {
            let mut paths = Vec::new();
            for text in Vec::<String>::deserialize(from)? {
                paths.push(RelPath::parse(&read(&text)?).map_err(D::Error::custom)?);
            }
            Ok(paths)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, Time};

    #[test]
    fn terms_with_odd_bytes_come_back_as_they_were() {
        let attrs = Attrs {
            kind: Kind::Symlink,
            mode: 0o777,
            uid: 1,
            gid: 2,
            rdev: u64::MAX,
            size: 3,
            mtime: Time { sec: -1, nsec: 5 },
            ctime: Time::default(),
            atime: Time::default(),
        };
        let xattrs = Xattrs::from([
            (b"user.\xff".to_vec(), vec![0, 255]),
            (b"user.a".to_vec(), b"b64:x".to_vec()),
        ]);
        let term = Term {
            attrs,
            target: Some(b"\xfe/x".to_vec()),
            xattrs: Some(xattrs),
            object: Some(ObjectId(4)),
            stamp: None,
            places: vec![RelPath::parse(b"d/\xff").unwrap(), RelPath::root()],
        };
        let terms = Terms {
            version: 1,
            base: None,
            client: Some(term.clone()),
            server: Some(Term {
                xattrs: None,
                target: None,
                ..term
            }),
            merged: Some(Proposal {
                object: ObjectId(9),
                markers: true,
            }),
            rev: 7,
            other: Some(Box::new(Second {
                ino: Some(Ino(5)),
                ..Second::default()
            })),
        };
        assert_eq!(Terms::parse(&terms.json()).unwrap(), terms);
        assert_eq!(terms.objects(), [ObjectId(4), ObjectId(4), ObjectId(9)]);
        assert!(Terms::parse(&terms.json().replacen("\"version\":1", "\"version\":2", 1)).is_err());
    }
}
