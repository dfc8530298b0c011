"""Does everything to access control lists that programs do, in the current directory, and prints what is to be seen. The
output on any two file systems must be equal. Needs root."""
import ctypes, errno, os, struct, subprocess

def acl(*entries):
    tags = {"u": 1, "U": 2, "g": 4, "G": 8, "m": 16, "o": 32}
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tags[t], p, i) for t, p, i in entries)

NONE = 0xffffffff
A, D = "system.posix_acl_access", "system.posix_acl_default"
NAMED = acl(("u", 7, NONE), ("U", 6, 1000), ("g", 5, NONE), ("G", 7, 2000), ("m", 6, NONE), ("o", 4, NONE))
MINIMAL = acl(("u", 6, NONE), ("g", 4, NONE), ("o", 1, NONE))

def show(what, path):
    st = os.lstat(path)
    lists = [(n, os.getxattr(path, n, follow_symlinks=False).hex()) for n in sorted(os.listxattr(path, follow_symlinks=False))
             if n in (A, D)]
    print(what, oct(st.st_mode), st.st_uid, st.st_gid, lists)

def attempt(what, op):
    try:
        print(what, "gave", op())
    except OSError as e:
        print(what, "failed", errno.errorcode[e.errno])

def as_user(what, uid, gid, groups, op):
    """In a child, without privilege."""
    import sys
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setgroups(groups); os.setgid(gid); os.setuid(uid)
        attempt(what, op)
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

def touch(path, mode=0o666):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode))

os.umask(0o027)
os.chmod(".", 0o755)
if not os.path.exists("f"):
    touch("f")
    os.mkdir("d")
show("fresh file", "f")
os.setxattr("f", A, NAMED); show("named", "f")
for mode in (0o600, 0o777, 0o751, 0o4710, 0o640):
    os.chmod("f", mode); show("chmod %o" % mode, "f")
os.setxattr("f", A, MINIMAL); show("minimal", "f")
os.chmod("f", 0o755)
os.setxattr("f", A, NAMED, os.XATTR_CREATE); show("named again", "f")
os.removexattr("f", A); show("removed", "f")
attempt("remove what is not there", lambda: os.removexattr("f", A))
attempt("get what is not there", lambda: os.getxattr("f", A))
attempt("default of a file", lambda: os.setxattr("f", D, NAMED))
attempt("remove the default of a file", lambda: os.removexattr("f", D))
attempt("garbage", lambda: os.setxattr("f", A, b"garbage"))
attempt("without a mask", lambda: os.setxattr("f", A, acl(("u", 7, NONE), ("U", 6, 1), ("g", 5, NONE), ("o", 4, NONE))))
os.setxattr("f", A, NAMED)
attempt("nothing in it", lambda: os.setxattr("f", A, acl())); show("nothing in it", "f")
os.symlink("f", "l")
attempt("symlink", lambda: os.setxattr("l", A, NAMED, follow_symlinks=False))
os.unlink("l")

# What a default list hands down, with every kind and mode; the umask has no say.
os.setxattr("d", D, NAMED); show("default", "d")
for mode in (0o666, 0o777, 0o600, 0o070, 0o7777, 0):
    touch("d/f%o" % mode, mode); show("made file %o" % mode, "d/f%o" % mode)
    os.mkdir("d/d%o" % mode, mode); show("made directory %o" % mode, "d/d%o" % mode)
    os.mknod("d/p%o" % mode, 0o010000 | mode); show("made fifo %o" % mode, "d/p%o" % mode)
os.symlink("x", "d/l"); show("made symlink", "d/l")
os.rename("f", "d/moved"); show("moved in", "d/moved"); os.rename("d/moved", "f")
os.link("f", "d/linked"); show("linked in", "d/linked"); os.unlink("d/linked")
os.setxattr("d", D, MINIMAL); show("minimal default", "d")
touch("d/plain"); show("made under a minimal default", "d/plain")
os.mkdir("d/sub"); show("made under a minimal default", "d/sub")
os.removexattr("d", D); show("no default", "d")
touch("d/masked"); os.mkdir("d/masked d"); show("umask again", "d/masked"); show("umask again", "d/masked d")

# Set-group-id: of the directory, and lost by somebody who is not of the group.
os.mkdir("s"); os.chown("s", 0, 2000); os.chmod("s", 0o2777); os.setxattr("s", D, NAMED)
touch("s/f", 0o2777); os.mkdir("s/d"); show("setgid directory", "s"); show("setgid file", "s/f"); show("setgid sub", "s/d")
os.chmod("s", 0o2777)
as_user("create", 1000, 1000, [], lambda: touch("s/mine", 0o2777)); show("made by a stranger to the group", "s/mine")
os.mkdir("g"); os.chmod("g", 0o777)
for name, groups in (("stranger", []), ("member", [2000])):
    touch("g/" + name); os.chown("g/" + name, 1000, 2000); os.chmod("g/" + name, 0o2755)
    as_user("own list", 1000, 1000, groups, lambda: os.setxattr("g/" + name, A, NAMED)); show(name, "g/" + name)
    os.chmod("g/" + name, 0o2755)
    as_user("not the owner's list", 1001, 1000, groups, lambda: os.setxattr("g/" + name, A, NAMED)); show(name, "g/" + name)
touch("g/root"); os.chown("g/root", 0, 2000); os.chmod("g/root", 0o2755); os.setxattr("g/root", A, NAMED); show("root", "g/root")

# Rights are checked.
touch("g/checked"); os.chown("g/checked", 0, 0); os.chmod("g/checked", 0o640)
reading = lambda: os.read(os.open("g/checked", os.O_RDONLY), 10)
writing = lambda: os.write(os.open("g/checked", os.O_WRONLY), b"w")
def check(what):
    for uid, gid, groups in ((1000, 1000, []), (1001, 1001, []), (1001, 1001, [2000]), (1001, 2000, []), (1001, 0, [])):
        as_user("%s: read by %d %d %s" % (what, uid, gid, groups), uid, gid, groups, reading)
        as_user("%s: write by %d %d %s" % (what, uid, gid, groups), uid, gid, groups, writing)
check("no list")
os.setxattr("g/checked", A, NAMED); check("named")
os.chmod("g/checked", 0o740); check("mask r")
os.chmod("g/checked", 0o704); check("mask nothing")
os.setxattr("g/checked", A, acl(("u", 7, NONE), ("U", 0, 1000), ("g", 7, NONE), ("m", 7, NONE), ("o", 7, NONE))); check("denied by name")
os.removexattr("g/checked", A); check("removed")

# Writing and chown leave the list, and take what they take.
touch("w"); os.setxattr("w", A, NAMED); os.chmod("w", 0o6777)
os.chown("w", 1000, 1000); show("chowned", "w")
os.chmod("w", 0o6777)
as_user("write", 1000, 1000, [], lambda: os.write(os.open("w", os.O_WRONLY), b"w")); show("written", "w")
print(subprocess.run(["getfacl", "-n", "w", "d", "s"], check=True, capture_output=True, text=True).stdout)
