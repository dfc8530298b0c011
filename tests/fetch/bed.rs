//! A lower in one temporary directory, a state in another, and the rooms between them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use driftfs::fetch::{Fetch, FetchError};
use driftfs::link::Link;
use driftfs::lower::{Fake, Posix};
use driftfs::meta::{BaseNode, Meta, Node};
use driftfs::model::{Cookie, Ino, Kind, Name, RelPath, Who};
use driftfs::objects::Objects;
use driftfs::reintegrate::scan::{Scan, ScanError, Scope, scan};
use driftfs::reintegrate::universe::{Object, Server, Version};
use driftfs::tree::{NewNode, Tree};

pub struct Bed {
    dir: tempfile::TempDir,
    pub tree: Arc<Tree>,
    pub lower: Arc<Fake>,
    pub link: Arc<Link>,
    pub fetch: Fetch,
}

/// More than any step of these tests takes.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Waits for something that another thread does; it must come.
pub fn until(done: impl Fn() -> bool) {
    let limit = soon();
    while !done() {
        assert!(Instant::now() < limit, "it did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn name(text: &str) -> Name {
    Name::try_from(text).unwrap()
}

impl Bed {
    /// A bed whose server has what `fill` makes.
    pub fn with(fill: impl FnOnce(&std::path::Path)) -> Bed {
        let dir = tempfile::tempdir().unwrap();
        let (share, state) = (dir.path().join("share"), dir.path().join("state"));
        std::fs::create_dir(&share).unwrap();
        std::fs::create_dir(&state).unwrap();
        fill(&share);
        let meta = Arc::new(Meta::open(&state).unwrap());
        let objects = Arc::new(Objects::open(&state).unwrap());
        let tree = Arc::new(Tree::open(meta, objects).unwrap());
        let lower = Arc::new(Fake::new(Posix::new(&share, "test")));
        let link = Arc::new(Link::connected());
        let fetch = Fetch::new(tree.clone(), lower.clone(), link.clone());
        Bed {
            dir,
            tree,
            lower,
            link,
            fetch,
        }
    }

    /// As if the daemon was killed here and started again: what is under way changes no row any more.
    pub fn restart(&mut self) {
        self.tree.meta().stop_after(0);
        let state = self.dir.path().join("state");
        let meta = Arc::new(Meta::open(&state).unwrap());
        let objects = Arc::new(Objects::open(&state).unwrap());
        self.tree = Arc::new(Tree::open(meta, objects).unwrap());
        self.link = Arc::new(Link::connected());
        self.fetch = Fetch::new(self.tree.clone(), self.lower.clone(), self.link.clone());
    }

    /// A path on the server.
    pub fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join("share").join(path)
    }

    /// The server's side of a test: a file with these bytes, written in place if it exists.
    pub fn server_writes(&self, path: &str, text: &str) {
        std::fs::write(self.at(path), text).unwrap();
    }

    /// Names of the whole server, brought here.
    pub fn list_all(&self) {
        let walked = self.fetch.names_walk(1_000_000, &|| true);
        assert!(walked.done && walked.refused == 0, "{walked:?}");
    }

    /// The live node at a path, without asking the server.
    pub fn node(&self, path: &str) -> Option<Node> {
        let path = RelPath::parse(path.as_bytes()).unwrap();
        let rows = self.tree.meta();
        rows.read(|rows| rows.resolve(&path)).unwrap()
    }

    pub fn ino(&self, path: &str) -> Ino {
        let node = self.node(path);
        node.unwrap_or_else(|| panic!("nothing at {path}")).ino
    }

    pub fn base(&self, path: &str) -> BaseNode {
        let bid = self.node(path).unwrap().bid.unwrap();
        let rows = self.tree.meta();
        rows.read(|rows| rows.base(bid)).unwrap().unwrap()
    }

    /// Names in a live directory.
    pub fn names(&self, path: &str) -> Vec<String> {
        let dir = self.ino(path);
        let entries = self
            .tree
            .meta()
            .read(|rows| rows.entries(dir, Cookie(0), 1000));
        let mut names: Vec<String> = entries
            .unwrap()
            .into_iter()
            .map(|entry| entry.name.to_string())
            .collect();
        names.sort();
        names
    }

    /// Another look at a directory, now.
    pub fn refresh(&self, path: &str) {
        self.fetch.look_again();
        self.fetch.refresh(self.ino(path), soon()).unwrap();
        self.settle(path);
    }

    /// A refresh waits one second at most; a slow machine may need more. The look goes on and this waits for it.
    fn settle(&self, path: &str) {
        while self.fetch.is_looking(self.ino(path)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn bring(&self, path: &str) -> Result<(), FetchError> {
        self.fetch.bytes(self.ino(path), soon())
    }

    /// The live bytes of a file whose bytes are here.
    pub fn read(&self, path: &str) -> String {
        let ino = self.ino(path);
        let handle = self
            .tree
            .open_file(ino, false, false, Who::DRIFTFS)
            .unwrap();
        String::from_utf8(self.tree.read(&handle, 0, 1 << 20).unwrap()).unwrap()
    }

    /// The client's side of a test: a file with these bytes, written in place if it exists.
    pub fn client_writes(&self, path: &str, text: &str) {
        let ino = match self.node(path) {
            Some(node) => node.ino,
            None => self.client_makes(path, Kind::File),
        };
        let handle = self.tree.open_file(ino, true, true, Who::DRIFTFS).unwrap();
        let written = self
            .tree
            .write(&handle, 0, text.as_bytes(), false, false, Who::DRIFTFS);
        assert_eq!(written.unwrap(), text.len());
        self.tree.flush(&handle).unwrap();
    }

    pub fn client_makes(&self, path: &str, kind: Kind) -> Ino {
        let (dir, file) = path.rsplit_once('/').unwrap_or(("", path));
        let new = NewNode {
            kind,
            mode: 0o755,
            rdev: 0,
            target: None,
        };
        let dir = self.ino(dir);
        let made = self.tree.create(dir, &name(file), &new, Who::DRIFTFS);
        made.unwrap().node.ino
    }

    pub fn try_scan(&self, scope: Scope) -> Result<Scan, ScanError> {
        let mask = self.fetch.mask().unwrap();
        let lower = self.lower.as_ref();
        let standing = |_: &_, _: &_, _: &[RelPath]| false;
        scan(&self.tree, lower, &self.fetch, mask, scope, &standing)
    }

    pub fn scan(&self, scope: Scope) -> Scan {
        self.try_scan(scope).unwrap()
    }
}

/// The first path of a version in a scan.
pub fn path_in(scan: &Scan, side: fn(&Object) -> Option<&Version>, object: &Object) -> String {
    let mut names = Vec::new();
    let mut at = side(object);
    while let Some(place) = at.and_then(|version| version.places.first()) {
        names.insert(0, place.name.to_string());
        at = side(scan.universe.get(place.parent));
    }
    names.join("/")
}

pub fn base_of(object: &Object) -> Option<&Version> {
    object.base.as_ref()
}

pub fn client_of(object: &Object) -> Option<&Version> {
    object.client.as_ref()
}

pub fn server_of(object: &Object) -> Option<&Version> {
    match &object.server {
        Server::Present(version) => Some(version),
        _ => None,
    }
}

/// The one object that `side` has at `path`.
pub fn object<'a>(scan: &'a Scan, side: fn(&Object) -> Option<&Version>, path: &str) -> &'a Object {
    let all = scan.universe.objects.iter();
    let mut found =
        all.filter(|object| side(object).is_some() && path_in(scan, side, object) == path);
    let one = found.next().unwrap_or_else(|| panic!("no {path}"));
    assert!(found.next().is_none(), "two objects at {path}");
    one
}
