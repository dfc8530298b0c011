//! The random steps.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use driftfs::model::{Ino, Kind, Name};
use driftfs::tree::{NewNode, RenameMode, SetAttrs, TreeError};
use nix::fcntl::{FallocateFlags, RenameFlags};

use super::world::{Opened, WHO, World, name};

/// The outcome of a call as a program sees it.
fn errno(result: io::Result<()>) -> i32 {
    result
        .err()
        .map_or(0, |error| error.raw_os_error().expect("an errno"))
}

/// The outcome of ours as the kernel's door would answer it.
fn ours<T>(result: Result<T, TreeError>) -> i32 {
    match result {
        Ok(_) => 0,
        Err(TreeError::NotFound) => libc_errno("ENOENT"),
        Err(TreeError::Exists) => libc_errno("EEXIST"),
        Err(TreeError::NotEmpty) => libc_errno("ENOTEMPTY"),
        Err(TreeError::NotDir) => libc_errno("ENOTDIR"),
        Err(TreeError::IsDir) => libc_errno("EISDIR"),
        Err(TreeError::Loop) => libc_errno("EINVAL"),
        Err(other) => panic!("{other}"),
    }
}

fn libc_errno(name: &str) -> i32 {
    use nix::errno::Errno::*;
    let all = [ENOENT, EEXIST, ENOTEMPTY, ENOTDIR, EISDIR, EINVAL];
    all.into_iter()
        .find(|e| format!("{e:?}") == name)
        .expect("a known name") as i32
}

fn text(random: &mut fastrand::Rng, longest: usize) -> Vec<u8> {
    let len = random.usize(0..longest);
    (0..len).map(|_| random.alphanumeric() as u8).collect()
}

fn path(random: &mut fastrand::Rng) -> PathBuf {
    let depth = [1, 1, 1, 2, 2, 3][random.usize(0..6)];
    (0..depth)
        .map(|_| ["a", "b", "c", "d"][random.usize(0..4)])
        .collect()
}

impl World {
    fn spot(&self, path: &Path) -> Option<(Ino, Name)> {
        let parent = self.find(path.parent()?)?;
        // As the kernel: a name in something that is no directory is not asked for.
        let dir = self.tree().stat(parent).unwrap().node.attrs.kind == Kind::Dir;
        dir.then(|| (parent, name(path.file_name().unwrap())))
    }

    /// One random step on both sides; gives what it was.
    pub fn step(&mut self, random: &mut fastrand::Rng) -> String {
        let (a, b) = (path(random), path(random));
        let kind = random.u32(0..100);
        let said = format!("{kind} {a:?} {b:?}");
        match kind {
            0..=13 => self.create(random, &a),
            14..=19 => self.link(&a, &b),
            20..=25 => self.remove(&a),
            26..=38 => self.rename(random, &a, &b),
            39..=47 => self.set_attrs(random, &a),
            48..=55 => self.open(random, &a),
            56..=60 => self.close(random),
            61..=80 => self.change(random),
            81..=87 => self.write_whole(random, &a),
            88..=90 => self.snapshot(),
            91..=94 => self.with_file(&a, |world, ino| world.agree(ino, random)),
            95..=96 => self.with_file(&a, |world, ino| world.evict(ino)),
            97 => self.barrier(random),
            98 => self.restart(false),
            _ => self.restart(true),
        }
        for path in [&a, &b] {
            self.compare(path, &said);
            self.compare(path.parent().unwrap(), &said);
        }
        said
    }

    fn with_file(&mut self, path: &Path, work: impl FnOnce(&mut World, Ino)) {
        if let Some(ino) = self.find(path)
            && self.tree().stat(ino).unwrap().node.attrs.kind == Kind::File
        {
            work(self, ino);
        }
    }

    fn barrier(&mut self, random: &mut fastrand::Rng) {
        match self.opened.first() {
            Some(opened) if random.bool() => drop(self.tree().sync(&opened.handle).unwrap()),
            _ => drop(self.tree().sweep().unwrap()),
        }
    }

