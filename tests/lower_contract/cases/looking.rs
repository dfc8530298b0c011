use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};

use driftfs::lower::LowerError;
use driftfs::model::{Kind, Name, RelPath};

use crate::rig::{FIRST, Rig, mkfifo, path};

pub fn a_probe_tells_who_is_there(rig: &Rig) {
    rig.put("a", "x");
    let probe = rig.lower.probe().unwrap();
    let meta = fs::metadata(&rig.share).unwrap();
    assert_eq!(probe.identity.root_ino, meta.ino());
    assert_eq!(probe.root.stamp.ino, meta.ino());
    assert_eq!(probe.identity.id, None);
    assert!(probe.identity.source.is_some());
    assert!(!probe.empty);
    assert!(probe.space.blocks > 0 && probe.space.bsize > 0 && probe.space.namelen >= 255);
    rig.lower.begin(FIRST).unwrap();
    assert!(rig.lower.probe().unwrap().identity.id.is_some());
}

pub fn an_empty_root_is_told(rig: &Rig) {
    assert!(rig.lower.probe().unwrap().empty);
    rig.lower.begin(FIRST).unwrap();
    assert!(rig.lower.probe().unwrap().empty);
}

pub fn a_probe_makes_nothing(rig: &Rig) {
    rig.put("a", "x");
    let before = fs::metadata(&rig.share).unwrap().mtime_nsec();
    rig.lower.probe().unwrap();
    rig.names("");
    rig.look("a");
    assert!(!rig.at(".driftfs").exists());
    assert_eq!(fs::metadata(&rig.share).unwrap().mtime_nsec(), before);
}

pub fn a_listing_has_every_kind(rig: &Rig) {
    rig.put("d/file", "hello");
    fs::create_dir(rig.at("d/dir")).unwrap();
    symlink("some/where", rig.at("d/link")).unwrap();
    mkfifo(&rig.at("d/fifo"));
    let _socket = std::os::unix::net::UnixListener::bind(rig.at("d/socket")).unwrap();
    let listing = rig.lower.list(&path("d"), true).unwrap();
    assert_eq!(
        listing.dir.stamp.ino,
        fs::metadata(rig.at("d")).unwrap().ino()
    );
    assert!(listing.unknown.is_empty());
    assert_eq!(listing.entries.len(), 5);
    for entry in &listing.entries {
        let seen = &entry.seen;
        let meta = fs::symlink_metadata(rig.at("d").join(entry.name.os())).unwrap();
        let kind = match entry.name.bytes() {
            b"file" => Kind::File,
            b"dir" => Kind::Dir,
            b"link" => Kind::Symlink,
            b"fifo" => Kind::Fifo,
            _ => Kind::Socket,
        };
        assert_eq!((seen.attrs.kind, seen.stamp.kind), (kind, kind));
        assert_eq!(seen.stamp.ino, meta.ino());
        assert_eq!(seen.attrs.mode, meta.mode() & 0o7777);
        assert_eq!(seen.attrs.mtime.sec, meta.mtime());
        assert_eq!(u64::from(seen.nlink), meta.nlink());
        assert!(seen.same_device);
        let target = (kind == Kind::Symlink).then(|| b"some/where".to_vec());
        assert_eq!(seen.target, target);
        let size = if matches!(kind, Kind::File | Kind::Symlink) {
            meta.len()
        } else {
            0
        };
        assert_eq!(seen.stamp.size, size);
    }
}

pub fn a_listing_of_a_file_is_not_found(rig: &Rig) {
    rig.put("a", "x");
    let found = rig.lower.list(&path("a"), false);
    assert_eq!(found.unwrap_err(), LowerError::NotFound(path("a")));
}

pub fn a_missing_directory_is_not_found(rig: &Rig) {
    let found = rig.lower.list(&path("no"), false);
    assert_eq!(found.unwrap_err(), LowerError::NotFound(path("no")));
}

