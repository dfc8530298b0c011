//! Lines: merged three ways, as `git merge-file` does.

use std::num::NonZeroU8;

use gix_imara_diff::{Algorithm, InternedInput};
use gix_merge::blob::Resolution;
use gix_merge::blob::builtin_driver::text;

use super::endings;

/// How many bytes git looks at to tell text from binary.
const LOOK: usize = 8000;

/// Width of markers, as git draws them.
const MARKER: NonZeroU8 = NonZeroU8::new(text::Conflict::DEFAULT_MARKER_SIZE).expect("seven");

/// What stands behind the markers of a proposal.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// Behind `|||||||`.
    pub base: &'a str,
    /// Behind `<<<<<<<`.
    pub client: &'a str,
    /// Behind `>>>>>>>`.
    pub server: &'a str,
}

impl Default for Labels<'_> {
    fn default() -> Self {
        Labels {
            base: "base",
            client: "client",
            server: "server",
        }
    }
}

/// The result of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The merged bytes, or a proposal with markers (diff3) which must not become the live file.
    pub bytes: Vec<u8>,
    /// True when nothing clashed.
    pub clean: bool,
}

/// True for what git takes for text: no NUL in the first 8000 bytes.
pub fn is_text(bytes: &[u8]) -> bool {
    !bytes[..bytes.len().min(LOOK)].contains(&0)
}

/// Merges three texts line by line. When a side ends its lines differently (CRLF, LF), endings do not count as changes
/// and the result has the client's.
pub fn merge_text(base: &[u8], client: &[u8], server: &[u8], labels: Labels<'_>) -> Merged {
    let Some(crlf) = endings::differ([base, client, server], client) else {
        return lines(base, client, server, labels);
    };
    let [base, client, server] = [base, client, server].map(endings::to_lf);
    let merged = lines(&base, &client, &server, labels);
    let bytes = if crlf {
        endings::to_crlf(&merged.bytes)
    } else {
        merged.bytes
    };
    Merged {
        bytes,
        clean: merged.clean,
    }
}

/// The merge proper. What git merges cleanly is taken; else the proposal shows base too.
fn lines(base: &[u8], client: &[u8], server: &[u8], labels: Labels<'_>) -> Merged {
    let names = text::Labels {
        ancestor: Some(labels.base.into()),
        current: Some(labels.client.into()),
        other: Some(labels.server.into()),
    };
    let keep = |style| text::Conflict::Keep {
        style,
        marker_size: MARKER,
    };
    let mut input = InternedInput::default();
    let merge = text::Merge::new(&mut input, client, base, server, Algorithm::Myers);
    let mut bytes = Vec::new();
    let resolution = merge.run(&mut bytes, names, keep(text::ConflictStyle::Merge));
    let clean = resolution != Resolution::Conflict;
    if !clean {
        merge.run(&mut bytes, names, keep(text::ConflictStyle::Diff3));
    }
    Merged { bytes, clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(base: &str, client: &str, server: &str) -> (String, bool) {
        let all = [base, client, server].map(str::as_bytes);
        let merged = merge_text(all[0], all[1], all[2], Labels::default());
        (String::from_utf8(merged.bytes).unwrap(), merged.clean)
    }

    #[test]
    fn changes_apart_from_each_other_merge() {
        let merged = merged("1\n2\n3\n4\n5\n", "one\n2\n3\n4\n5\n", "1\n2\n3\n4\nfive\n");
        assert_eq!(merged, ("one\n2\n3\n4\nfive\n".into(), true));
    }

    #[test]
    fn a_conflict_proposes_all_three() {
        let (text, clean) = merged("a\n", "b\n", "c\n");
        assert!(!clean);
        assert_eq!(
            text,
            "<<<<<<< client\nb\n||||||| base\na\n=======\nc\n>>>>>>> server\n"
        );
    }

    #[test]
    fn other_line_endings_are_no_change_and_the_clients_stay() {
        let (text, clean) = merged("1\n2\n3\n4\n", "1\r\n2\r\n3\r\nfour\r\n", "one\n2\n3\n4\n");
        assert_eq!((text.as_str(), clean), ("one\r\n2\r\n3\r\nfour\r\n", true));
        let (text, clean) = merged("1\n2\n3\n4\n", "one\n2\n3\n4\n", "1\r\n2\r\n3\r\nfour\r\n");
        assert_eq!((text.as_str(), clean), ("one\n2\n3\nfour\n", true));
    }
}
