//! The daemon's end: one thread per connection, a bounded number of them.

use std::io::{self, BufReader};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::answers::Answer;
use super::codec::{REQUEST_MAX, receive, send};
use super::proto::{Asked, Body, Code, Refusal, Request, Told, VERSION};
use crate::sys;

/// Connections served at once; more are answered with a refusal.
const AT_ONCE: usize = 32;
/// A peer that says nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// What answers requests.
pub type Dispatch = dyn Fn(Request) -> Result<Answer, Refusal> + Send + Sync;

/// A running server; dropped, it stops listening.
pub struct Server {
    dir: PathBuf,
    ending: Arc<AtomicBool>,
    busy: Arc<AtomicUsize>,
}

impl Server {
    /// Waits until every command that is being answered has its answer, at most `limit`.
    pub fn finish(&self, limit: Duration) {
        let until = Instant::now() + limit;
        while self.busy.load(Ordering::SeqCst) > 0 && Instant::now() < until {
            sys::sleep(Duration::from_millis(5));
        }
    }
}

/// Listens in the state directory `dir` and answers with `dispatch`.
pub fn serve(dir: &Path, dispatch: Arc<Dispatch>) -> io::Result<Server> {
    let listener = sys::listen_control(dir)?;
    let ending = Arc::new(AtomicBool::new(false));
    let busy = Arc::new(AtomicUsize::new(0));
    let (seen, counted) = (ending.clone(), busy.clone());
    std::thread::Builder::new()
        .name("control".into())
        .spawn(move || accept(&listener, &seen, &counted, &dispatch))?;
    Ok(Server {
        dir: dir.to_owned(),
        ending,
        busy,
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(sys::connect_control(&self.dir));
        sys::remove_control(&self.dir);
    }
}

fn accept(
    listener: &UnixListener,
    ending: &AtomicBool,
    busy: &Arc<AtomicUsize>,
    dispatch: &Arc<Dispatch>,
) {
    for stream in listener.incoming() {
        if ending.load(Ordering::SeqCst) {
            return;
        }
        match stream {
            Ok(stream) => start_one(stream, busy, dispatch),
            Err(error) => {
                // Out of descriptors, perhaps: the next ones may be luckier a little later.
                tracing::warn!(%error, "control: accept");
                sys::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn start_one(mut stream: UnixStream, busy: &Arc<AtomicUsize>, dispatch: &Arc<Dispatch>) {
    let place = Place::take(busy);
    let dispatch = dispatch.clone();
    let Some(place) = place else {
        let refusal = Refusal::new(Code::Error, "too many commands at once; try again");
        let _ = send(&mut stream, &told(Err(refusal)));
        return;
    };
    let started = std::thread::Builder::new()
        .name("command".into())
        .spawn(move || {
            let _place = place;
            if let Err(error) = answer_one(stream, &*dispatch) {
                tracing::debug!(%error, "control: a command went away");
            }
        });
    if let Err(error) = started {
        tracing::warn!(%error, "control: no thread for a command");
    }
}

fn answer_one(stream: UnixStream, dispatch: &Dispatch) -> io::Result<()> {
    let peer = sys::peer_uid(&stream)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut writer = stream.try_clone()?;
    if peer != 0 && peer != sys::euid() {
        let refusal = Refusal::new(Code::Error, "this mount belongs to another user");
        return send(&mut writer, &told(Err(refusal)));
    }
    let mut reader = BufReader::new(stream);
    let result = match receive::<serde_json::Value>(&mut reader, REQUEST_MAX) {
        Ok(None) => return Ok(()),
        Ok(Some(value)) => understood(value).and_then(|request| guarded(dispatch, request)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Refusal::new(
            Code::Usage,
            format!("the request could not be read: {error}"),
        )),
        Err(error) => return Err(error),
    };
    send(&mut writer, &told(result))
}

/// A defect in one answer is told to the one who asked, and the daemon goes on.
fn guarded(dispatch: &Dispatch, request: Request) -> Result<Answer, Refusal> {
    catch_unwind(AssertUnwindSafe(|| dispatch(request))).unwrap_or_else(|_| {
        Err(Refusal::new(
            Code::Error,
            "driftfs met a defect of its own; daemon.log in the state directory has the details, and nothing was lost",
        ))
    })
}

/// The version is looked at first: a newer command's request may not even parse here.
fn understood(value: serde_json::Value) -> Result<Request, Refusal> {
    let version = value.get("v").and_then(serde_json::Value::as_u64);
    if version != Some(u64::from(VERSION)) {
        return Err(Refusal::new(
            Code::Usage,
            format!(
                "the running daemon speaks protocol {VERSION} only; `driftfs umount` and mount again to use the new driftfs"
            ),
        ));
    }
    serde_json::from_value::<Asked>(value)
        .map(|asked| asked.request)
        .map_err(|error| {
            Refusal::new(
                Code::Usage,
                format!("the request was not understood: {error}"),
            )
        })
}

fn told(result: Result<Answer, Refusal>) -> Told {
    Told {
        v: VERSION,
        body: match result {
            Ok(answer) => Body::Answer(Box::new(answer)),
            Err(refusal) => Body::Refused(refusal),
        },
    }
}

/// One of the [`AT_ONCE`] places; dropped, it is free again.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(busy: &Arc<AtomicUsize>) -> Option<Place> {
        let place = Place(busy.clone());
        (busy.fetch_add(1, Ordering::SeqCst) < AT_ONCE).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, Write};

    use super::super::answers::Said;
    use super::super::client::{AskError, ask};
    use super::*;

    fn echo(dir: &Path) -> Server {
        let dispatch = |request: Request| match request {
            Request::Plan => panic!("a defect"),
            Request::Offline => Ok(Answer::Said(Said::default())),
            other => Err(Refusal::new(Code::Offline, format!("{other:?}"))),
        };
        serve(dir, Arc::new(dispatch)).unwrap()
    }

    #[test]
    fn answers_and_refusals_arrive() {
        let dir = tempfile::tempdir().unwrap();
        let _server = echo(dir.path());
        assert_eq!(
            ask(dir.path(), Request::Offline).unwrap(),
            Answer::Said(Said::default())
        );
        match ask(dir.path(), Request::Plan) {
            Err(AskError::Refused(refusal)) => assert_eq!(refusal.code, Code::Error),
            other => panic!("{other:?}"),
        }
        match ask(dir.path(), Request::Sync) {
            Err(AskError::Refused(refusal)) => assert_eq!(refusal.code, Code::Offline),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rubbish_is_answered_and_the_next_command_works() {
        let dir = tempfile::tempdir().unwrap();
        let _server = echo(dir.path());
        let rubbish: [&[u8]; 5] = [
            b"\xff\xfe\n",
            b"{\"v\":9,\"request\":\"zap\"}\n",
            b"{\"v\":1,\"request\":{\"online\":{}}}\n",
            b"{\"v\":1,\"request\":{\"online\":{\"wait\":true,\"x\":1}}}\n",
            b"[[[[[[\n",
        ];
        for bytes in rubbish {
            let mut stream = sys::connect_control(dir.path()).unwrap();
            stream.write_all(bytes).unwrap();
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).unwrap();
            assert!(line.contains("\"code\":\"usage\""), "{line}");
        }
        assert!(ask(dir.path(), Request::Offline).is_ok());
    }

    #[test]
    fn a_dropped_server_is_a_daemon_that_does_not_run() {
        let dir = tempfile::tempdir().unwrap();
        drop(echo(dir.path()));
        assert!(matches!(
            ask(dir.path(), Request::Offline),
            Err(AskError::NotRunning)
        ));
    }
}
