//! From what was typed to a mount that answers. Every refusal is a sentence with what to do next.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::engine::{Engine, FORCED, Parts};
use super::gate::Gate;
use super::image::{self, Image};
use super::launch::{Mounting, PushMode, Ready, StartError};
use super::look::{self, Found};
use super::options::{self, Options};
use super::place::{self, Place};
use super::running::Running;
use super::{
    agent, config, deciding, dispatch, leftover, log, probing, pushing, redirect, workers,
};
use crate::control;
use crate::fetch::Fetch;
use crate::fuse::{self, MountOptions};
use crate::link::{Event, Link, State, Timing, Why};
use crate::meta::{Meta, MetaError};
use crate::model::Ino;
use crate::objects::Objects;
use crate::overlay::{Hooks, Overlay, Settings};
use crate::sys::{self, StateLock};
use crate::tree::Tree;

/// Setting: the lower a state directory belongs to.
const LOWER: &str = "lower";
/// A daemon that is ending gets so long to let go of its state directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(6);
/// The root's names are waited for so long at the first mount.
const ROOT_PATIENCE: Duration = Duration::from_secs(5);
/// The first merge after a start is waited for so long, so that a quick one is over when the command returns. The mount
/// answers meanwhile, so a long one goes on behind it.
const MERGE_PATIENCE: Duration = Duration::from_millis(500);

/// Where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// `daemon.log` in the state directory.
    Log,
    /// Standard error.
    Terminal,
}

/// Starts everything; the mount answers when this returns.
pub(super) fn start(mounting: &Mounting, output: Output) -> Result<Running, StartError> {
    sys::share_memory();
    let signals = sys::hold_end_signals().map_err(|error| failed("signals", error))?;
    let options = options::parse(&mounting.options, sys::is_root()).map_err(StartError::Usage)?;
    let place = find_place(mounting)?;
    sys::make_private_dir(&place.state).map_err(|error| {
        failed(
            &format!("the state directory {}", place.state.display()),
            error,
        )
    })?;
    let lock = lock(&place.state)?;
    log::start(&place.state, output).map_err(|error| failed("the log", error))?;
    tracing::info!(
        ?place,
        ?options,
        version = env!("CARGO_PKG_VERSION"),
        "start"
    );
    let engine = Arc::new(open_engine(mounting, place)?);
    first_look(&engine)?;
    let server = serve(&engine)?;
    let mounted = mount(&engine, &options)?;
    redirect::show(&engine);
    workers::start(&engine).map_err(|error| failed("a thread", error))?;
    if engine.link.state() == State::Returning {
        let until = Instant::now() + MERGE_PATIENCE;
        engine.link.wait_change(State::Returning, until);
    }
    let pid = format!("{}\n", std::process::id());
    sys::write_small(&engine.place.state, "daemon.pid", pid.as_bytes())
        .map_err(|error| failed("daemon.pid", error))?;
    Ok(Running {
        engine,
        mounted,
        server,
        signals,
        lock,
    })
}

impl Running {
    /// What the command that started us tells the person.
    pub(super) fn ready(&self) -> Ready {
        let place = &self.engine.place;
        let (link, _, why) = self.engine.link.told();
        Ready {
            mount: place.mount.clone(),
            lower: place.lower.clone(),
            state_dir: place.state.clone(),
            pid: std::process::id(),
            link: link.word().into(),
            why,
        }
    }
}

pub(super) fn failed(what: &str, why: impl std::fmt::Display) -> StartError {
    StartError::Failed(format!("{what}: {why}"))
}