pub fn our_own_directory_is_not_listed(rig: &Rig) {
    rig.put("a", "x");
    rig.lower.begin(FIRST).unwrap();
    assert_eq!(rig.names(""), ["a"]);
    assert_eq!(rig.lower.look(&path(".driftfs"), false).unwrap(), None);
    // At any depth: a share within the share.
    rig.put("sub/.driftfs/id", "driftfs 0123\n");
    rig.put("sub/b", "x");
    assert_eq!(rig.names("sub"), ["b"]);
}

pub fn a_directory_of_that_name_without_id_is_listed(rig: &Rig) {
    rig.put("sub/.driftfs/notes", "mine");
    rig.put("file/.driftfs", "mine");
    assert_eq!(rig.names("sub"), [".driftfs"]);
    assert_eq!(rig.names("file"), [".driftfs"]);
}

pub fn silly_files_are_not_listed(rig: &Rig) {
    rig.put(".nfs000000000123456700000001", "x");
    rig.put(".fuse_hidden0000001200000001", "x");
    rig.put(".smb0001", "x");
    rig.put(".nfsrc", "x");
    assert_eq!(rig.names(""), [".nfsrc"]);
}

pub fn a_missing_name_is_none(rig: &Rig) {
    fs::create_dir(rig.at("d")).unwrap();
    assert_eq!(rig.lower.look(&path("d/no"), true).unwrap(), None);
}

pub fn a_missing_parent_is_not_found(rig: &Rig) {
    rig.put("file", "x");
    for missing in ["no/a", "file/a"] {
        let found = rig.lower.look(&path(missing), true);
        assert!(matches!(found, Err(LowerError::NotFound(_))), "{found:?}");
    }
}

pub fn the_root_can_be_looked_at(rig: &Rig) {
    let seen = rig.lower.look(&RelPath::root(), true).unwrap().unwrap();
    assert_eq!(seen.stamp.ino, fs::metadata(&rig.share).unwrap().ino());
}

pub fn xattrs_come_when_asked_for(rig: &Rig) {
    rig.put("a", "x");
    xattr::set(rig.at("a"), "user.note", b"hi").unwrap();
    let with = rig.look("a").xattrs.unwrap();
    assert_eq!(with.get(&b"user.note"[..]), Some(&b"hi".to_vec()));
    let without = rig.lower.look(&path("a"), false).unwrap().unwrap();
    assert_eq!(without.xattrs, None);
    let listed = rig.lower.list(&RelPath::root(), true).unwrap();
    assert_eq!(listed.entries[0].seen.xattrs, Some(with));
}

pub fn a_symlink_on_the_way_is_outside(rig: &Rig) {
    rig.put("real/a", "x");
    symlink("real", rig.at("way")).unwrap();
    symlink("/etc", rig.at("etc")).unwrap();
    for through in ["way/a", "etc/passwd"] {
        let found = rig.lower.look(&path(through), false);
        assert!(matches!(found, Err(LowerError::Outside(_))), "{found:?}");
    }
    let listed = rig.lower.list(&path("way"), false);
    assert!(matches!(listed, Err(LowerError::Outside(_))), "{listed:?}");
}

pub fn a_symlink_itself_is_seen(rig: &Rig) {
    symlink("nowhere", rig.at("link")).unwrap();
    let seen = rig.look("link");
    assert_eq!(seen.target.as_deref(), Some(&b"nowhere"[..]));
    assert_eq!((seen.attrs.kind, seen.stamp.size), (Kind::Symlink, 7));
}

pub fn names_need_not_be_text(rig: &Rig) {
    let raw = b"\xff\xfe new\nline";
    fs::write(rig.share.join(std::ffi::OsStr::from_bytes(raw)), "x").unwrap();
    let listing = rig.lower.list(&RelPath::root(), false).unwrap();
    assert_eq!(listing.entries[0].name, Name::new(raw).unwrap());
}
