"""Makes a tree that is hard to copy, in the current directory. Argument: entries of the large directory."""
import os, subprocess, sys

# A user without rights makes what such a user can.
ROOT = os.getuid() == 0

def put(path, data=b"x"):
    with open(path, "wb") as f:
        f.write(data)

os.makedirs(b"names")
for name in [b"\xff\xfe\x80", b"new\nline", b"-rf", b" lead and trail ", b"back\\slash", b"quote'\"`$(x)", b"tab\t",
             b"L" * 255, b"\xc3\xa9" * 127, b"e\xcc\x81", b"\xc3\xa9", b"*?[", b"...", b"CON", b"a:b"]:
    put(b"names/" + name, name)
os.makedirs(b"names/\xfd\ndir/" + b"d" * 255)
put(b"names/\xfd\ndir/" + b"d" * 255 + b"/" + b"f" * 255)

os.mkdir("sparse")
with open("sparse/middle", "wb") as f:
    f.write(b"start"); f.seek(3 << 20); f.write(b"middle"); f.truncate(8 << 20)
with open("sparse/all", "wb") as f:
    f.truncate(5 << 20)
put("sparse/empty", b"")
put("sparse/zeros", bytes(300000))
put("sparse/big", os.urandom(3 << 20))

os.makedirs("links/deep")
put("links/one", b"linked")
os.link("links/one", "links/two"); os.link("links/one", "links/deep/three")
os.symlink("nowhere/at/all", "links/dangling"); os.symlink("t" * 1000, "links/long")
os.symlink(b"\xff\n", "links/odd"); os.symlink("deep", "links/dir")

os.mkdir("kinds")
os.mkfifo("kinds/fifo", 0o620)
if ROOT:
    os.mknod("kinds/null", 0o020666, os.makedev(1, 3))
    os.mknod("kinds/block", 0o060600, os.makedev(259, 70000))

os.mkdir("modes")
for mode in [0, 0o400, 0o777, 0o4755, 0o2755, 0o6711, 0o2644, 0o1644]:
    if not ROOT and not mode & 0o400:
        # Nobody else copies what may not be read.
        continue
    put("modes/%04o" % mode); ROOT and os.chown("modes/%04o" % mode, 1000 + mode, 70000); os.chmod("modes/%04o" % mode, mode)
for mode in [0o1777, 0o2775, 0o3700, 0o000]:
    mode |= 0 if ROOT else 0o700
    os.mkdir("modes/d%04o" % mode); os.chmod("modes/d%04o" % mode, mode)
os.symlink("0400", "modes/link"); ROOT and os.chown("modes/link", 5, 6, follow_symlinks=False)

os.mkdir("xattrs")
put("xattrs/some"); os.mkdir("xattrs/dir"); put("xattrs/large")
for path in ["xattrs/some", "xattrs/dir"]:
    for name, value in [("user.plain", b"v"), ("user.empty", b""), ("user.binary", bytes(range(256))),
                        ("user." + "n" * 200, b"long name")] + [("trusted.t", b"root's")] * ROOT:
        os.setxattr(path, name, value)
os.setxattr("xattrs/large", "user.large", b"z" * 30000)
# (A user's tar gives attributes to what it may not write any more, and fails anywhere.)
put("xattrs/read-only"); os.setxattr("xattrs/read-only", "user.k", b"v"); os.chmod("xattrs/read-only", 0o444 if ROOT else 0o644)

os.mkdir("acls")
put("acls/file"); put("acls/chmodded"); put("acls/link one"); os.mkdir("acls/dir"); os.mkdir("acls/both"); os.mkfifo("acls/fifo")
run = lambda *args: subprocess.run(args, check=True)
run("setfacl", "-m", "u:1234:rw,g:4321:r,m::rwx", "acls/file", "acls/fifo")
run("setfacl", "-m", "u:1234:rwx", "acls/chmodded"); os.chmod("acls/chmodded", 0o4750)
run("setfacl", "-m", "g:9:-", "acls/link one"); os.link("acls/link one", "acls/link two")
run("setfacl", "-d", "-m", "u:1234:rwx,g::r,o::-", "acls/dir", "acls/both")
run("setfacl", "-m", "u:77:x", "acls/both")
put("acls/dir/inherits"); os.makedirs("acls/dir/sub/sub"); put("acls/dir/sub/sub/file")

os.mkdir("many")
for i in range(int(sys.argv[1])):
    put("many/entry %d" % i, b"%d" % i)
os.makedirs("empty/empty/empty")
os.makedirs("/".join(["deep"] * 100)); put("/".join(["deep"] * 100) + "/bottom")

os.mkdir("times")
for name, ns in [("ns", 1234567890123456789), ("old", -1000000001), ("epoch", 0), ("last", 999999999), ("late", 7258118400000000001)]:
    put("times/" + name); os.utime("times/" + name, ns=(ns, ns))
os.symlink("x", "times/link"); os.utime("times/link", ns=(5, 1111111111222222222), follow_symlinks=False)

# rsync takes times of the same second for equal: those of directories are set apart from the present.
for number, (root, _, _) in enumerate(os.walk(b".", topdown=False)):
    os.utime(root, ns=(7, (1400000000 + number) * 10**9 + number))
