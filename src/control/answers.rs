//! The answers, as they stand in the JSON of the commands (docs/formats.md).

use serde::{Deserialize, Serialize};

use super::path::JsonPath;

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To `status`.
    Status(Status),
    /// To `online` and `sync`.
    Settled(Settled),
    /// To `diff`.
    Diff(Diff),
    /// To `plan`.
    Plan(Planned),
    /// To `log`.
    Log(Log),
    /// To `conflicts`.
    Conflicts(Conflicts),
    /// To `resolve`.
    Resolved(Resolved),
    /// To `offline`, `approve` and `stop`: a sentence.
    Said(Said),
}

/// `driftfs st`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Mount point.
    pub mount: String,
    /// Directory of the server.
    pub lower: String,
    /// State directory.
    pub state_dir: String,
    /// The daemon.
    pub pid: u32,
    /// The link.
    pub link: LinkInfo,
    /// What is not on the server yet.
    pub changes: Changes,
    /// Bytes of it.
    pub bytes_waiting: u64,
    /// Conflicts that wait for a decision.
    pub conflicts: usize,
    /// What cannot go on by itself, and why.
    pub pending: Vec<PathReason>,
    /// Remarks that block nothing.
    #[serde(default)]
    pub notes: Vec<PathReason>,
    /// The brake's sentence, while it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brake: Option<String>,
    /// What is kept here.
    pub cache: Cache,
    /// `auto`, `close` or `manual`.
    pub push: String,
    /// Directories whose names are not known here yet.
    pub unlisted: usize,
    /// Objects a rule keeps on this host; they are not among the changes.
    #[serde(default)]
    pub local_only: usize,
    /// Directories that need not be looked at because the server's file system tells of changes in them.
    #[serde(default)]
    pub watched: usize,
}

/// State of the link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkInfo {
    /// `connected`, `suspect`, `disconnected`, `returning`.
    pub state: String,
    /// A sentence, empty while connected.
    pub why: String,
    /// `forced`, `lost`, `identity`, `credentials`, while disconnected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Since when.
    pub since: String,
}

/// Counts of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// New here.
    pub created: usize,
    /// Other bytes.
    pub stored: usize,
    /// Other names.
    pub renamed: usize,
    /// Other attributes.
    pub attributes: usize,
    /// Gone here.
    pub removed: usize,
}

impl Changes {
    /// All of them.
    pub fn total(&self) -> usize {
        self.created + self.stored + self.renamed + self.attributes + self.removed
    }
}

/// What is kept here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes the image they are in can grow to, if they are in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<u64>,
}

/// A path and a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathReason {
    /// Beneath the root.
    #[serde(flatten)]
    pub path: JsonPath,
    /// What happened, why, what next.
    pub reason: String,
}

/// How a merge with the server ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// `clean`, `conflicts`, `offline`, `pending`, `brake`, or `started` when nobody waits.
    pub outcome: String,
    /// Changes carried to the server.
    pub pushed: usize,
    /// Changes taken from the server.
    pub pulled: usize,
    /// Files merged.
    pub merged: usize,
    /// Conflicts that wait for a decision.
    pub conflicts: usize,
    /// What waits, and why.
    pub pending: Vec<PathReason>,
    /// Remarks.
    #[serde(default)]
    pub notes: Vec<PathReason>,
    /// A sentence for a person.
    pub why: String,
}

/// `driftfs diff`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// `client` or `server`: whose changes.
    pub side: String,
    /// One per change.
    pub changes: Vec<DiffItem>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffItem {
    /// `A` created, `M` bytes, `D` removed, `R` renamed, `T` type, `a` attributes.
    pub letter: char,
    /// Beneath the root.
    #[serde(flatten)]
    pub path: JsonPath,
    /// Where it was, for `R`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<JsonPath>,
}

/// `driftfs plan`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// In order.
    pub steps: Vec<PlanStep>,
    /// Conflicts.
    pub conflicts: Vec<PlanClash>,
    /// What waits, and why.
    pub pending: Vec<PathReason>,
    /// Remarks.
    pub notes: Vec<PathReason>,
    /// The brake's sentence, if it would hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brake: Option<String>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// The tree it changes: `client`, `server` or `base`.
    pub side: String,
    /// `make`, `move`, `link`, `unlink`, `remove`, `bytes`, `merge`, `attributes`.
    pub action: String,
    /// Beneath the root.
    #[serde(flatten)]
    pub path: JsonPath,
    /// The new name, for `move`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<JsonPath>,
    /// The rule that decided.
    pub rule: String,
    /// Steps (by position) it needs.
    pub needs: Vec<usize>,
}

/// One conflict a plan would store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanClash {
    /// Beneath the root.
    #[serde(flatten)]
    pub path: JsonPath,
    /// What about.
    pub kind: String,
    /// The rule.
    pub rule: String,
}

/// `driftfs log`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Newest first.
    pub records: Vec<LogItem>,
}

/// One journal row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogItem {
    /// Its number.
    pub seq: u64,
    /// When.
    pub time: String,
    /// On whose behalf.
    pub uid: u32,
    /// Program.
    pub program: String,
    /// What.
    pub verb: String,
    /// Beneath the root, at that moment.
    #[serde(flatten)]
    pub path: JsonPath,
    /// More words.
    pub detail: String,
}

/// `driftfs conflicts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflicts {
    /// Oldest first.
    pub conflicts: Vec<ConflictItem>,
}

/// One conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictItem {
    /// Beneath the root.
    #[serde(flatten)]
    pub path: JsonPath,
    /// What about.
    pub kind: String,
    /// When it was found.
    pub since: String,
    /// Where each version can be read: word to absolute path. A side that deleted has none.
    pub variants: std::collections::BTreeMap<String, String>,
    /// The exact bytes in base64 of those paths that are not UTF-8.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub variants_b64: std::collections::BTreeMap<String, String>,
}

/// `driftfs resolve`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Which version was taken.
    pub take: String,
    /// One per conflict.
    pub resolved: Vec<ResolvedItem>,
    /// Conflicts that are left.
    pub conflicts: usize,
}

/// What became of one conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedItem {
    /// Beneath the root.
    #[serde(flatten)]
    pub path: JsonPath,
    /// True when decided.
    pub done: bool,
    /// Why not, or what else happened.
    pub note: String,
}

/// A sentence, with the number of changes that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The sentence.
    pub said: String,
    /// Changes that are not on the server yet.
    pub unsent: usize,
    /// The daemon that ends (`stop`).
    #[serde(default)]
    pub pid: u32,
    /// Programs that keep the mount in use (`stop`).
    #[serde(default)]
    pub busy: Vec<String>,
}
