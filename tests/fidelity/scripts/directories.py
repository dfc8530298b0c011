"""Positions in a directory stay true while it changes; long paths. In the current directory, which has `many` with entries."""
import ctypes, errno, os, random

libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
for f in (libc.readdir, libc.telldir, libc.closedir, libc.rewinddir):
    f.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]

def entry(d):
    p = libc.readdir(d)
    return ctypes.string_at(p + 19) if p else None

def opened(path):
    d = libc.opendir(os.fsencode(path))
    assert d
    return d

names = set(os.fsencode(n) for n in os.listdir("many"))
assert len(names) > 400

# Every position leads back to the entry that follows it.
d = opened("many")
places = []
while True:
    at = libc.telldir(d)
    name = entry(d)
    if name is None:
        break
    places.append((at, name))
assert set(n for _, n in places) - {b".", b".."} == names and len(places) == len(names) + 2
random.seed(7)
for at, name in random.sample(places, 200):
    libc.seekdir(d, at)
    assert entry(d) == name, name
libc.rewinddir(d)
assert entry(d) in (b".", b"..")

# Removing while listing: what stays is seen once, also from remembered positions.
libc.rewinddir(d)
seen, gone = [], set()
while (name := entry(d)) is not None:
    seen.append(name)
    if name not in (b".", b"..") and len(seen) % 3 == 0:
        os.unlink(b"many/" + name); gone.add(name)
        if len(seen) % 50 == 0:
            libc.seekdir(d, libc.telldir(d))
assert len(seen) == len(set(seen)) and set(seen) - {b".", b".."} == names
left = [(at, n) for at, n in places if n not in gone]
for i in random.sample(range(len(left)), 100):
    libc.seekdir(d, left[i][0])
    assert entry(d) == left[i][1], left[i][1]
# A position whose entry is gone leads to the next one.
index = next(i for i, (_, n) in enumerate(places) if n in gone and i + 1 < len(places) and places[i + 1][1] not in gone)
libc.seekdir(d, places[index][0])
assert entry(d) == places[index + 1][1]
libc.closedir(d)

# Adding while listing: what was there is seen exactly once.
old = set(os.fsencode(n) for n in os.listdir("many"))
d = opened("many")
seen = []
while (name := entry(d)) is not None:
    seen.append(name)
    if len(seen) % 10 == 0:
        open(b"many/added %d" % len(seen), "w").close()
    if len(seen) % 25 == 0:
        os.rename(b"many/added %d" % (len(seen) // 10 * 10), b"many/renamed %d" % len(seen)) if os.path.exists(b"many/added %d" % (len(seen) // 10 * 10)) else None
libc.closedir(d)
assert len([n for n in seen if n in old]) == len(old | {b".", b".."}) - 2 and len(set(seen)) == len(seen)

# rm -rf while listing.
for e in os.scandir("many"):
    os.unlink(e.path)
assert os.listdir("many") == []
os.rmdir("many")

# Link counts of directories.
os.mkdir("n")
for i in range(5):
    os.mkdir("n/%d" % i)
assert os.stat("n").st_nlink == 7
os.rename("n/0", "moved"); os.rmdir("n/1")
assert os.stat("n").st_nlink == 5 and os.stat("moved").st_nlink == 2

# Paths of 4,095 bytes are the longest, whatever is deeper is reached from within.
here = os.open(".", os.O_RDONLY)
part = "p" * 250
at = here
for i in range(20):
    os.mkdir(part, dir_fd=at)
    at = os.open(part, os.O_RDONLY, dir_fd=at)
with open(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=at), "w") as f:
    f.write("deep")
assert os.path.samestat(os.fstat(at), os.stat(".", dir_fd=at))
def longest(length):
    depth = (length - 10) // 251
    path = "/".join([part] * depth)
    return path + "/" + "." + "/" * (length - len(path) - 3) + "."
for length, fits in ((4095, True), (4096, False)):
    path = longest(length)
    assert len(path) == length
    try:
        os.stat(path)
        assert fits
    except OSError as e:
        assert not fits and e.errno == errno.ENAMETOOLONG, e
os.fchdir(at)
assert open("bottom").read() == "deep"
try:
    assert len(os.getcwd()) > 4096
except OSError as e:
    assert e.errno in (errno.ENAMETOOLONG, errno.ERANGE), e
os.fchdir(here)
try:
    open("q" * 256, "w")
    assert False
except OSError as e:
    assert e.errno == errno.ENAMETOOLONG
import subprocess
subprocess.run(["rm", "-rf", part], check=True)
assert not os.path.exists(part)
