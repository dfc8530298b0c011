//! A server directory, a state directory and everything between them in one process: no mount, no agent.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use driftfs::fetch::Fetch;
use driftfs::link::Link;
use driftfs::lower::{Lower, Posix};
use driftfs::meta::Meta;
use driftfs::model::{Cookie, Ino, Kind, Name, RelPath, Who};
use driftfs::objects::Objects;
use driftfs::reintegrate::{Mode, Points, Reintegrate, Report, Width};
use driftfs::tree::{NewNode, RenameMode, SetAttrs, SetTime, Tree};

/// Who changes things in these tests.
pub const ME: Who = Who {
    uid: 0,
    gid: 0,
    pid: 1,
};

/// One object as a person sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown {
    pub kind: Kind,
    pub mode: u32,
    /// Bytes of a file, target of a symlink.
    pub content: Vec<u8>,
    /// Its first name, which hard links share.
    pub first: String,
}

/// A whole tree by path.
pub type View = BTreeMap<String, Shown>;

/// Fails with what differs, not with two whole trees.
pub fn assert_same(left: &View, right: &View, what: &str) {
    let differing = |a: &View, b: &View| -> Vec<String> {
        a.iter()
            .filter(|(path, shown)| b.get(*path) != Some(shown))
            .map(|(path, shown)| {
                let text = String::from_utf8_lossy(&shown.content).into_owned();
                format!(
                    "{path}: {:?} {:o} {text:?} as {}",
                    shown.kind, shown.mode, shown.first
                )
            })
            .collect()
    };
    let (only_left, only_right) = (differing(left, right), differing(right, left));
    assert!(
        only_left.is_empty() && only_right.is_empty(),
        "{what}\nleft: {only_left:#?}\nright: {only_right:#?}"
    );
}

/// Makes the lower of a bed from the plain one, to put faults in between.
pub type Wrap = dyn Fn(Posix) -> Arc<dyn Lower>;

/// What is open while a client runs.
pub struct Client {
    pub tree: Arc<Tree>,
    pub fetch: Arc<Fetch>,
    pub re: Reintegrate,
}

/// The places on disk.
pub struct Bed {
    _dir: tempfile::TempDir,
    pub server: PathBuf,
    pub state: PathBuf,
    /// How much clients do at once.
    pub width: Width,
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).expect("a path of the test")
}

impl Bed {
    /// An empty server and an empty state.
    pub fn new() -> Bed {
        // In memory where possible: a run syncs at every step, and these tests make thousands of runs.
        let dir = match Path::new("/dev/shm").is_dir() {
            true => tempfile::tempdir_in("/dev/shm"),
            false => tempfile::tempdir(),
        };
        let dir = dir.expect("a temporary directory");
        let (server, state) = (dir.path().join("server"), dir.path().join("state"));
        fs::create_dir(&server).unwrap();
        fs::create_dir(&state).unwrap();
        Bed {
            _dir: dir,
            server,
            state,
            width: Width::default(),
        }
    }

    /// Starts the client.
    pub fn open(&self) -> Client {
        self.open_with(&|posix| Arc::new(posix), None)
    }

    /// Starts the client with another lower, and with durable points told.
    pub fn open_with(&self, wrap: &Wrap, points: Option<Points>) -> Client {
        self.wait_until_closed();
        let meta = Arc::new(Meta::open(&self.state).unwrap());
        let objects = Arc::new(Objects::open(&self.state).unwrap());
        let tree = Arc::new(Tree::open(meta, objects).unwrap());
        let lower = wrap(Posix::new(&self.server, "test"));
        let link = Arc::new(Link::connected());
        let fetch = Arc::new(Fetch::new(tree.clone(), lower.clone(), link.clone()));
        let mut re =
            Reintegrate::new(tree.clone(), lower, fetch.clone(), link).with_width(self.width);
        if let Some(points) = points {
            re = re.with_points(points);
        }
        Client { tree, fetch, re }
    }

