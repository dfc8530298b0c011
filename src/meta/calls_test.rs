//! The promises of single calls.

use std::collections::BTreeSet;

use super::{BaseNode, Conflict, Meta, MetaError, Node, Rows, Sealed, WriteTxn};
use crate::model::{
    Bid, ConflictId, ConflictKind, Cookie, Dirty, Epoch, Hash, Ino, Kind, Name, ObjectId, RelPath,
    Time,
};

pub(super) fn open(dir: &tempfile::TempDir) -> Meta {
    Meta::open(dir.path()).unwrap()
}

pub(super) fn name(text: &str) -> Name {
    Name::try_from(text).unwrap()
}

pub(super) fn read<T>(meta: &Meta, work: impl FnOnce(&Rows<'_>) -> Result<T, MetaError>) -> T {
    meta.read(work).unwrap()
}

pub(super) fn write<T>(meta: &Meta, work: impl FnOnce(&WriteTxn<'_>) -> Result<T, MetaError>) -> T {
    meta.write(work).unwrap()
}

fn root(rows: &Rows<'_>) -> Node {
    rows.node(Ino::ROOT).unwrap().unwrap()
}

pub(super) fn file(txn: &WriteTxn<'_>) -> Result<Node, MetaError> {
    let mut node = root(txn);
    node.ino = txn.new_ino(None)?;
    node.bid = None;
    node.attrs.kind = Kind::File;
    node.nlink = 0;
    node.rev = 0;
    Ok(node)
}

#[test]
fn a_new_database_is_sound_and_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let meta = open(&dir);
        assert_eq!(read(&meta, |rows| rows.doctor()), Vec::<String>::new());
        assert_eq!(read(&meta, |rows| rows.epoch()), Epoch(1));
        assert_eq!(read(&meta, |rows| rows.unlisted(9)), [Ino::ROOT]);
        assert_eq!(read(&meta, |rows| rows.count_unlisted()), 1);
        assert!(read(&meta, |rows| rows.base(Bid::ROOT)).is_some());
        meta.flush().unwrap();
    }
}

#[test]
fn a_database_of_the_first_format_is_taken_to_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    let db = rusqlite::Connection::open(dir.path().join("meta.db")).unwrap();
    db.execute_batch("DROP TABLE partial; PRAGMA user_version = 1")
        .unwrap();
    drop(db);
    let meta = open(&dir);
    let none = read(&meta, |rows| rows.partials());
    assert_eq!(none, []);
    drop(meta);
    // And once is enough.
    assert_eq!(read(&open(&dir), |rows| rows.partial(Ino(7))), None);
}

#[test]
fn a_newer_format_and_a_foreign_file_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    let db = rusqlite::Connection::open(dir.path().join("meta.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    let refused = Meta::open(dir.path()).err().unwrap();
    assert!(matches!(refused, MetaError::Version { found: 99, .. }));
    db.pragma_update(None, "application_id", 7).unwrap();
    assert!(matches!(
        Meta::open(dir.path()).err().unwrap(),
        MetaError::Damaged { .. }
    ));
}

#[test]
fn an_error_takes_all_of_a_transaction_back_but_gives_no_number_twice() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    let mut given = BTreeSet::new();
    for round in 0..5 {
        let failed: Result<(), MetaError> = meta.write(|txn| {
            txn.set_setting("key", Some("value"))?;
            assert!(given.insert(txn.new_object()?));
            if round == 3 {
                Ok(())
            } else {
                Err(MetaError::Full)
            }
        });
        assert_eq!(failed.is_ok(), round == 3);
        assert_eq!(
            read(&meta, |rows| rows.setting("key")).is_some(),
            round >= 3
        );
    }
    drop(meta);
    let meta = open(&dir);
    assert!(given.insert(write(&meta, |txn| txn.new_object())));
}

#[test]
fn a_panic_inside_a_transaction_leaves_nothing_and_blocks_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        write(&meta, |txn| {
            txn.set_setting("key", Some("value"))?;
            let nothing: Option<()> = None;
            nothing.expect("the panic this test is about");
            Ok(())
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(read(&meta, |rows| rows.setting("key")), None);
    write(&meta, |txn| txn.set_setting("key", Some("after")));
    assert_eq!(
        read(&meta, |rows| rows.setting("key")).as_deref(),
        Some("after")
    );
}

#[test]
fn a_reader_sees_one_moment_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    read(&meta, |rows| {
        assert_eq!(rows.setting("key")?, None);
        write(&meta, |txn| txn.set_setting("key", Some("value")));
        assert_eq!(rows.setting("key")?, None);
        Ok(())
    });
    assert!(read(&meta, |rows| rows.setting("key")).is_some());
}

