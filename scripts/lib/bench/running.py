"""How is a command run? With a limit, its output caught, and nothing of it left behind."""
import os
import signal
import subprocess
import sys
import time


class Failed(Exception):
    """One measurement failed; the others go on."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(argv, limit=300, env=None, good=(0,)):
    """Runs and returns what it printed. A command that does not end is killed with all it started."""
    child = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=env, text=True, errors='replace', start_new_session=True, cwd='/')
    try:
        out, err = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        kill_group(child.pid)
        raise Failed('%s did not end within %d s' % (os.path.basename(argv[0]), limit)) from None
    if child.returncode not in good:
        told = (err or out).strip().splitlines()
        raise Failed('%s ended with %d: %s' % (os.path.basename(argv[0]), child.returncode, told[-1][:200] if told else ''))
    return out


def timed(argv, limit=300, env=None, good=(0,)):
    """The seconds a command takes, its start included."""
    began = time.perf_counter()
    run(argv, limit, env, good)
    return time.perf_counter() - began


def kill_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def words_of(pid):
    """The command line of a process; empty when it is gone."""
    try:
        with open('/proc/%s/cmdline' % pid, 'rb') as f:
            return f.read().decode(errors='replace').split('\0')
    except OSError:
        return []


def naming(path):
    """Processes whose command line names `path` or something below it, and all their descendants."""
    parents, found = {}, set()
    for entry in os.listdir('/proc'):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open('/proc/%s/stat' % entry, 'rb') as f:
                parents[int(entry)] = int(f.read().rsplit(b')', 1)[1].split()[1])
            words = words_of(entry)
        except (OSError, IndexError, ValueError):
            continue
        if any(word == path or word.startswith(path + '/') for word in words):
            found.add(int(entry))
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return sorted(found)


def resident(pids):
    """Resident memory of processes in KiB."""
    total = 0
    for pid in pids:
        try:
            with open('/proc/%d/status' % pid) as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith('VmRSS:'))
        except OSError:
            pass
    return total


def read_by(pids):
    """Bytes that processes asked to read or copy since their start."""
    total = 0
    for pid in pids:
        try:
            with open('/proc/%d/io' % pid) as f:
                total += int(f.readline().split()[1])
        except (OSError, ValueError, IndexError):
            pass
    return total