    /// A fetch of the client before may hold the database a moment longer than the client. Two that write it are what the
    /// lock of a daemon prevents.
    fn wait_until_closed(&self) {
        let database = self.state.join("meta.db").canonicalize();
        let Ok(database) = database else { return };
        let is_open = || {
            let open = fs::read_dir("/proc/self/fd").unwrap();
            open.flatten()
                .any(|file| fs::read_link(file.path()).is_ok_and(|path| path == database))
        };
        let until = soon();
        while is_open() {
            assert!(Instant::now() < until, "a client before is still there");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.server.join(path)
    }

    /// Another client writes in place (an old time makes the stamp calm).
    pub fn server_write(&self, path: &str, bytes: &[u8]) {
        fs::write(self.at(path), bytes).unwrap();
    }

    /// Another client saves like an editor.
    pub fn server_save(&self, path: &str, bytes: &[u8]) {
        let temp = self.at(&format!("{path}.tmp~"));
        fs::write(&temp, bytes).unwrap();
        fs::rename(&temp, self.at(path)).unwrap();
    }

    pub fn server_mkdir(&self, path: &str) {
        fs::create_dir(self.at(path)).unwrap();
    }

    pub fn server_rename(&self, from: &str, to: &str) {
        fs::rename(self.at(from), self.at(to)).unwrap();
    }

    pub fn server_link(&self, from: &str, to: &str) {
        fs::hard_link(self.at(from), self.at(to)).unwrap();
    }

    pub fn server_symlink(&self, target: &str, path: &str) {
        std::os::unix::fs::symlink(target, self.at(path)).unwrap();
    }

    pub fn server_chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn server_xattr(&self, path: &str, value: &[u8]) {
        xattr::set(self.at(path), "user.k", value).unwrap();
    }

    pub fn server_xattr_of(&self, path: &str) -> Vec<u8> {
        xattr::get(self.at(path), "user.k")
            .unwrap()
            .unwrap_or_default()
    }

    pub fn server_remove(&self, path: &str) {
        let at = self.at(path);
        match fs::symlink_metadata(&at).unwrap().is_dir() {
            true => fs::remove_dir_all(at).unwrap(),
            false => fs::remove_file(at).unwrap(),
        }
    }

    pub fn server_read(&self, path: &str) -> Vec<u8> {
        fs::read(self.at(path)).unwrap()
    }

    /// The server's tree, less `.driftfs`.
    pub fn server_view(&self) -> View {
        let mut view = View::new();
        let mut firsts = BTreeMap::new();
        walk_server(&self.server, "", &mut view, &mut firsts);
        view
    }

    /// Every byte string kept in `.driftfs` (retained versions and whatever lies in attempts).
    pub fn kept_on_server(&self) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        gather(&self.server.join(".driftfs"), &mut found);
        found
    }

    /// Attempt directories that were not cleared away, less empty ones: a late mkdir leaves those.
    pub fn leftovers(&self) -> Vec<String> {
        let Ok(tx) = fs::read_dir(self.server.join(".driftfs/tx")) else {
            return Vec::new();
        };
        let full = |path: &Path| fs::read_dir(path).unwrap().next().is_some();
        tx.map(|entry| entry.unwrap().path())
            .filter(|path| full(path))
            .map(|path| path.display().to_string())
            .collect()
    }
}

fn gather(dir: &Path, found: &mut Vec<Vec<u8>>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            gather(&entry.path(), found);
        } else if kind.is_file() {
            found.push(fs::read(entry.path()).unwrap());
        }
    }
}

fn walk_server(dir: &Path, at: &str, view: &mut View, firsts: &mut BTreeMap<u64, String>) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if at.is_empty() && name == ".driftfs" {
            continue;
        }
        let path = join(at, &name);
        let meta = fs::symlink_metadata(entry.path()).unwrap();
        let first = firsts.entry(meta.ino()).or_insert_with(|| path.clone());
        let (kind, content) = match meta.file_type() {
            t if t.is_dir() => (Kind::Dir, Vec::new()),
            t if t.is_symlink() => (Kind::Symlink, link_target(&entry.path())),
            t if t.is_file() => (Kind::File, fs::read(entry.path()).unwrap()),
            _ => (Kind::Fifo, Vec::new()),
        };
        let shown = Shown {
            kind,
            mode: meta.mode() & 0o7777,
            content,
            first: first.clone(),
        };
        view.insert(path.clone(), shown);
        if kind == Kind::Dir {
            walk_server(&entry.path(), &path, view, firsts);
        }
    }
}

