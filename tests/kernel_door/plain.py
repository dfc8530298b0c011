# The calls of a plain file system, on an empty directory.
import ctypes, errno, fcntl, mmap, os, socket, stat

libc = ctypes.CDLL(None, use_errno=True)


def fails(number, call, *args):
    try:
        call(*args)
    except OSError as e:
        assert e.errno == number, (e, number)
    else:
        raise AssertionError(("no error", args))


os.makedirs("d")
with open("d/f", "wb") as f:
    f.write(b"0123456789" * 1000)
with open("d/f", "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    m[0:5] = b"HELLO"
    m.flush()
    m.close()
assert open("d/f", "rb").read(10) == b"HELLO56789"
os.truncate("d/f", 7)
assert os.stat("d/f").st_size == 7
with open("d/f", "ab") as f:
    f.write(b"X")
assert open("d/f", "rb").read() == b"HELLO56X"

# An open file without a name.
fd = os.open("d/f", os.O_RDWR)
os.unlink("d/f")
os.pwrite(fd, b"still", 0)
assert os.pread(fd, 5, 0) == b"still" and os.fstat(fd).st_nlink == 0
os.close(fd)

# rename with flags.
open("a", "w").write("a")
open("b", "w").write("b")
assert libc.renameat2(-100, b"a", -100, b"b", 1) == -1 and ctypes.get_errno() == errno.EEXIST
assert libc.renameat2(-100, b"a", -100, b"b", 2) == 0
assert open("a").read() == "b" and open("b").read() == "a"
assert libc.renameat2(-100, b"a", -100, b"b", 4) == -1 and ctypes.get_errno() == errno.EINVAL

# Holes, allocation, copies.
fd = os.open("s", os.O_CREAT | os.O_RDWR)
os.posix_fallocate(fd, 0, 10000)
assert os.fstat(fd).st_size == 10000
os.truncate(fd, 1 << 30)
os.pwrite(fd, b"end", (1 << 30) - 3)
assert os.lseek(fd, 100000, os.SEEK_DATA) > 100000
assert os.lseek(fd, 100000, os.SEEK_HOLE) == 100000
copy = os.open("copy", os.O_CREAT | os.O_RDWR)
assert os.copy_file_range(fd, copy, 3, (1 << 30) - 3, 0) == 3 and os.pread(copy, 3, 0) == b"end"
os.close(fd)
os.close(copy)
os.unlink("s")

# Appends of two handles do not overwrite each other.
one = os.open("log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
two = os.open("log", os.O_WRONLY | os.O_APPEND)
for i in range(50):
    os.write(one, b"1")
    os.write(two, b"2")
os.close(one)
os.close(two)
assert open("log").read() == "12" * 50

# Numbers, directories, links.
inode = os.stat("a").st_ino
os.rename("a", "d/a")
assert os.stat("d/a").st_ino == inode
fails(errno.ENOTEMPTY, os.rmdir, "d")
fails(errno.EINVAL, os.rename, "d", "d/e")
os.link("d/a", "twin")
assert os.stat("twin").st_nlink == 2 and os.stat("twin").st_ino == inode
os.symlink("d/a", "sym")
assert os.readlink("sym") == "d/a" and open("sym").read() == "b"
fails(errno.ENAMETOOLONG, os.stat, "x" * 256)
os.mkdir("x" * 255)

# Attributes.
os.setxattr("d/a", "user.k", b"v")
assert os.getxattr("d/a", "user.k") == b"v" and os.listxattr("d/a") == ["user.k"]
fails(errno.EEXIST, os.setxattr, "d/a", "user.k", b"w", os.XATTR_CREATE)
fails(errno.ENODATA, os.setxattr, "d/a", "user.none", b"w", os.XATTR_REPLACE)
os.removexattr("d/a", "user.k")
fails(errno.ENODATA, os.getxattr, "d/a", "user.k")
fails(errno.EOPNOTSUPP, os.setxattr, "d/a", "user.drift.state", b"clean")
for times in [(-1_500_000_000, -800_000_001), (123_456_789, 1_600_000_000_123_456_789)]:
    os.utime("d/a", ns=times)
    got = os.stat("d/a")
    assert (got.st_atime_ns, got.st_mtime_ns) == times, (got, times)

# Special files.
os.mkfifo("pipe", 0o640)
assert stat.S_ISFIFO(os.stat("pipe").st_mode) and os.stat("pipe").st_mode & 0o777 == 0o640
os.mknod("null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
assert os.stat("null").st_rdev == os.makedev(1, 3)
socket.socket(socket.AF_UNIX).bind("sock")
assert stat.S_ISSOCK(os.stat("sock").st_mode)

# Removing while listing.
for i in range(300):
    open("d/n%d" % i, "w").close()
seen = set()
for e in os.scandir("d"):
    seen.add(e.name)
    os.unlink(e.path)
assert len(seen) == 301 and os.listdir("d") == [], len(seen)

# Set-id bits go with a write of another user.
fd = os.open("suid", os.O_CREAT | os.O_WRONLY)
os.chmod("suid", 0o6777)
os.chmod(".", 0o777)
if os.fork() == 0:
    os.setuid(65534)
    fd = os.open("suid", os.O_WRONLY)
    os.write(fd, b"x")
    os._exit(0)
assert os.wait()[1] == 0
assert os.stat("suid").st_mode & 0o7777 == 0o777, oct(os.stat("suid").st_mode)
os.chmod("suid", 0o6777)
if os.fork() == 0:
    os.setuid(65534)
    os.open("suid", os.O_WRONLY | os.O_TRUNC)
    os._exit(0)
assert os.wait()[1] == 0
assert os.stat("suid").st_mode & 0o7777 == 0o777, oct(os.stat("suid").st_mode)
fcntl.flock(fd, fcntl.LOCK_EX)
os.fsync(fd)
os.fsync(os.open(".", os.O_RDONLY))