/// Finds the three places and refuses those that cannot be. A dead mount in the way is taken off first.
fn find_place(mounting: &Mounting) -> Result<Place, StartError> {
    let looking = |error| failed("the paths could not be looked at", error);
    leftover::take_off_dead(&mounting.mountpoint)?;
    let first = look::look_at(&[&mounting.mountpoint, &mounting.lower]).map_err(looking)?;
    let (mount, lower) = (&first[0], &first[1]);
    leftover::not_mounted_yet(&mount.path)?;
    let state = match &mounting.state {
        Some(dir) => dir.clone(),
        None => place::default_state(&lower.path).map_err(StartError::Usage)?,
    };
    let state = look::look_at(&[&state]).map_err(looking)?.remove(0);
    let known = matches!(sys::spot(&state.path.join("meta.db")), sys::Spot::Other);
    place::check(lower, mount, &state, known).map_err(|why| match lower.found {
        Found::Silent => StartError::Unreachable(why),
        _ => StartError::Usage(why),
    })
}

fn lock(state: &Path) -> Result<StateLock, StartError> {
    let locked = sys::lock_state(state, LOCK_PATIENCE)
        .map_err(|error| failed("the lock of the state directory", error))?;
    locked.ok_or_else(|| {
        let pid = sys::read_small(state, "daemon.pid").ok().flatten();
        let pid = pid.map_or_else(
            || "another process".to_owned(),
            |pid| format!("the daemon with pid {}", String::from_utf8_lossy(&pid).trim()),
        );
        StartError::Usage(format!(
            "the state directory {} is in use by {pid}; it may be waiting for the last close of a file\n  next: driftfs ls   shows all mounts",
            state.display()
        ))
    })
}

fn open_engine(mounting: &Mounting, place: Place) -> Result<Engine, StartError> {
    let opening = |error: &dyn std::fmt::Display| {
        failed(
            &format!(
                "the state directory {} could not be opened",
                place.state.display()
            ),
            error,
        )
    };
    let rules = config::rules(&place.mount).map_err(StartError::Usage)?;
    let meta = Arc::new(Meta::open(&place.state).map_err(|error| opening(&error))?);
    meta.keep_in_memory(mounting.inode_cache as usize);
    belongs(&meta, &place)?;
    let image =
        image::open(&place.state, &meta, mounting.cache_image).map_err(StartError::Failed)?;
    let objects = Arc::new(open_objects(&place, image.as_ref()).map_err(|error| opening(&error))?);
    let gate = Arc::new(Gate::open(meta.clone()).map_err(|error| opening(&error))?);
    let forced = meta
        .read(|rows| Ok::<_, MetaError>(rows.setting(FORCED)?.is_some()))
        .map_err(|error| opening(&error))?;
    gate.shut(forced);
    let lower = agent::client(&place, &meta, &gate).map_err(|error| opening(&error))?;
    let tree = Tree::open(meta, objects).map_err(|error| opening(&error))?;
    let tree = Arc::new(tree.ruled_by(rules));
    let timing = Timing {
        longest: mounting.probe,
        steady: Timing::default().steady.min(mounting.probe),
        ..Timing::default()
    };
    let link = Arc::new(Link::new(timing, forced));
    let fetch = Arc::new(Fetch::new(tree.clone(), lower.clone(), link.clone()));
    Ok(Engine::new(Parts {
        place,
        push: mounting.push,
        tree,
        lower,
        link,
        fetch,
        gate,
        image,
    }))
}

fn open_objects(place: &Place, image: Option<&Image>) -> io::Result<Objects> {
    match image {
        Some(image) => Ok(Objects::open(image.dir())?.within(image.file()?)),
        None => Objects::open(&place.state),
    }
}

/// A state directory serves one lower for ever: base would mean nothing for another one.
fn belongs(meta: &Meta, place: &Place) -> Result<(), StartError> {
    let reading = |error: MetaError| failed("the state directory", error);
    let ours = control::JsonPath::host(&place.lower);
    let ours = serde_json::to_string(&ours).unwrap_or_default();
    let stored = meta.read(|rows| rows.setting(LOWER)).map_err(reading)?;
    match stored {
        Some(stored) if stored != ours => {
            let other: control::JsonPath = serde_json::from_str(&stored).unwrap_or_default();
            Err(StartError::Usage(format!(
                "the state directory {} belongs to {}, not to {}\n  next: choose another with --state DIR",
                place.state.display(),
                other.path,
                place.lower.display()
            )))
        }
        Some(_) => Ok(()),
        None => meta
            .write(|txn| txn.set_setting(LOWER, Some(&ours)))
            .map_err(reading),
    }
}

