use std::fs;
use std::time::Duration;

use driftfs::lower::{Events, Watch};

use crate::rig::{Rig, path};

/// Below every deadline.
const LISTEN: Duration = Duration::from_secs(3);

fn dir(key: u64, name: &str) -> Watch {
    Watch {
        key,
        dir: path(name),
    }
}

/// Watches directories; false where the share is on a file system that tells nothing.
fn watch(rig: &Rig, dirs: &[Watch]) -> bool {
    let watched = rig.lower.watch(dirs, &[]).unwrap();
    if watched.able {
        assert_eq!(watched.placed.len(), dirs.len());
        assert_ne!(watched.session, 0);
    } else {
        assert!(watched.placed.is_empty());
    }
    watched.able
}

/// Listens until `heard` says that it was told; nothing is lost meanwhile.
fn listen(rig: &Rig, heard: impl Fn(&Events) -> bool) {
    for _ in 0..10 {
        let events = rig.lower.events(LISTEN).unwrap();
        assert!(!events.lost);
        if heard(&events) {
            return;
        }
    }
    panic!("nothing was told");
}

pub fn a_change_is_told(rig: &Rig) {
    rig.put("d/f", "one");
    if !watch(rig, &[dir(5, "d"), dir(6, "")]) {
        return;
    }
    rig.put("d/f", "two");
    listen(rig, |events| events.changed.contains(&5));
    fs::hard_link(rig.at("d/f"), rig.at("twin")).unwrap();
    listen(rig, |events| events.changed.contains(&6));
}

pub fn names_are_told_apart(rig: &Rig) {
    rig.put("d/f", "one");
    if !watch(rig, &[dir(5, "d")]) {
        return;
    }
    let file = fs::OpenOptions::new()
        .write(true)
        .open(rig.at("d/f"))
        .unwrap();
    file.set_len(1).unwrap();
    listen(rig, |events| {
        assert!(events.names.is_empty());
        events.changed == [5]
    });
    fs::rename(rig.at("d/f"), rig.at("d/g")).unwrap();
    listen(rig, |events| events.names == [5]);
}

pub fn what_is_not_watched_is_not_told(rig: &Rig) {
    rig.put("d/f", "one");
    rig.put("e/f", "one");
    if !watch(rig, &[dir(5, "d"), dir(6, "e")]) {
        return;
    }
    let dropped = rig.lower.watch(&[], &[6]).unwrap();
    assert!(dropped.placed.is_empty());
    let missing = rig.lower.watch(&[dir(7, "no")], &[]).unwrap();
    assert!(missing.able && missing.placed.is_empty());
    assert_eq!(missing.session, dropped.session);
    rig.put("e/f", "two");
    rig.put("d/f", "two");
    listen(rig, |events| {
        assert!(!events.changed.contains(&6));
        events.changed.contains(&5)
    });
}

pub fn what_is_removed_is_watched_no_more(rig: &Rig) {
    rig.put("d/f", "one");
    if !watch(rig, &[dir(5, "d")]) {
        return;
    }
    fs::remove_dir_all(rig.at("d")).unwrap();
    listen(rig, |events| events.ended == [5] && events.moved == [5]);
    rig.put("d/f", "two");
    assert!(watch(rig, &[dir(5, "d")]));
    rig.put("d/f", "three");
    listen(rig, |events| events.changed.contains(&5));
}

pub fn a_moved_directory_is_told(rig: &Rig) {
    rig.put("d/f", "one");
    if !watch(rig, &[dir(5, "d")]) {
        return;
    }
    fs::rename(rig.at("d"), rig.at("e")).unwrap();
    listen(rig, |events| events.moved == [5]);
}

pub fn listening_keeps_nobody_waiting(rig: &Rig) {
    rig.put("d/f", "one");
    if !watch(rig, &[dir(5, "d")]) {
        return;
    }
    std::thread::scope(|scope| {
        let listening = scope.spawn(|| listen(rig, |events| events.changed.contains(&5)));
        assert_eq!(rig.names("d"), ["f"]);
        assert!(!listening.is_finished());
        rig.put("d/f", "two");
        listening.join().unwrap();
    });
}
