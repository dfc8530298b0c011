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

# Mappings and ordinary calls see each other's bytes at once; what is behind the end is not there.
import mmap, signal
with open("mapped", "wb") as file:
    file.write(bytes(range(256)) * 64)
w = os.open("mapped", os.O_RDWR)
shared, private = mmap.mmap(w, 16384), mmap.mmap(w, 16384, mmap.MAP_PRIVATE)
shared[5000:5004] = b"MAP!"; print("read sees the map", os.pread(w, 4, 5000))
os.pwrite(w, b"call", 9000); print("the map sees a write", shared[9000:9004])
private[100:103] = b"own"; print("private", os.pread(w, 3, 100) == b"own", shared[100:103] == b"own")
shared.flush(); os.utime("mapped", ns=(1, 1)); shared[0] = 77; shared.flush(); print("mtime after msync", os.stat("mapped").st_mtime_ns > 1)
os.ftruncate(w, 8192); os.ftruncate(w, 16384); print("cut and grown", shared[9000:9004], shared[5000:5004])
os.ftruncate(w, 4096)
def killed(op):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        op(); os._exit(0)
    return os.WTERMSIG(os.waitpid(pid, 0)[1])
print("behind the end", killed(lambda: shared[8192]) == signal.SIGBUS, "before it", killed(lambda: shared[4095]))
os.ftruncate(w, 16384); shared[16000] = 1; os.unlink("mapped"); shared[16001] = 2; shared.flush(); print("unlinked", os.pread(w, 2, 16000), os.fstat(w).st_nlink)
os.close(w); print("closed", shared[16000:16002])
with open("mapped", "wb") as file:
    file.write(b"y" * 10000)
w = os.open("mapped", os.O_RDONLY)
attempt("shared writing of what is open for reading", lambda: mmap.mmap(w, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE))
seen = mmap.mmap(w, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
with open("mapped", "r+b") as file:
    file.write(b"n" * 100)
print("another handle's write", seen[:3])
with open("mapped.new", "wb") as file:
    file.write(b"z" * 10000)
os.rename("mapped.new", "mapped"); print("replaced", seen[:3], open("mapped", "rb").read(3))

# Appending by two handles; writing at a place with O_APPEND.
x, y = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), os.open("log", os.O_WRONLY | os.O_APPEND)
for i in range(20):
    os.write(x if i % 2 else y, b"%02d" % i)
os.pwrite(x, b"end", 0); print(open("log", "rb").read())
for i in range(4):
    if os.fork() == 0:
        h = os.open("many", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for n in range(50):
            os.write(h, (b"%d" % i) * 37)
        os._exit(0)
for i in range(4):
    os.wait()
lines = open("many", "rb").read(); print("appended by four", len(lines), all(len(set(lines[n:n + 37])) == 1 for n in range(0, len(lines), 37)))

# What entries of a directory say of themselves.
for entry in sorted(os.scandir("r"), key=lambda e: e.name):
    st = entry.stat(follow_symlinks=False)
    print(entry.name, entry.inode() == st.st_ino, entry.is_dir(follow_symlinks=False) == stat.S_ISDIR(st.st_mode))
os.makedirs("p/q"); print("..", os.stat("p/q/..").st_ino == os.stat("p").st_ino); os.rename("p/q", "r/q"); print("..", os.stat("r/q/..").st_ino == os.stat("r").st_ino)
numbers = [os.stat("f").st_ino]; os.rename("f", "f2"); numbers.append(os.stat("f2").st_ino); os.rename("f2", "f"); print("number kept", len(set(numbers)) == 1)

# Space: what is taken, and what a hole gives back.
with open("space", "wb") as file:
    file.write(b"s" * (1 << 20)); file.truncate(64 << 20)
sp = os.open("space", os.O_RDWR); os.fsync(sp)
taken = lambda: os.fstat(sp).st_blocks * 512
print("taken", (1 << 20) <= taken() < (4 << 20), os.fstat(sp).st_size)
fallocate(sp, 3, 0, 512 << 10); print("punched", taken() < (1 << 20) + (256 << 10))
attempt("beyond the largest", lambda: os.ftruncate(sp, (1 << 63) - 1) or os.fstat(sp).st_size == (1 << 63) - 1)
attempt("beyond any", lambda: os.pwrite(sp, b"x", (1 << 63) - 1))
os.ftruncate(sp, 100)