#[test]
fn lower_numbers_are_taken_once_and_ours_begin_at_2_52() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    write(&meta, |txn| {
        assert_eq!(txn.new_ino(Some(77))?, Ino(77));
        assert_eq!(txn.new_ino(Some(77))?, Ino(Ino::OURS));
        for never in [0, 1, Ino::OURS, u64::MAX] {
            assert!(txn.new_ino(Some(never))?.0 >= Ino::OURS);
        }
        Ok(())
    });
    drop(meta);
    let meta = open(&dir);
    assert!(write(&meta, |txn| txn.new_ino(Some(77))).0 > Ino::OURS);
}

#[test]
fn cookies_grow_and_do_not_come_again_when_a_directory_was_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = Cookie(2);
    for _ in 0..4 {
        let meta = open(&dir);
        write(&meta, |txn| {
            let cookie = txn.put_entry(Ino::ROOT, &name("a"), Ino(9))?;
            assert!(cookie > last);
            assert_eq!(txn.put_entry(Ino::ROOT, &name("a"), Ino(9))?, cookie);
            assert!(txn.put_entry(Ino::ROOT, &name("a"), Ino(8))? > cookie);
            last = txn.put_entry(Ino::ROOT, &name("b"), Ino(9))?;
            assert_eq!(txn.entries(Ino::ROOT, cookie, 9)?.len(), 2);
            txn.drop_entry(Ino::ROOT, &name("a"))?;
            txn.drop_entry(Ino::ROOT, &name("b"))
        });
    }
}

#[test]
fn rows_come_back_as_they_were_stored() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    write(&meta, |txn| {
        let mut node = file(txn)?;
        node.nlink = 1;
        node.bid = Some(Bid::ROOT);
        node.target = Some(b"x".to_vec());
        node.xattrs.insert(b"user.a".to_vec(), vec![0, 255]);
        node.dirty = Dirty::BYTES.with(Dirty::NAMES);
        node.attrs.mtime = Time {
            sec: -5,
            nsec: 999_999_999,
        };
        node.listed = Some(Epoch(1));
        txn.put_node(&node)?;
        assert_eq!(txn.node(node.ino)?, Some(node.clone()));
        assert_eq!(txn.nodes_of(Bid::ROOT)?, [Ino::ROOT, node.ino]);
        assert_eq!(txn.dirty()?, [node.clone()]);
        txn.put_entry(Ino::ROOT, &name("f"), node.ino)?;
        let path = RelPath::parse(b"f").unwrap();
        assert_eq!(txn.path(node.ino)?, Some(path.clone()));
        assert_eq!(txn.resolve(&path)?, Some(node.clone()));

        let mut base: BaseNode = txn.base(Bid::ROOT)?.unwrap();
        base.bid = txn.new_bid()?;
        base.attrs.kind = Kind::File;
        base.stamp.ino = u64::MAX;
        base.hash = Some(Hash([7; 32]));
        base.object = Some(ObjectId(3));
        txn.put_base(&base)?;
        txn.put_base_entry(Bid::ROOT, &name("f"), base.bid)?;
        assert_eq!(txn.base(base.bid)?, Some(base.clone()));
        assert_eq!(txn.base_of_lower(u64::MAX)?, [base.bid]);
        assert_eq!(txn.base_path(base.bid)?, Some(path.clone()));
        assert_eq!(txn.base_resolve(&path)?, Some(base.bid));
        node.bid = Some(base.bid);
        txn.put_node(&node)?;
        txn.drop_base(base.bid)?;
        assert_eq!(txn.node(node.ino)?.unwrap().bid, None);
        assert_eq!(txn.base_resolve(&path)?, None);
        Ok(())
    });
    assert_eq!(read(&meta, |rows| rows.doctor()), Vec::<String>::new());
}