fn link_target(path: &Path) -> Vec<u8> {
    let target = fs::read_link(path).unwrap();
    target.to_string_lossy().into_owned().into_bytes()
}

fn join(at: &str, name: &str) -> String {
    match at {
        "" => name.to_string(),
        at => format!("{at}/{name}"),
    }
}

impl Client {
    /// Both ways; the run must not fail.
    pub fn sync(&self) -> Report {
        self.re.run(&Mode::Sync).expect("a run")
    }

    /// The node at a path.
    pub fn ino(&self, text: &str) -> Ino {
        let node = self.tree.meta().read(|rows| rows.resolve(&path(text)));
        node.expect("the database")
            .unwrap_or_else(|| panic!("{text} is not there"))
            .ino
    }

    fn parent(&self, text: &str) -> (Ino, Name) {
        let path = path(text);
        let (dir, name) = path.split().expect("not the root");
        (self.ino(&dir.to_string()), name.clone())
    }

    /// Lists every directory, and fetches every file's bytes.
    pub fn know_all(&self) {
        let mut left = vec![Ino::ROOT];
        while let Some(dir) = left.pop() {
            self.fetch.names(dir, soon()).expect("names");
            for (_, seen) in self
                .tree
                .list(dir, Cookie(0), usize::MAX >> 1)
                .expect("a listing")
            {
                match seen.node.attrs.kind {
                    Kind::Dir => left.push(seen.node.ino),
                    Kind::File => self.fetch.bytes(seen.node.ino, soon()).expect("bytes"),
                    _ => {}
                }
            }
        }
    }

    fn new_node(&self, text: &str, kind: Kind, target: Option<&str>) -> Ino {
        let (parent, name) = self.parent(text);
        let new = NewNode {
            kind,
            mode: match kind {
                Kind::Dir => 0o755,
                Kind::Symlink => 0o777,
                _ => 0o644,
            },
            rdev: 0,
            target: target.map(|target| target.as_bytes().to_vec()),
        };
        self.tree
            .create(parent, &name, &new, ME)
            .expect("created")
            .node
            .ino
    }

    pub fn mkdir(&self, text: &str) {
        self.new_node(text, Kind::Dir, None);
    }

    pub fn symlink(&self, target: &str, text: &str) {
        self.new_node(text, Kind::Symlink, Some(target));
    }

    pub fn create(&self, text: &str, bytes: &[u8]) {
        self.new_node(text, Kind::File, None);
        self.write(text, bytes);
    }

    /// Truncates and writes.
    pub fn write(&self, text: &str, bytes: &[u8]) {
        let handle = self
            .tree
            .open_file(self.ino(text), true, true, ME)
            .expect("opened");
        self.tree
            .write(&handle, 0, bytes, false, false, ME)
            .expect("written");
        self.tree.flush(&handle).expect("flushed");
    }

    /// Saves like an editor: a new file renamed over the old one.
    pub fn save(&self, text: &str, bytes: &[u8]) {
        let temp = format!("{text}.tmp~");
        self.create(&temp, bytes);
        self.rename(&temp, text);
    }

    pub fn rename(&self, from: &str, to: &str) {
        let (from, to) = (self.parent(from), self.parent(to));
        let (from, to) = ((from.0, &from.1), (to.0, &to.1));
        self.tree
            .rename(from, to, RenameMode::Replace, ME)
            .expect("renamed");
    }

    pub fn link(&self, from: &str, to: &str) {
        let (parent, name) = self.parent(to);
        self.tree
            .link(self.ino(from), parent, &name, ME)
            .expect("linked");
    }

    pub fn chmod(&self, text: &str, mode: u32) {
        let set = SetAttrs {
            mode: Some(mode),
            ..SetAttrs::default()
        };
        self.tree
            .set_attrs(self.ino(text), &set, false, ME)
            .expect("chmod");
    }

