"""What FUSE cannot give, in the current directory, and what happens instead; prints one line for each. docs/semantics.md repeats them."""
import array, ctypes, errno, fcntl, os, struct

libc = ctypes.CDLL(None, use_errno=True)

def attempt(what, op):
    try:
        print(what, "gave", op())
    except OSError as e:
        print(what, "failed", errno.errorcode[e.errno])

def call(name, *args):
    result = getattr(libc, name)(*args)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result

with open("f", "wb") as file:
    file.write(b"x" * (1 << 20))
with open("g", "wb") as file:
    file.write(b"y" * (1 << 20))
f, g = os.open("f", os.O_RDWR), os.open("g", os.O_RDWR)

attempt("O_TMPFILE", lambda: os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600) > 0)
attempt("clone", lambda: fcntl.ioctl(g, 0x40049409, f))
attempt("copy", lambda: os.copy_file_range(f, g, 1 << 20, 0, 0))
attempt("dedupe", lambda: fcntl.ioctl(f, 0xc0189436, bytearray(struct.pack("QQHHIqQQiI", 0, 4096, 1, 0, 0, g, 0, 0, 0, 0))) is not None)
for what, mode in (("collapse", 8), ("insert", 0x20), ("unshare", 0x40)):
    attempt(what, lambda: call("fallocate", f, mode, ctypes.c_long(4096), ctypes.c_long(4096)))
attempt("get flags", lambda: fcntl.ioctl(f, 0x80086601, array.array("l", [0])))
attempt("set flags", lambda: fcntl.ioctl(f, 0x40086602, array.array("l", [0x40])))
attempt("fiemap", lambda: fcntl.ioctl(f, 0xc020660b, bytearray(32)))
# RENAME_WHITEOUT
attempt("whiteout", lambda: call("renameat2", -100, b"g", -100, b"h", 4))
print("exists", os.path.exists("g"))

# statx: the mask of what is known.
class Statx(ctypes.Structure):
    _fields_ = [("mask", ctypes.c_uint32), ("rest", ctypes.c_uint8 * 252)]
s = Statx()
call("statx", -100, b"f", 0, 0xfff, ctypes.byref(s))
print("birth", bool(s.mask & 0x800))

before = os.stat("f").st_atime_ns
os.utime("f", ns=(before - 10**15, os.stat("f").st_mtime_ns))
set_to = os.stat("f").st_atime_ns
os.pread(f, 100, 0); os.close(os.open("f", os.O_RDONLY))
print("atime moved by reading", os.stat("f").st_atime_ns != set_to)