/// Two probes before the mount answers. Without the server a mount goes on with what is here; a first one cannot.
fn first_look(engine: &Engine) -> Result<(), StartError> {
    let known = engine.gate.knows_a_share();
    if engine.link.state() == State::Disconnected(Why::Forced) && known {
        return Ok(());
    }
    // The second one only confirms a first good answer: a silent server costs one deadline, not two.
    if probing::probe_once(engine) {
        probing::probe_once(engine);
    }
    if !known {
        return first_mount(engine);
    }
    Ok(())
}

fn first_mount(engine: &Engine) -> Result<(), StartError> {
    if engine.link.state() != State::Returning {
        let (_, _, why) = engine.link.told();
        return Err(StartError::Unreachable(format!(
            "{} was never mounted here before, and the server cannot be asked: {why}\n  next: try again when it answers",
            engine.place.lower.display()
        )));
    }
    // Nothing is known here that could be merged.
    engine.step(&Event::Settled, "");
    if let Err(error) = engine
        .fetch
        .names(Ino::ROOT, Instant::now() + ROOT_PATIENCE)
    {
        tracing::warn!(%error, "the names in the root");
    }
    Ok(())
}

fn serve(engine: &Arc<Engine>) -> Result<control::Server, StartError> {
    let asked = engine.clone();
    let answer = move |request| dispatch::dispatch(&asked, request);
    control::serve(&engine.place.state, Arc::new(answer))
        .map_err(|error| failed("the control socket", error))
}

fn mount(engine: &Arc<Engine>, options: &Options) -> Result<fuse::Mounted, StartError> {
    let settings = Settings {
        mountpoint: engine.place.mount.clone(),
        state_dir: engine.place.state.clone(),
        noxattr: options.noxattr,
    };
    let overlay = Overlay::new(
        engine.tree.clone(),
        engine.fetch.clone(),
        engine.link.clone(),
        hooks(engine),
        settings,
    );
    let mut more = Vec::new();
    more.extend(options.sync.then(|| "sync".to_owned()));
    more.extend(options.dirsync.then(|| "dirsync".to_owned()));
    let program = sys::own_program().map_err(|error| failed("this program", error))?;
    let mount_options = MountOptions {
        program,
        mountpoint: engine.place.mount.clone(),
        source: engine.place.lower.to_string_lossy().into_owned(),
        allow_other: options.allow_other,
        read_only: options.read_only,
        dev: options.dev,
        suid: options.suid,
        noexec: options.noexec,
        passthrough: options.passthrough,
        more,
    };
    fuse::mount(&mount_options, Arc::new(overlay)).map_err(|error| {
        StartError::Failed(format!(
            "{} could not be mounted: {error}\n  next: driftfs doctor",
            engine.place.mount.display()
        ))
    })
}

fn hooks(engine: &Arc<Engine>) -> Hooks {
    let (changed, closing, deciding, space) = (
        engine.clone(),
        engine.clone(),
        engine.clone(),
        engine.clone(),
    );
    let close_waits = engine.push == PushMode::Close;
    Hooks {
        changed: Some(Box::new(move |_| pushing::changed(&changed))),
        pushed: close_waits.then(|| -> Box<dyn Fn(Ino, Instant) + Send + Sync> {
            Box::new(move |ino, deadline| pushing::push_now(&closing, ino, deadline))
        }),
        resolve: Some(Box::new(move |ino, word| {
            deciding::by_word(&deciding, ino, word)
        })),
        space: Some(Box::new(move || space.space())),
    }
}