    pub fn xattr(&self, text: &str, value: &[u8]) {
        let how = driftfs::tree::SetXattr::Any;
        self.tree
            .set_xattr(self.ino(text), b"user.k", value, how, ME)
            .expect("setxattr");
    }

    pub fn touch(&self, text: &str, sec: i64) {
        let time = driftfs::model::Time { sec, nsec: 5 };
        let set = SetAttrs {
            mtime: Some(SetTime::To(time)),
            ..SetAttrs::default()
        };
        self.tree
            .set_attrs(self.ino(text), &set, false, ME)
            .expect("utimens");
    }

    /// Removes a file, or a directory with all in it.
    pub fn remove(&self, text: &str) {
        let (parent, name) = self.parent(text);
        let ino = self.ino(text);
        if self.tree.stat(ino).expect("stat").node.attrs.kind != Kind::Dir {
            self.tree.unlink(parent, &name, ME).expect("unlinked");
            return;
        }
        for (entry, _) in self
            .tree
            .list(ino, Cookie(0), usize::MAX >> 1)
            .expect("a listing")
        {
            self.remove(&join(text, &entry.name.to_string()));
        }
        self.tree.rmdir(parent, &name, ME).expect("rmdir");
    }

    /// The bytes of a file, fetched if need be.
    pub fn read(&self, text: &str) -> Vec<u8> {
        self.read_ino(self.ino(text))
    }

    fn read_ino(&self, ino: Ino) -> Vec<u8> {
        self.fetch.bytes(ino, soon()).expect("bytes");
        let handle = self.tree.open_file(ino, false, false, ME).expect("opened");
        let size = self.tree.stat(ino).expect("stat").node.attrs.size;
        self.tree.read(&handle, 0, size as usize).expect("read")
    }

    /// The live tree.
    pub fn view(&self) -> View {
        let mut view = View::new();
        let mut firsts = BTreeMap::new();
        self.walk(Ino::ROOT, "", true, &mut view, &mut firsts);
        view
    }

    /// Fetches what can be had.
    pub fn fetch_all(&self) {
        for (path, shown) in self.view_names() {
            if shown.kind == Kind::File {
                let _ = self.fetch.bytes(self.ino(&path), soon());
            }
        }
    }

    /// The live tree without asking the server: contents that are not here are left out.
    pub fn view_known(&self) -> View {
        let absent = |path: &str| {
            let node = self.tree.stat(self.ino(path)).expect("stat").node;
            node.attrs.kind == Kind::File && node.bytes == driftfs::model::Bytes::Absent
        };
        let mut view = self.view_names();
        view.retain(|path, _| !absent(path));
        for (path, shown) in &mut view {
            if shown.kind == Kind::File {
                shown.content = self.read(path);
            }
        }
        view
    }

    /// The live tree's names; files look empty.
    pub fn view_names(&self) -> View {
        let mut view = View::new();
        let mut firsts = BTreeMap::new();
        self.walk(Ino::ROOT, "", false, &mut view, &mut firsts);
        view
    }

    fn walk(
        &self,
        dir: Ino,
        at: &str,
        contents: bool,
        view: &mut View,
        firsts: &mut BTreeMap<Ino, String>,
    ) {
        // A directory that nobody listed before it went away on the server has no names here.
        let _ = self.fetch.names(dir, soon());
        let listed = self.tree.list(dir, Cookie(0), usize::MAX >> 1);
        let mut entries = listed.unwrap_or_default();
        entries.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        for (entry, seen) in entries {
            let node = seen.node;
            let path = join(at, &entry.name.to_string());
            let first = firsts
                .entry(node.ino)
                .or_insert_with(|| path.clone())
                .clone();
            let content = match node.attrs.kind {
                Kind::File if contents => self.read_ino(node.ino),
                Kind::Symlink => node.target.clone().unwrap_or_default(),
                _ => Vec::new(),
            };
            let shown = Shown {
                kind: node.attrs.kind,
                mode: node.attrs.mode,
                content,
                first,
            };
            view.insert(path.clone(), shown);
            if node.attrs.kind == Kind::Dir {
                self.walk(node.ino, &path, contents, view, firsts);
            }
        }
    }
}
