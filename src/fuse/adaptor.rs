//! The kernel's door: each request is decoded, handed to one operation, and its result turned into the reply.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, INodeNo, IoctlFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen,
    ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::backing::Backings;
use super::capabilities;
use super::convert::{call, how_to_open, kind_of_mode, masked, open_call, rename_mode, set_time};
use super::listing::{Entries, Listing};
use super::listings::Listings;
use super::parked::guarded;
use super::replies;
use super::telling::Telling;
use super::waits::Waits;
use crate::model::{Ino, Kind, Name};
use crate::overlay::{
    Call, NewNode, Overlay, OverlayError, Result, Seek, SetAttrs, SetXattr, given_up,
};
use crate::sys::flags as f;

/// What the library calls.
pub(super) struct Adaptor {
    overlay: Arc<Overlay>,
    waits: Arc<Waits>,
    backings: Arc<Backings>,
    listings: Arc<Listings>,
    /// Passthrough is wanted.
    passthrough: bool,
    /// The kernel can open directories without us.
    opens_directories: bool,
}

impl Adaptor {
    pub(super) fn new(
        overlay: Arc<Overlay>,
        waits: Arc<Waits>,
        listings: Arc<Listings>,
        passthrough: bool,
    ) -> Adaptor {
        Adaptor {
            listings,
            backings: Arc::new(Backings::new(Arc::clone(&overlay))),
            overlay,
            waits,
            passthrough,
            opens_directories: false,
        }
    }

    /// For a reply that the kernel may keep; made before anything is read for it.
    fn telling(&self) -> Telling {
        Telling::new(&self.overlay)
    }

    /// Runs what never waits for the server.
    fn now<T>(
        &self,
        request: &Request,
        op: impl FnOnce(&Overlay, &Call) -> Result<T>,
    ) -> Result<T> {
        guarded(|| op(&self.overlay, &given_up(call(request))))
    }

    /// Runs a change of the names in `dirs` (the same one twice, if it is one). What the kernel keeps of their listings goes
    /// before it is answered.
    fn change<T: 'static>(
        &self,
        call: Call,
        dirs: [Ino; 2],
        op: impl Fn(&Overlay, &Call) -> Result<T> + Send + Sync + 'static,
        answer: impl FnOnce(Result<T>) + Send + 'static,
    ) {
        let listings = Arc::clone(&self.listings);
        self.waits.run(call, op, move |result| {
            if result.is_ok() {
                listings.changed(dirs[0]);
                if dirs[1] != dirs[0] {
                    listings.changed(dirs[1]);
                }
            }
            answer(result);
        });
    }

    /// Gives a piece of a listing. Where one begins, the server may be looked at first.
    fn list(&self, request: &Request, dir: Ino, after: u64, reply: impl Entries) {
        let (listing, call) = (Listing::new(&self.overlay, &self.listings), call(request));
        if after > 0 {
            return listing.answer(call, dir, after, reply);
        }
        self.waits.run(
            call,
            move |o, c| o.begin_listing(c, dir),
            move |result| match result {
                Ok(()) => listing.answer(call, dir, after, reply),
                Err(error) => reply.refuse(&error),
            },
        );
    }

    /// Makes a node and replies with it.
    fn make(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        umask: u32,
        new: NewNode,
        reply: ReplyEntry,
    ) {
        let (telling, parent, name) = (self.telling(), Ino(parent.0), Name::from_os(name));
        self.change(
            masked(call(request), umask),
            [parent; 2],
            move |o, c| o.make(c, parent, name.as_ref().map_err(Clone::clone)?, &new),
            move |result| telling.entry(reply, parent, result),
        );
    }
}

