"""Calls whose answers programs rely on, in the current directory; prints what is to be seen. The output on any two file
systems that can punch holes and clone must be equal."""
import ctypes, errno, hashlib, os, stat, sys, time

libc = ctypes.CDLL(None, use_errno=True)

def attempt(what, op):
    try:
        print(what, "gave", op())
    except OSError as e:
        # A directory that is not empty has two numbers, and file systems differ.
        number = errno.ENOTEMPTY if e.errno == errno.EEXIST and what.startswith("rename r/empty") else e.errno
        print(what, "failed", errno.errorcode[number])

def fallocate(fd, mode, at, length):
    if libc.fallocate(fd, mode, ctypes.c_long(at), ctypes.c_long(length)):
        raise OSError(ctypes.get_errno(), "fallocate")

os.umask(0o022)
if not os.path.exists("f"):
    open("f", "wb").write(b"0123456789" * 20000)
os.chmod("f", 0o644)
fd = os.open("f", os.O_RDWR)
size = lambda: os.fstat(fd).st_size
data = lambda: os.pread(fd, 1 << 20, 0)

# fallocate in its modes.
for name, mode in (("allocate", 0), ("keep size", 1), ("punch", 3), ("zero", 0x10), ("zero, keep size", 0x11), ("nonsense", 0x8000)):
    for at, length in ((4096, 8192), (size() - 4096, 65536) if mode in (0, 1, 0x10, 0x11) else (8192, 4096), (100, 77)):
        attempt("%s %d %d" % (name, at, length), lambda: fallocate(fd, mode, at, length))
        print(size(), hashlib.md5(data()).hexdigest())
attempt("nothing", lambda: fallocate(fd, 0, 0, 0))
attempt("negative", lambda: fallocate(fd, 0, -1, 10))
attempt("too large", lambda: fallocate(fd, 0, 1 << 62, 1 << 62))

# Holes.
os.ftruncate(fd, 0); os.ftruncate(fd, 3 << 20); os.pwrite(fd, b"x" * 65536, 1 << 20)
for whence in (os.SEEK_DATA, os.SEEK_HOLE):
    for at in (0, 1 << 20, (1 << 20) + 65536, (3 << 20) - 1, 3 << 20, (3 << 20) + 1):
        attempt("seek %d %d" % (whence, at), lambda: os.lseek(fd, at, whence))

