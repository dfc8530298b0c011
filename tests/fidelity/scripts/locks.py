"""flock, POSIX locks and OFD locks between processes and between handles, in the current directory."""
import errno, fcntl, os, struct, sys

OFD_GETLK, OFD_SETLK = 36, 37
open("lock", "ab").close()
os.truncate("lock", 100)

def flock_record(kind, start, length):
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0)

def tries(op):
    try:
        op()
        return True
    except OSError as e:
        assert e.errno in (errno.EAGAIN, errno.EACCES), e
        return False

def elsewhere(op):
    """The answer of another process, with a handle of its own."""
    pid = os.fork()
    if pid == 0:
        fd = os.open("lock", os.O_RDWR)
        os._exit(0 if tries(lambda: op(fd)) else 1)
    return os.waitpid(pid, 0)[1] == 0

def posix(fd, kind, start, length):
    fcntl.fcntl(fd, fcntl.F_SETLK, flock_record(kind, start, length))

def ofd(fd, kind, start, length):
    fcntl.fcntl(fd, OFD_SETLK, flock_record(kind, start, length))

R, W, U = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
a, b = os.open("lock", os.O_RDWR), os.open("lock", os.O_RDWR)

# flock: of the handle.
fcntl.flock(a, fcntl.LOCK_EX)
assert not tries(lambda: fcntl.flock(b, fcntl.LOCK_SH | fcntl.LOCK_NB))
assert not elsewhere(lambda fd: fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB))
fcntl.flock(a, fcntl.LOCK_SH)
assert tries(lambda: fcntl.flock(b, fcntl.LOCK_SH | fcntl.LOCK_NB))
assert not elsewhere(lambda fd: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))
fcntl.flock(a, fcntl.LOCK_UN); fcntl.flock(b, fcntl.LOCK_UN)
assert elsewhere(lambda fd: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))

# POSIX: of the process, by ranges, gone with the first close.
posix(a, W, 10, 20)
assert tries(lambda: posix(b, W, 10, 20))
assert not elsewhere(lambda fd: posix(fd, R, 29, 1))
assert elsewhere(lambda fd: posix(fd, W, 30, 5)) and elsewhere(lambda fd: posix(fd, W, 0, 10))
posix(a, R, 15, 5)
assert elsewhere(lambda fd: posix(fd, R, 15, 5)) and not elsewhere(lambda fd: posix(fd, W, 15, 5))
kind = struct.unpack("hhqqi4x", fcntl.fcntl(a, fcntl.F_GETLK, flock_record(W, 0, 0)))[0]
assert kind == U, "own locks are not in the way"
os.close(b)
assert elsewhere(lambda fd: posix(fd, W, 0, 0)), "closing any handle drops them"
b = os.open("lock", os.O_RDWR)

# OFD: of the handle, by ranges.
ofd(a, W, 0, 50)
assert not tries(lambda: ofd(b, R, 49, 1)) and tries(lambda: ofd(b, W, 50, 10))
assert not elsewhere(lambda fd: posix(fd, R, 0, 1)), "they exclude POSIX locks"
c = os.dup(a); os.close(a)
assert not tries(lambda: ofd(b, R, 0, 1)), "a duplicate keeps them"
os.close(c)
assert tries(lambda: ofd(b, W, 0, 50))
os.close(b)

# Waiting: gets the lock when the holder ends.
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    fd = os.open("lock", os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    os.write(w, b"!")
    os.read(os.open("/proc/self/cmdline", os.O_RDONLY), 1)
    import time; time.sleep(0.1)
    os._exit(0)
os.read(r, 1)
fd = os.open("lock", os.O_RDWR)
import signal; signal.alarm(60)
fcntl.lockf(fd, fcntl.LOCK_EX)
os.waitpid(pid, 0)
# A lock outlives the name.
other = os.open("lock", os.O_RDWR); os.rename("lock", "locked")
fcntl.flock(fd, fcntl.LOCK_EX)
assert not tries(lambda: fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB))
os.rename("locked", "lock")

# Waiting ends with a signal, whichever lock it is.
signal.alarm(0)
fcntl.flock(fd, fcntl.LOCK_UN); posix(fd, U, 0, 0)
class Alarmed(Exception):
    pass
def alarmed(*_):
    raise Alarmed
signal.signal(signal.SIGALRM, alarmed)
holder = os.fork()
if holder == 0:
    held = os.open("lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX); posix(held, W, 0, 0)
    open("holding", "w").close()
    signal.pause()
import time
until = time.time() + 60
while not os.path.exists("holding") and time.time() < until:
    time.sleep(0.01)
for what, op in (("flock", lambda: fcntl.flock(other, fcntl.LOCK_EX)), ("F_SETLKW", lambda: fcntl.lockf(other, fcntl.LOCK_EX)),
                 ("F_OFD_SETLKW", lambda: fcntl.fcntl(other, 38, flock_record(W, 0, 1)))):
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        op()
        assert False, what
    except Alarmed:
        pass
os.kill(holder, signal.SIGKILL); os.waitpid(holder, 0); os.unlink("holding")
signal.signal(signal.SIGALRM, signal.SIG_DFL); signal.alarm(60)
fcntl.flock(other, fcntl.LOCK_EX); fcntl.lockf(other, fcntl.LOCK_EX)
signal.alarm(0)
