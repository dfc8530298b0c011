//! Guards against: a crash at any commit of any operation that loses what was acknowledged, leaves half of an operation,
//! or loses the bytes of base or of a snapshot.

use std::collections::BTreeMap;

use super::testing::{Lab, WHO, base_of, name};
use super::{RenameMode, TreeError};
use crate::meta::{Node, Sealed, WriteTxn};
use crate::model::{Bytes, Cookie, Ino, Kind, ObjectId};
use crate::sys;

type Step = fn(&Lab) -> Result<(), TreeError>;

fn ino(lab: &Lab, text: &str) -> Result<Ino, TreeError> {
    Ok(lab.lookup(Ino::ROOT, &name(text))?.node.ino)
}

fn store(lab: &Lab, text: &str, bytes: &[u8], truncate: bool) -> Result<(), TreeError> {
    let handle = lab.open_file(ino(lab, text)?, true, truncate, WHO)?;
    lab.write(&handle, 0, bytes, false, false, WHO).map(drop)
}

fn create(lab: &Lab, kind: Kind, text: &str) -> Result<(), TreeError> {
    let new = super::NewNode {
        kind,
        mode: 0o644,
        rdev: 0,
        target: None,
    };
    lab.create(Ino::ROOT, &name(text), &new, WHO).map(drop)
}

fn rename(lab: &Lab, from: &str, to: &str, mode: RenameMode) -> Result<(), TreeError> {
    let (from, to) = (name(from), name(to));
    lab.rename((Ino::ROOT, &from), (Ino::ROOT, &to), mode, WHO)
        .map(drop)
}

fn unlink(lab: &Lab, text: &str) -> Result<(), TreeError> {
    lab.unlink(Ino::ROOT, &name(text), WHO).map(drop)
}

/// A sealed object as a fetch makes it, named by an intent until its user takes it.
fn incoming(lab: &Lab, bytes: &[u8]) -> Result<ObjectId, TreeError> {
    let draft = lab.objects().draft().expect("a draft");
    sys::write_at(draft.file(), 0, bytes).expect("writing a draft");
    lab.commit(|txn| {
        let id = txn.new_object()?;
        lab.objects().seal(draft, id).expect("sealing");
        txn.put_sealed(&Sealed {
            id,
            size: bytes.len() as u64,
            hash: None,
            durable: false,
        })?;
        Ok::<_, TreeError>(id)
    })
}

fn pull(lab: &Lab, text: &str, bytes: &[u8]) -> Result<(), TreeError> {
    let ino = ino(lab, text)?;
    let object = incoming(lab, bytes)?;
    let mut also = |txn: &WriteTxn<'_>, node: &mut Node| {
        let bid = node.bid.ok_or(TreeError::Invalid)?;
        Ok(txn.put_base(&base_of(node, bid))?)
    };
    lab.replace_bytes(ino, object, None, &mut also)
}

fn fetch(lab: &Lab, text: &str, bytes: &[u8]) -> Result<(), TreeError> {
    let ino = ino(lab, text)?;
    let draft = lab.objects().draft().expect("a draft");
    sys::write_at(draft.file(), 0, bytes).expect("writing a draft");
    let bid = lab.row(ino).bid.ok_or(TreeError::Invalid)?;
    let base = lab.meta().read(|rows| rows.base(bid))?;
    lab.place_bytes(ino, draft, &base.ok_or(TreeError::NotFound)?)
}

const STEPS: &[Step] = &[
    |lab| store(lab, "a", b"edited in place", false),
    |lab| lab.snapshot("one", "test").map(drop),
    |lab| store(lab, "a", b"EDITED AGAIN", false),
    |lab| create(lab, Kind::File, "tmp"),
    |lab| store(lab, "tmp", b"saved by an editor", true),
    |lab| rename(lab, "tmp", "b", RenameMode::Replace),
    |lab| pull(lab, "c", b"the server's new one"),
    |lab| lab.snapshot("two", "test").map(drop),
    |lab| pull(lab, "c", b"and once more"),
    |lab| lab.drop_bytes(ino(lab, "d")?),
    |lab| fetch(lab, "d", b"agreed d"),
    |lab| store(lab, "d", b"over", true),
    |lab| unlink(lab, "e"),
    |lab| create(lab, Kind::Dir, "e"),
    |lab| lab.rmdir(Ino::ROOT, &name("e"), WHO).map(drop),
    |lab| rename(lab, "a", "b", RenameMode::Exchange),
    |lab| lab.drop_bytes(ino(lab, "f")?),
    |lab| store(lab, "f", b"fresh", true),
    |lab| lab.sweep().map(drop),
    |lab| lab.sync_names(),
    |lab| unlink(lab, "b"),
];

