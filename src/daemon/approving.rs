//! What only a person may allow: a plan the brake stopped, or another share.

use super::dispatch::failed;
use super::engine::Engine;
use super::{showing, syncing};
use crate::control::{Code, Refusal, Said};
use crate::link::{Event, State, Why};
use crate::lower::Lower;
use crate::meta::{MetaError, Rows, WriteTxn};
use crate::model::{Bid, Kind};
use crate::reintegrate::Mode;

/// Releases the brake for one merge.
pub(super) fn brake(engine: &Engine) -> Result<Said, Refusal> {
    let held = engine
        .last_report()
        .as_ref()
        .is_some_and(|report| report.brake.is_some());
    if !held {
        let identity = engine.link.state() == State::Disconnected(Why::Identity);
        return Err(Refusal::new(
            Code::Usage,
            if identity {
                "the brake does not hold; the share is another one\n  next: driftfs approve --identity"
            } else {
                "nothing waits for an approval\n  next: driftfs st"
            },
        ));
    }
    let settled = syncing::settle(engine, &Mode::Approved);
    let unsent = showing::unsent(engine);
    Ok(Said {
        said: settled.why,
        unsent,
        ..Said::default()
    })
}

/// Accepts what is there now as the share. Numbers and times of a restored server prove nothing, so every stamp is
/// made racy: bytes are compared by their hash before anything is replaced.
pub(super) fn identity(engine: &Engine) -> Result<Said, Refusal> {
    let open = engine.gate.hold_open();
    engine.lower.renew();
    let probe = engine.lower.probe().map_err(|error| {
        Refusal::new(
            Code::Offline,
            format!("the server cannot be looked at: {error}\n  next: mount the share, then driftfs approve --identity"),
        )
    })?;
    engine
        .tree
        .commit(demote)
        .and_then(|()| engine.gate.accept(&probe))
        .map_err(|error| failed("the approval could not be stored", error))?;
    drop(open);
    // The agent that was let in for this look is not let in for more.
    engine.lower.renew();
    engine.note("approve", "identity");
    if engine.link.state() != State::Disconnected(Why::Forced) {
        engine.step(&Event::Online, "");
        engine.link.poke();
    }
    Ok(Said {
        said: "what is there now is the share from now on; every file is compared by its contents before anything is replaced\n  next: driftfs online --wait".into(),
        unsent: showing::unsent(engine),
        ..Said::default()
    })
}

fn demote(txn: &WriteTxn<'_>) -> Result<(), MetaError> {
    let mut left = vec![Bid::ROOT];
    let mut seen = std::collections::HashSet::new();
    while let Some(dir) = left.pop() {
        for (_, bid) in txn.base_entries(dir)? {
            if !seen.insert(bid) {
                continue;
            }
            if let Some(Kind::Dir) = demote_one(txn, bid)? {
                left.push(bid);
            }
        }
    }
    Ok(())
}

fn demote_one(txn: &WriteTxn<'_>, bid: Bid) -> Result<Option<Kind>, MetaError> {
    let rows: &Rows<'_> = txn;
    let Some(mut base) = rows.base(bid)? else {
        return Ok(None);
    };
    let kind = base.attrs.kind;
    if kind == Kind::File && !base.stamp.racy {
        base.stamp.racy = true;
        txn.put_base(&base)?;
    }
    Ok(Some(kind))
}
