//! What only a lower in another process can get wrong: deadlines, death, late answers, and the gate.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use driftfs::lower::{AgentClient, AgentConfig, Expect, Lower, LowerError};
use driftfs::model::Kind;

use crate::rig::{FIRST, SECOND, is_root, local, new, path, program};

struct Bed {
    _tmp: tempfile::TempDir,
    share: PathBuf,
    hang: PathBuf,
}

impl Bed {
    fn new() -> Bed {
        let tmp = tempfile::tempdir().unwrap();
        let (share, hang) = (tmp.path().join("share"), tmp.path().join("hang"));
        fs::create_dir(&share).unwrap();
        fs::write(share.join("a"), "text").unwrap();
        Bed {
            _tmp: tmp,
            share,
            hang,
        }
    }

    fn config(&self) -> AgentConfig {
        AgentConfig {
            deadline: Duration::from_millis(700),
            change_deadline: Duration::from_millis(700),
            env: vec![("DRIFTFS_AGENT_TEST_HANG".into(), self.hang.clone().into())],
            ..AgentConfig::new(program(), &self.share, "c1")
        }
    }

    fn client(&self) -> AgentClient {
        AgentClient::new(self.config()).unwrap()
    }

    fn hang(&self, call: &str) -> PathBuf {
        let file = self.hang.with_extension(call);
        fs::write(&file, "").unwrap();
        file
    }
}

fn is_link<T: std::fmt::Debug>(answer: Result<T, LowerError>) {
    assert!(matches!(answer, Err(LowerError::Link { .. })), "{answer:?}");
}

/// Tries until it works: on a loaded machine a fresh agent may itself need longer than the short deadline used here.
fn until_ok<T>(mut ask: impl FnMut() -> Result<T, LowerError>) -> T {
    let limit = Instant::now() + Duration::from_secs(30);
    loop {
        match ask() {
            Ok(told) => return told,
            Err(LowerError::Link { .. }) if Instant::now() < limit => {}
            Err(e) => panic!("{e}"),
        }
    }
}

#[test]
fn a_hung_agent_is_answered_for_killed_and_replaced() {
    let bed = Bed::new();
    let client = bed.client();
    until_ok(|| client.look(&path("a"), false));
    let hang = bed.hang("look");
    let before = Instant::now();
    is_link(client.look(&path("a"), false));
    assert!(before.elapsed() < Duration::from_secs(20));
    fs::remove_file(hang).unwrap();
    assert!(until_ok(|| client.look(&path("a"), false)).is_some());
}

#[test]
fn everybody_under_way_hears_of_the_death() {
    let bed = Bed::new();
    let client = Arc::new(bed.client());
    until_ok(|| client.probe());
    bed.hang("look");
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || client.look(&path("a"), false))
        })
        .collect();
    for thread in threads {
        is_link(thread.join().unwrap());
    }
}

#[test]
fn one_slow_call_does_not_hold_up_others() {
    let bed = Bed::new();
    let config = AgentConfig {
        deadline: Duration::from_secs(30),
        ..bed.config()
    };
    let client = Arc::new(AgentClient::new(config).unwrap());
    client.probe().unwrap();
    let hang = bed.hang("list");
    let slow = client.clone();
    let waiting: Vec<_> = (0..12)
        .map(|_| {
            let slow = slow.clone();
            std::thread::spawn(move || slow.list(&path(""), false))
        })
        .collect();
    for _ in 0..20 {
        client.look(&path("a"), false).unwrap();
    }
    assert!(waiting.iter().all(|thread| !thread.is_finished()));
    fs::remove_file(hang).unwrap();
    for thread in waiting {
        assert_eq!(thread.join().unwrap().unwrap().entries.len(), 1);
    }
}

#[test]
fn a_call_of_a_killed_agent_is_fenced() {
    let bed = Bed::new();
    let client = bed.client();
    until_ok(|| client.begin(FIRST));
    until_ok(|| client.stage(FIRST, &new(Kind::File), Some(&local(b"new"))));
    let hang = bed.hang("publish");
    is_link(client.publish(FIRST, &path("b"), &Expect::Absent));
    fs::remove_file(hang).unwrap();
    let held = until_ok(|| client.fence(FIRST, SECOND));
    assert!(held.new.is_some());
    // As the killed agent's call would, now that the server is back.
    let late = client.publish(FIRST, &path("b"), &Expect::Absent);
    assert!(late.is_err() && !bed.share.join("b").exists());
    until_ok(|| client.publish(SECOND, &path("b"), &Expect::Absent));
    assert_eq!(fs::read(bed.share.join("b")).unwrap(), b"new");
}

#[test]
fn nothing_is_believed_before_the_gate() {
    let bed = Bed::new();
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let config = AgentConfig {
        deadline: Duration::from_secs(20),
        accept: Arc::new(move |_| gate.load(Ordering::SeqCst)),
        ..bed.config()
    };
    let client = AgentClient::new(config).unwrap();
    is_link(client.list(&path(""), false));
    is_link(client.look(&path("no"), false));
    is_link(client.begin(FIRST));
    assert!(!bed.share.join(".driftfs").exists());
    // A probe itself is answered: it must be told who is there.
    assert!(!client.probe().unwrap().empty);
    is_link(client.list(&path(""), false));
    open.store(true, Ordering::SeqCst);
    assert_eq!(client.list(&path(""), false).unwrap().entries.len(), 1);
    // A later probe that fails the gate shuts it again.
    open.store(false, Ordering::SeqCst);
    client.probe().unwrap();
    is_link(client.list(&path(""), false));
}

