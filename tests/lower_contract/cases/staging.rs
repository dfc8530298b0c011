use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use driftfs::lower::{LowerError, New};
use driftfs::model::{Kind, RelPath, Time};

use crate::rig::{FIRST, Rig, SECOND, is_root, local, new};

pub fn begin_twice_is_fine(rig: &Rig) {
    rig.lower.begin(FIRST).unwrap();
    rig.lower.begin(FIRST).unwrap();
    assert!(rig.tx(FIRST, "").is_dir());
    let mode = |name: &str| fs::metadata(rig.at(name)).unwrap().mode() & 0o7777;
    // Everybody may stage; nobody reads what another stages.
    assert_eq!((mode(".driftfs"), mode(".driftfs/tx")), (0o1777, 0o1777));
    assert_eq!(
        fs::metadata(rig.tx(FIRST, "")).unwrap().mode() & 0o7777,
        0o700
    );
}

pub fn the_id_is_made_once(rig: &Rig) {
    rig.lower.begin(FIRST).unwrap();
    let id = rig.text(".driftfs/id");
    assert!(
        id.starts_with("driftfs ") && id.trim().len() == 8 + 32,
        "{id:?}"
    );
    rig.lower.begin(SECOND).unwrap();
    assert_eq!(rig.text(".driftfs/id"), id);
    let drafts = fs::read_dir(rig.at(".driftfs")).unwrap().count();
    assert_eq!(drafts, 2, "only id and tx");
}

pub fn a_foreign_directory_of_our_name_is_left_alone(rig: &Rig) {
    rig.put(".driftfs/diary", "mine");
    let begun = rig.lower.begin(FIRST);
    assert!(
        matches!(begun, Err(LowerError::Refused { .. })),
        "{begun:?}"
    );
    assert_eq!(fs::read_dir(rig.at(".driftfs")).unwrap().count(), 1);
}

pub fn staging_without_begin_is_not_found(rig: &Rig) {
    let staged = rig.lower.stage(FIRST, &new(Kind::File), None);
    assert!(matches!(staged, Err(LowerError::NotFound(_))), "{staged:?}");
}

pub fn a_staged_file_has_bytes_and_attributes(rig: &Rig) {
    rig.lower.begin(FIRST).unwrap();
    let mut wanted = new(Kind::File);
    wanted.attrs.mode = 0o640;
    wanted.attrs.mtime = Time {
        sec: 1_500_000_000,
        nsec: 123_456_789,
    };
    wanted.xattrs.insert(b"user.note".to_vec(), b"hi".to_vec());
    let bytes = local(&vec![7; 2_500_000]);
    let done = rig.lower.stage(FIRST, &wanted, Some(&bytes)).unwrap();
    assert_eq!(done.refused, Vec::<String>::new());
    assert_eq!(done.seen.attrs.mtime, wanted.attrs.mtime);
    assert_eq!(
        (done.seen.attrs.mode, done.seen.attrs.size),
        (0o640, 2_500_000)
    );
    assert_eq!(
        done.seen.stamp.hash,
        Some(driftfs::sys::hash_file(&bytes).unwrap())
    );
    assert_eq!(done.seen.xattrs, Some(wanted.xattrs.clone()));
    assert_eq!(fs::read(rig.tx(FIRST, "new")).unwrap(), vec![7; 2_500_000]);
}

pub fn a_staged_file_is_seen_by_nobody(rig: &Rig) {
    rig.stage("text");
    let listing = rig.lower.list(&RelPath::root(), false).unwrap();
    assert!(listing.entries.is_empty());
}

pub fn staging_again_replaces(rig: &Rig) {
    rig.stage("one, rather long");
    rig.stage("two");
    assert_eq!(fs::read_to_string(rig.tx(FIRST, "new")).unwrap(), "two");
    rig.lower.stage(FIRST, &new(Kind::Dir), None).unwrap();
    rig.lower.stage(FIRST, &new(Kind::Dir), None).unwrap();
    assert!(rig.tx(FIRST, "new").is_dir());
}

pub fn each_kind_can_be_staged(rig: &Rig) {
    rig.lower.begin(FIRST).unwrap();
    let stage = |new: &New| rig.lower.stage(FIRST, new, None).unwrap().seen;
    let now = || fs::symlink_metadata(rig.tx(FIRST, "new")).unwrap();
    let seen = stage(&new(Kind::Dir));
    assert!(now().is_dir() && seen.attrs.mode == 0o755);
    assert_eq!(seen.attrs.mtime, new(Kind::Dir).attrs.mtime);
    let link = New {
        target: Some(b"a/b".to_vec()),
        ..new(Kind::Symlink)
    };
    let seen = stage(&link);
    assert!(now().is_symlink() && seen.target.as_deref() == Some(b"a/b"));
    assert_eq!(seen.attrs.mtime, link.attrs.mtime);
    stage(&new(Kind::Fifo));
    assert!(now().file_type().is_fifo());
    let seen = stage(&new(Kind::File));
    assert_eq!((now().len(), seen.attrs.kind), (0, Kind::File));
}

pub fn a_socket_is_refused(rig: &Rig) {
    rig.lower.begin(FIRST).unwrap();
    let staged = rig.lower.stage(FIRST, &new(Kind::Socket), None);
    assert!(
        matches!(
            staged,
            Err(LowerError::Refused {
                errno: libc::EOPNOTSUPP,
                ..
            })
        ),
        "{staged:?}"
    );
}

pub fn set_id_bits_survive_the_owner(rig: &Rig) {
    rig.lower.begin(FIRST).unwrap();
    let mut wanted = new(Kind::File);
    wanted.attrs.mode = 0o4755;
    if is_root() {
        (wanted.attrs.uid, wanted.attrs.gid) = (1234, 2345);
    }
    let done = rig.lower.stage(FIRST, &wanted, Some(&local(b"x"))).unwrap();
    assert_eq!(done.refused, Vec::<String>::new());
    let now = &done.seen.attrs;
    assert_eq!(
        (now.mode, now.uid, now.gid),
        (0o4755, wanted.attrs.uid, wanted.attrs.gid)
    );
}

pub fn a_read_only_file_gets_its_xattrs(rig: &Rig) {
    rig.lower.begin(FIRST).unwrap();
    let mut wanted = new(Kind::File);
    wanted.attrs.mode = 0o400;
    wanted.xattrs.insert(b"user.a".to_vec(), b"1".to_vec());
    let done = rig.lower.stage(FIRST, &wanted, Some(&local(b"x"))).unwrap();
    assert_eq!(done.refused, Vec::<String>::new());
    assert_eq!(done.seen.xattrs, Some(wanted.xattrs));
    let mode = fs::metadata(rig.tx(FIRST, "new"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o400);
}

pub fn an_attribute_that_is_refused_is_told(rig: &Rig) {
    rig.lower.begin(FIRST).unwrap();
    let mut wanted = new(Kind::File);
    // No file system has a name space of that name.
    wanted.xattrs.insert(b"nowhere.a".to_vec(), b"1".to_vec());
    wanted.xattrs.insert(b"user.b".to_vec(), b"2".to_vec());
    let done = rig.lower.stage(FIRST, &wanted, Some(&local(b"x"))).unwrap();
    assert_eq!(done.refused.len(), 1, "{:?}", done.refused);
    assert!(
        done.refused[0].starts_with("nowhere.a"),
        "{:?}",
        done.refused
    );
    assert_eq!(done.seen.xattrs.unwrap().len(), 1);
}