#[test]
fn a_sealed_object_is_garbage_only_when_nothing_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    write(&meta, |txn| {
        let mut ids = Vec::new();
        for _ in 0..5 {
            let id = txn.new_object()?;
            let sealed = Sealed {
                id,
                size: 1,
                hash: None,
                durable: false,
            };
            txn.put_sealed(&sealed)?;
            assert_eq!(txn.sealed(id)?, Some(sealed));
            ids.push(id);
        }
        let mut base = txn.base(Bid::ROOT)?.unwrap();
        base.object = Some(ids[0]);
        txn.put_base(&base)?;
        txn.put_view("v", "test", Time::default())?;
        txn.put_past_bytes(Ino(5), Epoch(1), ids[1])?;
        let intent = txn.add_intent("k", "{}", &[ids[2]])?;
        let conflict = txn.add_conflict(&conflict(&[ids[3]]))?;
        assert_eq!(txn.garbage()?, [ids[4]]);
        txn.set_intent(intent, "{}", &[ids[4]])?;
        assert_eq!(txn.garbage()?, [ids[2]]);
        txn.drop_intent(intent)?;
        txn.drop_conflict(conflict)?;
        txn.drop_view("v")?;
        assert_eq!(txn.garbage()?, ids[1..]);
        txn.set_durable(&ids[..2])?;
        assert_eq!(txn.volatile()?, ids[2..]);
        txn.drop_sealed(&ids[1..])?;
        assert_eq!(txn.all_sealed()?.len(), 1);
        Ok(())
    });
    assert_eq!(read(&meta, |rows| rows.doctor()), Vec::<String>::new());
}

fn conflict(objects: &[ObjectId]) -> Conflict {
    Conflict {
        id: ConflictId(0),
        kind: ConflictKind::DirCycle,
        ino: Some(Ino(5)),
        bid: None,
        path: RelPath::parse(b"a/b").unwrap(),
        since: Time { sec: 1, nsec: 2 },
        terms: "{}".to_owned(),
        objects: objects.to_vec(),
    }
}

#[test]
fn conflicts_come_back_as_they_were_stored() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    write(&meta, |txn| {
        let mut stored = conflict(&[ObjectId(1), ObjectId(2)]);
        stored.id = txn.add_conflict(&stored)?;
        assert_eq!(txn.conflicts()?, [stored.clone()]);
        assert_eq!(txn.conflicts_of(Ino(5))?, [stored]);
        assert_eq!(txn.conflicts_of(Ino(6))?, []);
        Ok(())
    });
    assert!(
        !read(&meta, |rows| rows.doctor()).is_empty(),
        "objects without rows must be found"
    );
}

#[test]
fn the_doctor_finds_each_sort_of_damage() {
    let damage = [
        "INSERT INTO entry VALUES(1, x'61', 999, 3, 1)",
        "INSERT INTO entry VALUES(999, x'61', 1, 3, 1)",
        "UPDATE node SET listed = 1, nlink = 3",
        "UPDATE node SET bid = 99",
        "UPDATE node SET since = 50",
        "DELETE FROM node",
        "INSERT INTO base_entry VALUES(1, x'61', 99)",
        "INSERT INTO base_entry VALUES(99, x'61', 1)",
        "INSERT INTO past_bytes VALUES(1, 1, 2, 5)",
        "INSERT INTO past_bytes VALUES(1, 1, 3, 5)",
        "INSERT INTO past_node SELECT ino, 1, 9, bid, kind, attrs, nlink, target, xattrs, bytes_since, rev, dirty,
            writer, live_stat, durable, listed, fetched, presence FROM node",
    ];
    for command in damage {
        let dir = tempfile::tempdir().unwrap();
        let meta = open(&dir);
        write(&meta, |txn| txn.run("damage", command, []));
        assert!(!read(&meta, |rows| rows.doctor()).is_empty(), "{command}");
    }
}

#[test]
fn a_stopped_database_keeps_what_was_committed_before() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    meta.stop_after(1);
    write(&meta, |txn| txn.set_setting("a", Some("1")));
    let refused: Result<(), MetaError> = meta.write(|txn| txn.set_setting("b", Some("2")));
    assert!(matches!(refused, Err(MetaError::Stopped)));
    drop(meta);
    let meta = open(&dir);
    assert!(read(&meta, |rows| rows.setting("a")).is_some());
    assert!(read(&meta, |rows| rows.setting("b")).is_none());
}