    fn create(&mut self, random: &mut fastrand::Rng, path: &Path) {
        let Some((parent, name)) = self.spot(path) else {
            return;
        };
        let kind = [
            Kind::File,
            Kind::File,
            Kind::Dir,
            Kind::Dir,
            Kind::Symlink,
            Kind::Fifo,
        ][random.usize(0..6)];
        let real = self.real(path);
        let theirs = match kind {
            Kind::Dir => fs::create_dir(&real),
            Kind::Symlink => std::os::unix::fs::symlink("target", &real),
            Kind::Fifo => {
                nix::unistd::mkfifo(&real, nix::sys::stat::Mode::from_bits_truncate(0o644))
                    .map_err(io::Error::from)
            }
            _ => OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&real)
                .map(drop),
        };
        let mode = match kind {
            Kind::Dir => 0o755,
            Kind::Symlink => 0o777,
            _ => 0o644,
        };
        let target = (kind == Kind::Symlink).then(|| b"target".to_vec());
        let new = NewNode {
            kind,
            mode,
            rdev: 0,
            target,
        };
        assert_eq!(
            ours(self.tree().create(parent, &name, &new, WHO)),
            errno(theirs)
        );
    }

    fn link(&mut self, from: &Path, to: &Path) {
        let (Some(ino), Some((parent, name))) = (self.find(from), self.spot(to)) else {
            return;
        };
        if self.tree().stat(ino).unwrap().node.attrs.kind == Kind::Dir {
            return;
        }
        let theirs = fs::hard_link(self.real(from), self.real(to));
        assert_eq!(
            ours(self.tree().link(ino, parent, &name, WHO)),
            errno(theirs)
        );
    }

    fn remove(&mut self, path: &Path) {
        let (Some(ino), Some((parent, name))) = (self.find(path), self.spot(path)) else {
            return;
        };
        if self.tree().stat(ino).unwrap().node.attrs.kind == Kind::Dir {
            let theirs = fs::remove_dir(self.real(path));
            assert_eq!(ours(self.tree().rmdir(parent, &name, WHO)), errno(theirs));
        } else {
            let theirs = fs::remove_file(self.real(path));
            assert_eq!(ours(self.tree().unlink(parent, &name, WHO)), errno(theirs));
        }
    }

    fn rename(&mut self, random: &mut fastrand::Rng, from: &Path, to: &Path) {
        let (Some(a), Some(b)) = (self.spot(from), self.spot(to)) else {
            return;
        };
        // The kernel answers for an ancestor as target before it asks.
        if from != to && from.starts_with(to) {
            return;
        }
        let (mode, flags) = match random.u8(0..6) {
            0 => (RenameMode::NoReplace, RenameFlags::RENAME_NOREPLACE),
            1 => (RenameMode::Exchange, RenameFlags::RENAME_EXCHANGE),
            _ => (RenameMode::Replace, RenameFlags::empty()),
        };
        let (old, new) = (self.real(from), self.real(to));
        let theirs = nix::fcntl::renameat2(
            nix::fcntl::AT_FDCWD,
            &old,
            nix::fcntl::AT_FDCWD,
            &new,
            flags,
        );
        let mine = self.tree().rename((a.0, &a.1), (b.0, &b.1), mode, WHO);
        // For a directory with entries in the way POSIX allows both; ext4 and btrfs give the one, xfs the other.
        let theirs = errno(theirs.map_err(io::Error::from));
        let mine = ours(mine);
        let same = mine == theirs || (mine == libc::ENOTEMPTY && theirs == libc::EEXIST);
        assert!(same, "{mode:?} {from:?} {to:?}: {mine}, there {theirs}");
    }

    fn set_attrs(&mut self, random: &mut fastrand::Rng, path: &Path) {
        let Some(ino) = self.find(path) else { return };
        let kind = self.tree().stat(ino).unwrap().node.attrs.kind;
        let real = self.real(path);
        let mut set = SetAttrs::default();
        match random.u8(0..4) {
            0 if kind != Kind::Symlink => {
                let mode = [0o644, 0o755, 0o4755, 0o2755, 0o2644, 0o1777][random.usize(0..6)];
                fs::set_permissions(&real, fs::Permissions::from_mode(mode)).unwrap();
                set.mode = Some(mode);
            }
            1 => {
                let owner = random.u32(0..3);
                (set.uid, set.gid) = (random.bool().then_some(owner), Some(owner));
                std::os::unix::fs::lchown(&real, set.uid, set.gid).unwrap();
            }
            _ if kind == Kind::File => {
                let size = random.u64(0..6000);
                OpenOptions::new()
                    .write(true)
                    .open(&real)
                    .unwrap()
                    .set_len(size)
                    .unwrap();
                set.size = Some(size);
            }
            _ => return,
        }
        let seen = self.tree().set_attrs(ino, &set, false, WHO).unwrap();
        assert_eq!(
            seen.node.attrs.mode,
            fs::symlink_metadata(&real).unwrap().mode() & 0o7777
        );
    }

    fn open(&mut self, random: &mut fastrand::Rng, path: &Path) {
        self.with_file(&path.to_owned(), |world, ino| {
            if world.opened.len() == 4 {
                world.opened.remove(0);
            }
            let truncate = random.u8(..) < 60;
            let real = world.real(path);
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .truncate(truncate)
                .open(real)
                .unwrap();
            let handle = world.tree().open_file(ino, true, truncate, WHO).unwrap();
            world.opened.push(Opened { handle, file });
        });
    }

    fn close(&mut self, random: &mut fastrand::Rng) {
        if self.opened.is_empty() {
            return;
        }
        let at = random.usize(0..self.opened.len());
        if random.bool() {
            self.tree().flush(&self.opened[at].handle).unwrap();
        } else {
            self.opened.remove(at);
        }
    }

    fn change(&mut self, random: &mut fastrand::Rng) {
        if self.opened.is_empty() {
            return;
        }
        let opened = &self.opened[random.usize(0..self.opened.len())];
        let data = text(random, 3000);
        let at = random.u64(0..8000);
        let tree = self.tree();
        match random.u8(0..8) {
            0..=3 => {
                opened.file.write_all_at(&data, at).unwrap();
                assert_eq!(
                    tree.write(&opened.handle, at, &data, false, false, WHO)
                        .unwrap(),
                    data.len()
                );
            }
            4 | 5 => {
                let end = opened.file.metadata().unwrap().len();
                if end < 40_000 {
                    opened.file.write_all_at(&data, end).unwrap();
                    tree.write(&opened.handle, 0, &data, true, false, WHO)
                        .unwrap();
                }
            }
            6 => {
                let punch =
                    FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
                nix::fcntl::fallocate(&opened.file, punch, at as i64, 4096).unwrap();
                tree.allocate(&opened.handle, at, 4096, punch.bits(), WHO)
                    .unwrap();
            }
            _ => {
                let from = &self.opened[random.usize(0..self.opened.len())];
                if tree.handle_ino(&from.handle) == tree.handle_ino(&opened.handle) {
                    return;
                }
                let theirs =
                    driftfs::sys::copy_at(&from.file, at, &opened.file, 100, 2000).unwrap();
                let mine = tree
                    .copy(&from.handle, at, &opened.handle, 100, 2000, WHO)
                    .unwrap();
                assert_eq!(mine, theirs);
            }
        }
    }

    /// A small program: open, write, close.
    fn write_whole(&mut self, random: &mut fastrand::Rng, path: &Path) {
        let data = text(random, 5000);
        self.with_file(&path.to_owned(), |world, ino| {
            fs::write(world.real(path), &data).unwrap();
            let handle = world.tree().open_file(ino, true, true, WHO).unwrap();
            world
                .tree()
                .write(&handle, 0, &data, false, false, WHO)
                .unwrap();
        });
    }
}
