//! Paths and times as JSON shows them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::model::{NameError, RelPath, Time};

/// A path in JSON: readable text, and for bytes that are not UTF-8 the exact bytes beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonPath {
    /// The path; bytes that are not UTF-8 shown as U+FFFD.
    pub path: String,
    /// The exact bytes in base64, only where `path` cannot show them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_b64: Option<String>,
}

impl JsonPath {
    /// From bytes.
    pub fn new(bytes: &[u8]) -> JsonPath {
        match std::str::from_utf8(bytes) {
            Ok(text) => JsonPath {
                path: text.to_owned(),
                path_b64: None,
            },
            Err(_) => JsonPath {
                path: String::from_utf8_lossy(bytes).into_owned(),
                path_b64: Some(STANDARD.encode(bytes)),
            },
        }
    }

    /// A path beneath the mount's root; the root itself is `.`.
    pub fn of(path: &RelPath) -> JsonPath {
        JsonPath::new(path.os().as_bytes())
    }

    /// From a host path.
    pub fn host(path: &Path) -> JsonPath {
        JsonPath::new(path.as_os_str().as_bytes())
    }

    /// The exact bytes; what is no base64 counts as not there.
    pub fn bytes(&self) -> Vec<u8> {
        self.path_b64
            .as_deref()
            .and_then(|coded| STANDARD.decode(coded).ok())
            .unwrap_or_else(|| self.path.clone().into_bytes())
    }

    /// As a path beneath the root.
    pub fn rel(&self) -> Result<RelPath, NameError> {
        RelPath::parse(&self.bytes())
    }

    /// As a host path.
    pub fn os(&self) -> OsString {
        OsStr::from_bytes(&self.bytes()).to_owned()
    }
}

impl From<OsString> for JsonPath {
    fn from(path: OsString) -> JsonPath {
        JsonPath::new(&path.into_vec())
    }
}

/// A time as RFC 3339 in UTC.
pub fn rfc3339(time: Time) -> String {
    let nsec = i32::try_from(time.nsec).unwrap_or(0);
    match jiff::Timestamp::new(time.sec, nsec) {
        Ok(stamp) => stamp.to_string(),
        // Years beyond jiff's range: a server may claim any mtime.
        Err(_) => format!("@{}.{:09}", time.sec, time.nsec),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_survive_json() {
        let odd = JsonPath::new(b"caf\xe9/x");
        let text = serde_json::to_string(&odd).unwrap();
        let back: JsonPath = serde_json::from_str(&text).unwrap();
        assert_eq!(back.bytes(), b"caf\xe9/x");
        let plain = serde_json::to_string(&JsonPath::new("é".as_bytes())).unwrap();
        assert_eq!(plain, r#"{"path":"é"}"#);
    }

    #[test]
    fn times_are_utc() {
        let time = Time { sec: 0, nsec: 5 };
        assert_eq!(rfc3339(time), "1970-01-01T00:00:00.000000005Z");
        let far = Time {
            sec: i64::MAX,
            nsec: 0,
        };
        assert!(rfc3339(far).starts_with('@'));
    }
}
