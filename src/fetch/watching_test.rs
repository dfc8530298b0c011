//! Which looks count, and for how long.

use super::*;
use crate::lower::{LowerError, Posix};
use crate::sys;

const ROOT: Ino = Ino(1);
const INSIDE: Ino = Ino(2);

struct Bed {
    tmp: tempfile::TempDir,
    lower: Posix,
    watching: Watching,
}

impl Bed {
    fn new() -> Bed {
        let tmp = tempfile::tempdir().unwrap();
        sys::make_private_dir(&tmp.path().join("d")).unwrap();
        let watching = Watching::default();
        watching.switch_on();
        Bed {
            lower: Posix::new(tmp.path(), "c"),
            tmp,
            watching,
        }
    }

    /// A whole look at the root, with what is known to be in it.
    fn look(&self, inside: &[Ino]) {
        let path = RelPath::parse(b"d").unwrap();
        let dirs: Vec<_> = inside.iter().map(|ino| (*ino, path.clone())).collect();
        let root = RelPath::root();
        let placed = self.watching.place(&self.lower, (ROOT, &root), &dirs);
        let listing = self.lower.list(&root, false).unwrap();
        let placed = placed.expect("a temporary directory can be watched");
        self.watching.looked(ROOT, &placed, &listing, inside);
    }

    fn listen(&self) {
        let answer = self.lower.events(Duration::from_secs(20));
        self.watching.heard(&answer);
    }
}

#[test]
fn only_a_directory_whose_directories_are_watched_is_vouched_for() {
    let bed = Bed::new();
    bed.look(&[]);
    assert_eq!(bed.watching.fresh_for(ROOT), None);
    bed.look(&[INSIDE]);
    assert_eq!(bed.watching.fresh_for(ROOT), Some(LONG));
    assert_eq!(bed.watching.fresh_for(INSIDE), None);
    sys::write_small(bed.tmp.path(), "f", b"x").unwrap();
    let dir = sys::open_dir(bed.tmp.path()).unwrap();
    sys::dir::link_between(&dir, "f".as_ref(), &dir, "g".as_ref()).unwrap();
    bed.listen();
    bed.look(&[INSIDE]);
    assert_eq!(bed.watching.fresh_for(ROOT), None, "files with two names");
}

#[test]
fn what_is_told_makes_a_look_due_until_it_was_made() {
    let bed = Bed::new();
    bed.look(&[INSIDE]);
    bed.watching.fresh_for(ROOT);
    assert_eq!(bed.watching.due(), (Vec::new(), None));
    sys::write_small(bed.tmp.path(), "f", b"x").unwrap();
    bed.listen();
    assert!(bed.watching.fresh_for(ROOT).unwrap() < LONG);
    let (due, next) = bed.watching.due();
    assert!(due == [ROOT] || next.is_some());
    bed.look(&[INSIDE]);
    assert_eq!(bed.watching.fresh_for(ROOT), Some(LONG));
    assert_eq!(bed.watching.due(), (Vec::new(), None));
}

#[test]
fn new_names_in_a_directory_nobody_uses_are_news_of_the_one_above() {
    let bed = Bed::new();
    bed.look(&[INSIDE]);
    sys::write_small(&bed.tmp.path().join("d"), "f", b"x").unwrap();
    bed.listen();
    assert!(bed.watching.fresh_for(ROOT).unwrap() < LONG);
}

#[test]
fn a_lost_answer_and_another_session_put_everything_in_doubt() {
    let bed = Bed::new();
    bed.look(&[INSIDE]);
    let lost = LowerError::Link {
        what: "listen".into(),
        why: "scripted".into(),
    };
    bed.watching.heard(&Err(lost));
    assert!(bed.watching.fresh_for(ROOT).unwrap() < LONG);
    bed.look(&[INSIDE]);
    assert_eq!(bed.watching.fresh_for(ROOT), Some(LONG));
    bed.watching.heard(&Ok(Events {
        session: 2,
        ..Events::default()
    }));
    assert_eq!(bed.watching.fresh_for(ROOT), None);
    assert_eq!(bed.watching.vouched(), 0);
}

#[test]
fn when_every_place_is_taken_all_begin_anew_later() {
    let bed = Bed::new();
    bed.look(&[INSIDE]);
    let path = RelPath::parse(b"no").unwrap();
    let many: Vec<_> = (10..MOST as u64 + 10)
        .map(|n| (Ino(n), path.clone()))
        .collect();
    let root = RelPath::root();
    let placed = bed.watching.place(&bed.lower, (ROOT, &root), &many);
    assert!(placed.is_none());
    assert_eq!(bed.watching.fresh_for(ROOT), None);
    let mut state = lock(&bed.watching.state);
    assert!(state.make_room().is_empty());
    state.full_since = Instant::now().checked_sub(LONG);
    assert_eq!(state.make_room().len(), 2);
}