// Long argument lists on few lines: the trait cannot be split, and its other half is reading it.
// Left to the library's own answer (ENOSYS, so that the kernel does it itself or says it is not there): access
// (default_permissions), locks, bmap, poll.
#[rustfmt::skip]
impl Filesystem for Adaptor {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        capabilities::ask(config);
        self.opens_directories = capabilities::opens_directories(config);
        if self.passthrough {
            self.overlay.use_passthrough(capabilities::ask_passthrough(config));
        }
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let (telling, parent, name) = (self.telling(), Ino(parent.0), Name::from_os(name));
        let asked = name.clone().ok();
        self.waits.run(
            call(request),
            move |o, c| o.lookup(c, parent, name.as_ref().map_err(Clone::clone)?),
            move |result| telling.found(reply, (parent, asked), result),
        );
    }

    fn forget(&self, _request: &Request, ino: INodeNo, count: u64) {
        self.listings.forgotten(Ino(ino.0), || self.overlay.forget(Ino(ino.0), count));
    }

    fn getattr(&self, request: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        self.listings.asked(Ino(ino.0));
        let telling = self.telling();
        self.waits.run(
            call(request),
            move |o, c| o.getattr(c, Ino(ino.0)),
            move |result| telling.attributes(reply, result),
        );
    }

    fn setattr(
        &self, request: &Request, ino: INodeNo, mode: Option<u32>, uid: Option<u32>, gid: Option<u32>,
        size: Option<u64>, atime: Option<TimeOrNow>, mtime: Option<TimeOrNow>, _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>, _crtime: Option<SystemTime>, _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>, _flags: Option<BsdFileFlags>, reply: ReplyAttr,
    ) {
        let set = SetAttrs {
            mode: mode.map(|mode| mode & 0o7777),
            uid,
            gid,
            size,
            atime: atime.map(set_time),
            mtime: mtime.map(set_time),
        };
        let telling = self.telling();
        self.waits.run(
            call(request),
            move |o, c| o.setattr(c, Ino(ino.0), &set),
            move |result| telling.attributes(reply, result),
        );
    }

    fn readlink(&self, request: &Request, ino: INodeNo, reply: ReplyData) {
        replies::bytes(reply, self.now(request, |o, _| o.readlink(Ino(ino.0))));
    }

    fn mknod(
        &self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, rdev: u32,
        reply: ReplyEntry,
    ) {
        let Some(kind) = kind_of_mode(mode) else {
            return reply.error(Errno::EINVAL);
        };
        let new = NewNode {
            kind,
            mode: mode & 0o7777,
            rdev: u64::from(rdev),
            target: None,
        };
        self.make(request, parent, name, umask, new, reply);
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let new = NewNode {
            kind: Kind::Dir,
            mode: mode & 0o7777,
            rdev: 0,
            target: None,
        };
        self.make(request, parent, name, umask, new, reply);
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.change(
            call(request),
            [Ino(parent.0); 2],
            move |o, c| o.unlink(c, Ino(parent.0), &Name::from_os(&name)?),
            move |result| replies::done(reply, result),
        );
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.change(
            call(request),
            [Ino(parent.0); 2],
            move |o, c| o.rmdir(c, Ino(parent.0), &Name::from_os(&name)?),
            move |result| replies::done(reply, result),
        );
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let new = NewNode {
            kind: Kind::Symlink,
            mode: 0o777,
            rdev: 0,
            target: Some(target.as_os_str().as_bytes().to_vec()),
        };
        self.make(request, parent, name, 0, new, reply);
    }

    fn rename(
        &self, request: &Request, parent: INodeNo, name: &OsStr, new_parent: INodeNo, new_name: &OsStr,
        flags: RenameFlags, reply: ReplyEmpty,
    ) {
        let Some(mode) = rename_mode(flags) else {
            return reply.error(Errno::EINVAL);
        };
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        self.change(
            call(request),
            [Ino(parent.0), Ino(new_parent.0)],
            move |o, c| {
                let (from, to) = (Name::from_os(&name)?, Name::from_os(&new_name)?);
                o.rename(c, (Ino(parent.0), &from), (Ino(new_parent.0), &to), mode)
            },
            move |result| replies::done(reply, result),
        );
    }

    fn link(&self, request: &Request, ino: INodeNo, new_parent: INodeNo, new_name: &OsStr, reply: ReplyEntry) {
        let (name, telling, dir) = (new_name.to_owned(), self.telling(), Ino(new_parent.0));
        self.change(
            call(request),
            [dir; 2],
            move |o, c| o.link(c, Ino(ino.0), dir, &Name::from_os(&name)?),
            move |result| telling.entry(reply, dir, result),
        );
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let (how, backings) = (how_to_open(flags.0), Arc::clone(&self.backings));
        self.waits.run(
            open_call(request, flags.0),
            move |o, c| o.open(c, Ino(ino.0), how),
            move |result| replies::opened(reply, &backings, Ino(ino.0), result),
        );
    }

    fn create(
        &self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, flags: i32,
        reply: ReplyCreate,
    ) {
        let (name, telling, how) = (name.to_owned(), self.telling(), how_to_open(flags));
        let exclusive = flags & f::O_EXCL != 0;
        let backings = Arc::clone(&self.backings);
        self.change(
            masked(open_call(request, flags), umask),
            [Ino(parent.0); 2],
            move |o, c| {
                let name = Name::from_os(&name)?;
                o.create(c, Ino(parent.0), &name, mode & 0o7777, how, exclusive)
            },
            move |result| telling.created(reply, &backings, Ino(parent.0), result),
        );
    }

    fn read(
        &self, request: &Request, _ino: INodeNo, fh: FileHandle, offset: u64, size: u32, flags: OpenFlags,
        _lock_owner: Option<LockOwner>, reply: ReplyData,
    ) {
        self.waits.run(
            open_call(request, flags.0),
            move |o, c| o.read(c, fh.0, offset, size as usize),
            move |result| replies::bytes(reply, result),
        );
    }

    fn write(
        &self, request: &Request, _ino: INodeNo, fh: FileHandle, offset: u64, data: &[u8],
        write_flags: WriteFlags, flags: OpenFlags, _lock_owner: Option<LockOwner>, reply: ReplyWrite,
    ) {
        // Pages of a mapping come with any handle of the file, and belong where they are.
        let from_pages = write_flags.contains(WriteFlags::FUSE_WRITE_CACHE);
        let append = flags.0 & f::O_APPEND != 0 && !from_pages;
        let kill = write_flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        let call = open_call(request, flags.0);
        match guarded(|| self.overlay.write(&call, fh.0, offset, data, append, kill)) {
            // Only one that has to wait is worth a copy of its data.
            Err(OverlayError::Wait(_)) => {
                let data = data.to_vec();
                self.waits.run(
                    call,
                    move |o, c| o.write(c, fh.0, offset, &data, append, kill),
                    move |result| replies::written(reply, result.map(|count| count as u64)),
                );
            }
            done => replies::written(reply, done.map(|count| count as u64)),
        }
    }

    fn flush(&self, request: &Request, _ino: INodeNo, fh: FileHandle, _lock_owner: LockOwner, reply: ReplyEmpty) {
        self.waits.run(
            call(request),
            move |o, c| o.flush(c, fh.0),
            move |result| replies::done(reply, result),
        );
    }

    fn release(
        &self, _request: &Request, _ino: INodeNo, fh: FileHandle, _flags: OpenFlags,
        _lock_owner: Option<LockOwner>, _flush: bool, reply: ReplyEmpty,
    ) {
        // The kernel's own books of it are closed already: a backing that goes now is used by nobody.
        self.backings.release(fh.0);
        self.overlay.release(fh.0);
        reply.ok();
    }

    fn fsync(&self, request: &Request, _ino: INodeNo, fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        replies::done(reply, self.now(request, |o, _| o.sync(fh.0)));
    }

    // The kernel does not ask again, and lists from its own pages. One before 5.1 does ask, and is told to do the same.
    fn opendir(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if self.opens_directories {
            reply.error(Errno::ENOSYS);
        } else {
            reply.opened(FileHandle(0), replies::dir_flags());
        }
    }

    fn readdir(&self, request: &Request, ino: INodeNo, _fh: FileHandle, offset: u64, reply: ReplyDirectory) {
        self.list(request, Ino(ino.0), offset, reply);
    }

    fn readdirplus(
        &self, request: &Request, ino: INodeNo, _fh: FileHandle, offset: u64, reply: ReplyDirectoryPlus,
    ) {
        self.list(request, Ino(ino.0), offset, reply);
    }

    fn releasedir(&self, _request: &Request, _ino: INodeNo, _fh: FileHandle, _flags: OpenFlags, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsyncdir(&self, request: &Request, _ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        replies::done(reply, self.now(request, |o, _| o.sync_names()));
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let s = self.overlay.statfs();
        let longest = Name::MAX as u32;
        reply.statfs(
            s.blocks, s.bfree, s.bavail, s.files, s.ffree, s.bsize, longest, s.bsize,
        );
    }

    fn setxattr(
        &self, request: &Request, ino: INodeNo, name: &OsStr, value: &[u8], flags: i32, _position: u32,
        reply: ReplyEmpty,
    ) {
        let how = match flags {
            f::XATTR_CREATE => SetXattr::Create,
            f::XATTR_REPLACE => SetXattr::Replace,
            _ => SetXattr::Any,
        };
        let aside = Overlay::settles(name.as_bytes());
        let (name, value) = (name.as_bytes().to_vec(), value.to_vec());
        let op = move |o: &Overlay, c: &Call| o.setxattr(c, Ino(ino.0), &name, &value, how);
        let answer = move |result| replies::done(reply, result);
        if aside {
            self.waits.run_aside(call(request), op, answer);
        } else {
            self.waits.run(call(request), op, answer);
        }
    }

    fn getxattr(&self, request: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let value = self.now(request, |o, _| o.getxattr(Ino(ino.0), name.as_bytes()));
        replies::xattr(reply, size, value);
    }

    fn listxattr(&self, request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        replies::xattr(reply, size, self.now(request, |o, _| o.listxattr(Ino(ino.0))));
    }

    fn removexattr(&self, request: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let result = self.now(request, |o, c| {
            o.removexattr(c, Ino(ino.0), name.as_bytes())
        });
        replies::done(reply, result);
    }

    fn ioctl(
        &self, _request: &Request, _ino: INodeNo, _fh: FileHandle, _flags: IoctlFlags, _cmd: u32, _in: &[u8],
        _out_size: u32, reply: ReplyIoctl,
    ) {
        // Every program that asks whether its output is a terminal comes here.
        reply.error(Errno::ENOTTY);
    }

    fn fallocate(
        &self, request: &Request, _ino: INodeNo, fh: FileHandle, offset: u64, length: u64, mode: i32,
        reply: ReplyEmpty,
    ) {
        self.waits.run(
            call(request),
            move |o, c| o.allocate(c, fh.0, offset, length, mode),
            move |result| replies::done(reply, result),
        );
    }

    fn lseek(
        &self, request: &Request, _ino: INodeNo, fh: FileHandle, offset: i64, whence: i32, reply: ReplyLseek,
    ) {
        let what = match whence {
            f::SEEK_DATA => Seek::Data,
            f::SEEK_HOLE => Seek::Hole,
            _ => return reply.error(Errno::EINVAL),
        };
        let result = u64::try_from(offset)
            .map_err(|_| OverlayError::PastEnd)
            .and_then(|offset| self.now(request, |o, _| o.seek(fh.0, offset, what)));
        replies::offset(reply, result);
    }

    fn copy_file_range(
        &self, request: &Request, _ino_in: INodeNo, fh_in: FileHandle, offset_in: u64, _ino_out: INodeNo,
        fh_out: FileHandle, offset_out: u64, len: u64, _flags: CopyFileRangeFlags, reply: ReplyWrite,
    ) {
        let (from, to) = ((fh_in.0, offset_in), (fh_out.0, offset_out));
        self.waits.run(
            call(request),
            move |o, c| o.copy(c, from, to, len),
            move |result| replies::written(reply, result),
        );
    }
}