# copy_file_range.
other = os.open("copy", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
attempt("copy", lambda: os.copy_file_range(fd, other, 1 << 20, 1 << 20, 0))
attempt("copy past the end", lambda: os.copy_file_range(fd, other, 100, 3 << 20, 0))
attempt("copy onto itself", lambda: os.copy_file_range(fd, fd, 65536, 1 << 20, (1 << 20) + 100))
attempt("copy within", lambda: os.copy_file_range(fd, fd, 65536, 1 << 20, 0))
print(os.fstat(other).st_size, os.pread(other, 3, 0), os.pread(fd, 3, 0))

# Times.
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
class Times(ctypes.Structure):
    _fields_ = [("s", ctypes.c_long), ("n", ctypes.c_long)]
def utimens(path, a, m, flags=0):
    if libc.utimensat(-100, os.fsencode(path), (Times * 2)(Times(*a), Times(*m)), flags):
        raise OSError(ctypes.get_errno(), "utimensat")
os.utime("f", ns=(111, 222))
before = os.stat("f")
time.sleep(0.02)
utimens("f", (0, UTIME_OMIT), (333, 444)); s = os.stat("f"); print(s.st_atime_ns, s.st_mtime_ns, s.st_ctime_ns > before.st_ctime_ns)
utimens("f", (555, 666), (0, UTIME_OMIT)); s = os.stat("f"); print(s.st_atime_ns, s.st_mtime_ns)
c = os.stat("f").st_ctime_ns
utimens("f", (0, UTIME_OMIT), (0, UTIME_OMIT)); print("omit both", os.stat("f").st_ctime_ns == c)
utimens("f", (0, UTIME_OMIT), (0, UTIME_NOW)); print(abs(os.stat("f").st_mtime - time.time()) < 50)
attempt("bad time", lambda: utimens("f", (0, 1 << 30), (0, 0)))
for op in ("chmod", "link", "rename", "unlink a link"):
    c = os.stat("f").st_ctime_ns
    time.sleep(0.02)
    {"chmod": lambda: os.chmod("f", 0o600), "link": lambda: os.link("f", "g"), "rename": lambda: os.rename("f", "f2"),
     "unlink a link": lambda: os.unlink("g")}[op]()
    if op == "rename":
        os.rename("f2", "f")
    print("ctime after", op, os.stat("f").st_ctime_ns > c)

# Opening.
attempt("O_EXCL", lambda: os.open("f", os.O_CREAT | os.O_EXCL))
attempt("O_DIRECTORY", lambda: os.open("f", os.O_DIRECTORY))
attempt("write a directory", lambda: os.open(".", os.O_WRONLY))
os.symlink("f", "l"); attempt("O_NOFOLLOW", lambda: os.open("l", os.O_NOFOLLOW))
attempt("slash", lambda: os.open("f/", os.O_RDONLY))
p = os.open("l", os.O_PATH | os.O_NOFOLLOW); print(stat.S_ISLNK(os.fstat(p).st_mode)); os.close(p); os.unlink("l")

# Rename in its corners.
RENAME = lambda a, b, flags=0: libc.renameat2(-100, a.encode(), -100, b.encode(), flags) and (_ for _ in ()).throw(OSError(ctypes.get_errno(), "rename"))
os.makedirs("r/full/x"); os.makedirs("r/empty"); open("r/file", "w").close(); open("r/other", "w").close(); os.link("r/file", "r/same")
for a, b, flags in (("r/file", "r/same", 0), ("r/full", "r/full/x/y", 0), ("r/empty", "r/full", 0), ("r/full", "r/empty", 0), ("r/file", "r/empty", 0),
                    ("r/empty", "r/file", 0), ("r/none", "r/x", 0), ("r/file", "r/other", 1), ("r/file", "r/none", 2), ("r/file", "r/empty", 2),
                    ("r/.", "r/x", 0), ("r/..", "r/x", 0), ("r/file", "r/other", 3), ("r/file", "r/x/", 0), ("r/file", "r/other", 0)):
    attempt("rename %s %s %d" % (a, b, flags), lambda: RENAME(a, b, flags))
print(sorted((root, sorted(dirs), sorted(files)) for root, dirs, files in os.walk("r")))

# Sticky directories, set-id bits.
ROOT = os.getuid() == 0
def as_user(uid, op):
    """In a child without privilege; a user without any is that already."""
    if not ROOT:
        attempt("uid", op)
        return
    sys.stdout.flush()
    if os.fork() == 0:
        os.setgroups([]); os.setgid(uid); os.setuid(uid)
        attempt("uid %d" % uid, op); sys.stdout.flush(); os._exit(0)
    os.wait()
os.mkdir("t"); os.chmod("t", 0o1777); os.chmod(".", 0o755)
for name in ("a", "b", "c"):
    open("t/" + name, "w").close(); ROOT and os.chown("t/" + name, 1000, 1000)
as_user(1001, lambda: os.unlink("t/a")); as_user(1001, lambda: os.rename("t/a", "t/z")); as_user(1000, lambda: os.unlink("t/a"))
as_user(1001, lambda: os.rename("t/b", "t/c")); as_user(1000, lambda: os.rename("t/b", "t/c"))
open("suid", "w").close(); ROOT and os.chown("suid", 1000, 1000)
for mode in (0o6755, 0o6745, 0o6644):
    for what, op in (("write", lambda: os.write(os.open("suid", os.O_WRONLY), b"w")), ("truncate", lambda: os.truncate("suid", os.stat("suid").st_size + 1)),
                     ("chown", lambda: os.chown("suid", 1000, 1000)), ("append", lambda: os.write(os.open("suid", os.O_WRONLY | os.O_APPEND), b"w")),
                     ("allocate", lambda: fallocate(os.open("suid", os.O_WRONLY), 0, 0, 5000)),
                     ("O_TRUNC", lambda: os.open("suid", os.O_WRONLY | os.O_TRUNC) > 0)):
        os.chmod("suid", mode); as_user(1000, op); print(what, oct(mode), "user", oct(os.stat("suid").st_mode))
        os.chmod("suid", mode); attempt("root", op); print(what, oct(mode), "root", oct(os.stat("suid").st_mode))

# Removed and still open.
u = os.open("gone", os.O_RDWR | os.O_CREAT); os.write(u, b"here"); os.unlink("gone")
print(os.fstat(u).st_nlink, os.pread(u, 9, 0)); os.fchmod(u, 0o600); os.ftruncate(u, 2); print(oct(os.fstat(u).st_mode), os.fstat(u).st_size)
attempt("linked again", lambda: os.link("/proc/self/fd/%d" % u, "back", follow_symlinks=True))
os.mkdir("gone d"); g = os.open("gone d", os.O_RDONLY); os.rmdir("gone d")
attempt("made in a removed directory", lambda: os.mkdir("x", dir_fd=g)); print(os.listdir(g), os.fstat(g).st_nlink)
for kind, path in (("directory", "t"), ("file", "suid")):
    attempt("xattr too long " + kind, lambda: os.setxattr(path, "user." + "n" * 251, b""))
    attempt("xattr too large " + kind, lambda: os.setxattr(path, "user.k", b"v" * 65537))
    attempt("xattr of nobody " + kind, lambda: os.setxattr(path, "nobody.k", b"v"))
    attempt("xattr missing " + kind, lambda: os.getxattr(path, "user.missing"))
    attempt("xattr replaced " + kind, lambda: os.setxattr(path, "user.missing", b"v", os.XATTR_REPLACE))