/// Files with bytes that were agreed on.
fn begin() -> Lab {
    let lab = Lab::new();
    for text in ["a", "b", "c", "d", "e", "f"] {
        lab.file(text, format!("agreed {text}").as_bytes());
        lab.agree(text);
    }
    lab
}

/// What a person can see: names with kind and bytes, of live and of every snapshot.
type Seen = BTreeMap<String, Vec<u8>>;

fn look(lab: &Lab) -> Seen {
    let mut seen = Seen::new();
    for (entry, found) in lab.list(Ino::ROOT, Cookie(0), 100).unwrap() {
        let bytes = match (found.node.attrs.kind, found.node.bytes) {
            (Kind::Dir, _) => b"directory".to_vec(),
            (_, Bytes::Absent) => b"(on the server)".to_vec(),
            _ => lab.bytes(found.node.ino),
        };
        seen.insert(format!("live {}", entry.name), bytes);
    }
    for view in lab.meta().read(|rows| rows.views()).unwrap() {
        let past = lab.meta().read(|rows| {
            let mut found = Vec::new();
            for entry in rows.entries_at(view.epoch, Ino::ROOT)? {
                found.push((rows.bytes_at(view.epoch, entry.ino)?, entry));
            }
            Ok::<_, TreeError>(found)
        });
        for (object, entry) in past.unwrap() {
            let bytes = match object {
                Some(id) => {
                    let file = lab.objects().open_sealed(id).unwrap();
                    sys::read_at(&file, 0, 1 << 20).unwrap()
                }
                None if lab.row(entry.ino).bytes == Bytes::Here => lab.bytes(entry.ino),
                None => b"(on the server)".to_vec(),
            };
            seen.insert(format!("{} {}", view.name, entry.name), bytes);
        }
    }
    seen
}

/// Every base object's bytes are those agreed on, or known not to be here.
fn check_base(lab: &Lab, step: usize) {
    let root = crate::model::Bid::ROOT;
    for (text, bid) in lab.meta().read(|rows| rows.base_entries(root)).unwrap() {
        let Some(bytes) = lab.base_text(bid) else {
            continue;
        };
        let first = format!("agreed {text}").into_bytes();
        let pulled: &[&[u8]] = &[b"the server's new one", b"and once more"];
        let right = bytes == first || (text == name("c") && pulled.contains(&&bytes[..]));
        assert!(right, "step {step}: base of {text}: {bytes:?}");
    }
}

#[test]
fn a_crash_at_any_commit_leaves_each_operation_done_or_not_done() {
    let lab = begin();
    let mut states = vec![look(&lab)];
    for (number, step) in STEPS.iter().enumerate() {
        step(&lab).unwrap_or_else(|error| panic!("step {number}: {error}"));
        states.push(look(&lab));
        check_base(&lab, number);
    }
    for (number, step) in STEPS.iter().enumerate() {
        let mut commits = 0;
        loop {
            let mut lab = begin();
            STEPS[..number].iter().for_each(|step| step(&lab).unwrap());
            lab.meta().stop_after(commits);
            let done = step(&lab);
            lab.kill();
            let seen = look(&lab);
            let allowed = match done {
                Ok(()) => vec![&states[number + 1]],
                // A size of nothing is a state on the way of an open that truncates and a write.
                Err(_) => vec![&states[number], &states[number + 1]],
            };
            let cut = allowed.iter().any(|state| truncated(&seen, state));
            assert!(
                allowed.contains(&&seen) || (done.is_err() && cut),
                "step {number} stopped after {commits}: {seen:#?}, wanted one of {allowed:#?}"
            );
            lab.check();
            check_base(&lab, number);
            if done.is_ok() {
                break;
            }
            commits += 1;
        }
        assert!(commits < 20);
    }
}

/// True when `seen` is `state` but for one live file that is empty.
fn truncated(seen: &Seen, state: &Seen) -> bool {
    let differing =
        |(key, bytes): (&String, &Vec<u8>)| (seen.get(key) != Some(bytes)).then(|| key.clone());
    let keys: Vec<String> = state.iter().filter_map(differing).collect();
    seen.len() == state.len()
        && keys.len() == 1
        && keys[0].starts_with("live ")
        && seen[&keys[0]].is_empty()
}