#[test]
fn an_unmounted_share_is_a_dead_link_and_comes_back() {
    let bed = Bed::new();
    let config = AgentConfig {
        deadline: Duration::from_secs(20),
        ..bed.config()
    };
    let client = AgentClient::new(config).unwrap();
    client.probe().unwrap();
    let away = bed.share.with_extension("away");
    fs::rename(&bed.share, &away).unwrap();
    client.renew();
    is_link(client.probe());
    is_link(client.look(&path("a"), false));
    fs::rename(&away, &bed.share).unwrap();
    client.probe().unwrap();
    assert!(client.look(&path("a"), false).unwrap().is_some());
}

#[test]
fn a_renewed_agent_is_another_process() {
    let bed = Bed::new();
    let config = AgentConfig {
        deadline: Duration::from_secs(20),
        ..bed.config()
    };
    let client = AgentClient::new(config).unwrap();
    client.probe().unwrap();
    // The share is swapped under the same path: one that kept its handle would go on showing the old one.
    fs::rename(&bed.share, bed.share.with_extension("old")).unwrap();
    fs::create_dir(&bed.share).unwrap();
    client.renew();
    assert_eq!(client.look(&path("a"), false).unwrap(), None);
}

#[test]
fn an_agent_acts_as_its_user() {
    if !is_root() {
        return;
    }
    let bed = Bed::new();
    let tmp = bed.share.parent().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(tmp, open).unwrap();
    fs::set_permissions(
        &bed.share,
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    fs::write(bed.share.join("secret"), "x").unwrap();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(bed.share.join("secret"), closed).unwrap();
    let config = AgentConfig {
        deadline: Duration::from_secs(20),
        change_deadline: Duration::from_secs(20),
        user: Some((4321, 4322, vec![4323])),
        ..bed.config()
    };
    let client = AgentClient::new(config).unwrap();
    let read = client.read(&path("secret"), &local(b""));
    assert!(
        matches!(
            read,
            Err(LowerError::Refused {
                errno: libc::EACCES,
                ..
            })
        ),
        "{read:?}"
    );
    client.begin(FIRST).unwrap();
    let done = client
        .stage(FIRST, &new(Kind::File), Some(&local(b"x")))
        .unwrap();
    assert!(
        done.refused.iter().any(|r| r.starts_with("owner 0")),
        "{:?}",
        done.refused
    );
    client
        .publish(FIRST, &path("mine"), &Expect::Absent)
        .unwrap();
    let meta = fs::metadata(bed.share.join("mine")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (4321, 4322));
}

#[test]
fn agents_end_with_their_client() {
    let bed = Bed::new();
    // The name is in the agent's command line, so that its process can be found.
    let mark = format!("mark{}", std::process::id());
    for covered in [false, true] {
        let config = AgentConfig {
            client: mark.clone(),
            covered,
            deadline: Duration::from_secs(20),
            ..bed.config()
        };
        let client = AgentClient::new(config).unwrap();
        client.probe().unwrap();
        assert_eq!(running(&mark), 1);
        drop(client);
        let limit = Instant::now() + Duration::from_secs(20);
        while running(&mark) > 0 {
            assert!(Instant::now() < limit, "an agent outlived its client");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn running(mark: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .filter(|line| line.split(|b| *b == 0).any(|arg| arg == mark.as_bytes()))
        .count()
}

#[test]
fn an_agent_ends_when_its_socket_does() {
    let bed = Bed::new();
    let args = ["agent", "--client", "c1", "--lower"].map(Into::into);
    let args: Vec<_> = args.into_iter().chain([bed.share.clone().into()]).collect();
    for foreign in [false, true] {
        let (ours, theirs) = driftfs::sys::Channel::pair().unwrap();
        let program = program().as_ref();
        let mut agent = driftfs::sys::Process::start(program, &args, &[], theirs, None).unwrap();
        if foreign {
            // Nothing an agent understands, as from a daemon of another version.
            ours.send(&[1, 2, 3], &[]).unwrap();
        }
        assert!(!agent.ended() || foreign);
        drop(ours);
        let limit = Instant::now() + Duration::from_secs(20);
        while !agent.ended() {
            assert!(Instant::now() < limit, "the agent outlived its socket");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn another_agent_is_another_session() {
    let bed = Bed::new();
    let client = bed.client();
    let root = [driftfs::lower::Watch {
        key: 1,
        dir: path(""),
    }];
    let first = until_ok(|| client.watch(&root, &[]));
    if !first.able {
        return;
    }
    client.renew();
    // Nobody asks this one to watch anything; its number says that all is lost.
    let events = until_ok(|| client.events(Duration::ZERO));
    assert_ne!(events.session, first.session);
    assert!(events.is_quiet());
}

#[test]
fn an_agent_that_listens_and_hangs_is_killed() {
    let bed = Bed::new();
    let client = bed.client();
    until_ok(|| client.look(&path("a"), false));
    bed.hang("events");
    is_link(client.events(Duration::ZERO));
    until_ok(|| client.look(&path("a"), false));
}
