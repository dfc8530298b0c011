//! What goes between the daemon and its agent: every call of [`Lower`] as a value, and every answer.

use std::fs::File;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Answer, Attempt, AttemptState, Done, Events, Expect, Fetched, Lower, LowerError, New, Packed,
    Part, PartOf, Probe, SetAttrs, Slot, Watch, Watched,
};
use crate::model::{Listing, Name, Observed, RelPath};

/// The calls of [`Lower`] by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Call {
    Probe,
    List,
    Look,
    Read,
    Begin,
    Stage,
    Publish,
    Take,
    Link,
    Set,
    Attempt,
    Fence,
    End,
    Watch,
    Events,
}

impl Call {
    /// The word in messages.
    pub fn word(self) -> &'static str {
        match self {
            Call::Probe => "probe",
            Call::List => "list",
            Call::Look => "look",
            Call::Read => "read",
            Call::Begin => "begin",
            Call::Stage => "stage",
            Call::Publish => "publish",
            Call::Take => "take",
            Call::Link => "link",
            Call::Set => "set",
            Call::Attempt => "attempt",
            Call::Fence => "fence",
            Call::End => "end",
            Call::Watch => "watch",
            Call::Events => "events",
        }
    }

    /// True when it may change something on the server: such a call is given more time.
    pub fn changes(self) -> bool {
        !matches!(
            self,
            Call::Probe
                | Call::List
                | Call::Look
                | Call::Read
                | Call::Attempt
                | Call::Watch
                | Call::Events
        )
    }
}

/// One call with its arguments. A local file it needs travels beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    Probe,
    List {
        dir: RelPath,
        xattrs: bool,
    },
    Look {
        path: RelPath,
        xattrs: bool,
    },
    Read {
        path: RelPath,
    },
    ReadMany {
        dir: RelPath,
        names: Vec<Name>,
        most: u64,
    },
    ReadPart(PartOf),
    Begin(Attempt),
    Stage {
        attempt: Attempt,
        new: New,
    },
    Publish {
        attempt: Attempt,
        to: RelPath,
        expect: Expect,
    },
    Take {
        attempt: Attempt,
        from: RelPath,
        expect: Expect,
        slot: Slot,
    },
    Link {
        attempt: Attempt,
        from: RelPath,
        expect: Expect,
    },
    Set {
        path: RelPath,
        expect: Expect,
        change: SetAttrs,
    },
    Attempt(Attempt),
    Fence {
        from: Attempt,
        to: Attempt,
    },
    End {
        attempt: Attempt,
        retain: Option<String>,
    },
    Watch {
        dirs: Vec<Watch>,
        drop: Vec<u64>,
    },
    Events(Duration),
}

/// One answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Told {
    Nothing,
    Probe(Box<Probe>),
    Listing(Listing),
    Look(Option<Observed>),
    Fetched(Fetched),
    Packed(Vec<Answer<Packed>>),
    Part(Box<Part>),
    Done(Done),
    Observed(Observed),
    State(AttemptState),
    Watched(Watched),
    Events(Events),
}

/// A numbered call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub id: u64,
    pub ask: Ask,
}

/// What the agent says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The call goes on: bytes moved.
    Beat(u64),
    /// It has ended.
    Answer(u64, Answer<Told>),
}

impl Ask {
    /// Which call this is.
    pub fn call(&self) -> Call {
        match self {
            Ask::Probe => Call::Probe,
            Ask::List { .. } => Call::List,
            Ask::Look { .. } => Call::Look,
            Ask::Read { .. } => Call::Read,
            Ask::ReadMany { .. } | Ask::ReadPart(_) => Call::Read,
            Ask::Begin(_) => Call::Begin,
            Ask::Stage { .. } => Call::Stage,
            Ask::Publish { .. } => Call::Publish,
            Ask::Take { .. } => Call::Take,
            Ask::Link { .. } => Call::Link,
            Ask::Set { .. } => Call::Set,
            Ask::Attempt(_) => Call::Attempt,
            Ask::Fence { .. } => Call::Fence,
            Ask::End { .. } => Call::End,
            Ask::Watch { .. } => Call::Watch,
            Ask::Events(_) => Call::Events,
        }
    }

    /// For messages: the call and its path.
    pub fn said(&self) -> String {
        let word = self.call().word();
        match self {
            Ask::List { dir: path, .. }
            | Ask::Look { path, .. }
            | Ask::Read { path }
            | Ask::Publish { to: path, .. }
            | Ask::Take { from: path, .. }
            | Ask::Link { from: path, .. }
            | Ask::Set { path, .. } => format!("{word} {path}"),
            Ask::ReadPart(part) => {
                format!(
                    "{word} {} [{}, {})",
                    part.path,
                    part.at,
                    part.at.saturating_add(part.len)
                )
            }
            Ask::ReadMany { dir, names, .. } => match names.first() {
                Some(first) => format!("{word} {}", dir.join(first)),
                None => word.to_string(),
            },
            _ => word.to_string(),
        }
    }

    /// Carries the call out on `lower`.
    pub fn perform(&self, lower: &dyn Lower, file: Option<&File>) -> Answer<Told> {
        match self {
            Ask::Probe => lower.probe().map(|probe| Told::Probe(Box::new(probe))),
            Ask::List { dir, xattrs } => lower.list(dir, *xattrs).map(Told::Listing),
            Ask::Look { path, xattrs } => lower.look(path, *xattrs).map(Told::Look),
            Ask::Read { path } => match file {
                Some(into) => lower.read(path, into).map(Told::Fetched),
                None => Err(confused("no file came with a read")),
            },
            Ask::ReadMany { dir, names, most } => match file {
                Some(into) => lower.read_many(dir, names, *most, into).map(Told::Packed),
                None => Err(confused("no file came with a read")),
            },
            Ask::ReadPart(part) => match file {
                Some(into) => lower
                    .read_part(part, into)
                    .map(|part| Told::Part(Box::new(part))),
                None => Err(confused("no file came with a read")),
            },
            Ask::Begin(attempt) => lower.begin(*attempt).map(|()| Told::Nothing),
            Ask::Stage { attempt, new } => lower.stage(*attempt, new, file).map(Told::Done),
            Ask::Publish {
                attempt,
                to,
                expect,
            } => lower.publish(*attempt, to, expect).map(Told::Done),
            Ask::Take {
                attempt,
                from,
                expect,
                slot,
            } => lower
                .take(*attempt, from, expect, *slot)
                .map(Told::Observed),
            Ask::Link {
                attempt,
                from,
                expect,
            } => lower.link(*attempt, from, expect).map(Told::Observed),
            Ask::Set {
                path,
                expect,
                change,
            } => lower.set(path, expect, change).map(Told::Done),
            Ask::Attempt(attempt) => lower.attempt(*attempt).map(Told::State),
            Ask::Fence { from, to } => lower.fence(*from, *to).map(Told::State),
            Ask::End { attempt, retain } => lower
                .end(*attempt, retain.as_deref())
                .map(|()| Told::Nothing),
            Ask::Watch { dirs, drop } => lower.watch(dirs, drop).map(Told::Watched),
            Ask::Events(wait) => lower.events(*wait).map(Told::Events),
        }
    }
}

/// Somebody who carries out calls given as values.
pub(super) trait Asked: Send + Sync {
    /// Carries out one call.
    fn ask(&self, ask: Ask, file: Option<&File>) -> Answer<Told>;

    /// See [`Lower::renew`].
    fn renew_asked(&self) {}
}

/// The answer had another form than its question asks for.
fn confused(why: &str) -> LowerError {
    LowerError::Link {
        what: "understand the agent".into(),
        why: why.into(),
    }
}

/// Takes the one form of answer a call has.
macro_rules! expect_told {
    ($told:expr, $form:pat => $value:expr) => {
        match $told? {
            $form => Ok($value),
            _ => Err(confused("an answer to another question came")),
        }
    };
}

impl<T: Asked> Lower for T {
    fn probe(&self) -> Answer<Probe> {
        expect_told!(self.ask(Ask::Probe, None), Told::Probe(probe) => *probe)
    }

    fn list(&self, dir: &RelPath, xattrs: bool) -> Answer<Listing> {
        let dir = dir.clone();
        expect_told!(self.ask(Ask::List { dir, xattrs }, None), Told::Listing(found) => found)
    }

    fn look(&self, path: &RelPath, xattrs: bool) -> Answer<Option<Observed>> {
        let path = path.clone();
        expect_told!(self.ask(Ask::Look { path, xattrs }, None), Told::Look(found) => found)
    }

    fn read(&self, path: &RelPath, into: &File) -> Answer<Fetched> {
        let path = path.clone();
        expect_told!(self.ask(Ask::Read { path }, Some(into)), Told::Fetched(found) => found)
    }

    fn read_many(
        &self,
        dir: &RelPath,
        names: &[Name],
        most: u64,
        into: &File,
    ) -> Answer<Vec<Answer<Packed>>> {
        let (dir, names) = (dir.clone(), names.to_vec());
        let ask = Ask::ReadMany { dir, names, most };
        expect_told!(self.ask(ask, Some(into)), Told::Packed(packed) => packed)
    }

    fn read_part(&self, part: &PartOf, into: &File) -> Answer<Part> {
        let ask = Ask::ReadPart(part.clone());
        expect_told!(self.ask(ask, Some(into)), Told::Part(part) => *part)
    }

    fn begin(&self, attempt: Attempt) -> Answer<()> {
        expect_told!(self.ask(Ask::Begin(attempt), None), Told::Nothing => ())
    }

    fn stage(&self, attempt: Attempt, new: &New, bytes: Option<&File>) -> Answer<Done> {
        let new = new.clone();
        expect_told!(self.ask(Ask::Stage { attempt, new }, bytes), Told::Done(done) => done)
    }

    fn publish(&self, attempt: Attempt, to: &RelPath, expect: &Expect) -> Answer<Done> {
        let (to, expect) = (to.clone(), *expect);
        let ask = Ask::Publish {
            attempt,
            to,
            expect,
        };
        expect_told!(self.ask(ask, None), Told::Done(done) => done)
    }

    fn take(
        &self,
        attempt: Attempt,
        from: &RelPath,
        expect: &Expect,
        slot: Slot,
    ) -> Answer<Observed> {
        let (from, expect) = (from.clone(), *expect);
        let ask = Ask::Take {
            attempt,
            from,
            expect,
            slot,
        };
        expect_told!(self.ask(ask, None), Told::Observed(seen) => seen)
    }

    fn link(&self, attempt: Attempt, from: &RelPath, expect: &Expect) -> Answer<Observed> {
        let (from, expect) = (from.clone(), *expect);
        let ask = Ask::Link {
            attempt,
            from,
            expect,
        };
        expect_told!(self.ask(ask, None), Told::Observed(seen) => seen)
    }

    fn set(&self, path: &RelPath, expect: &Expect, change: &SetAttrs) -> Answer<Done> {
        let (path, expect, change) = (path.clone(), *expect, change.clone());
        let ask = Ask::Set {
            path,
            expect,
            change,
        };
        expect_told!(self.ask(ask, None), Told::Done(done) => done)
    }

    fn attempt(&self, attempt: Attempt) -> Answer<AttemptState> {
        expect_told!(self.ask(Ask::Attempt(attempt), None), Told::State(state) => state)
    }

    fn fence(&self, from: Attempt, to: Attempt) -> Answer<AttemptState> {
        expect_told!(self.ask(Ask::Fence { from, to }, None), Told::State(state) => state)
    }

    fn end(&self, attempt: Attempt, retain: Option<&str>) -> Answer<()> {
        let retain = retain.map(str::to_string);
        expect_told!(self.ask(Ask::End { attempt, retain }, None), Told::Nothing => ())
    }

    fn watch(&self, dirs: &[Watch], drop: &[u64]) -> Answer<Watched> {
        let (dirs, drop) = (dirs.to_vec(), drop.to_vec());
        expect_told!(self.ask(Ask::Watch { dirs, drop }, None), Told::Watched(done) => done)
    }

    fn events(&self, wait: Duration) -> Answer<Events> {
        expect_told!(self.ask(Ask::Events(wait), None), Told::Events(events) => events)
    }

    fn renew(&self) {
        self.renew_asked();
    }
}
